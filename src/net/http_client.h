#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "env/network.h"
#include "net/http.h"

namespace paceline::net {

inline constexpr size_t kHttpAnswerBytesMax = 16u << 20;

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

// One answer, from bytes as they come: a body of a stated length, in chunks, or up to the end of
// the connection.
class HttpAnswerParser {
 public:
  // `head`: the request was HEAD, so that no body follows whatever the header says.
  explicit HttpAnswerParser(bool head = false) : head_(head) {}

  // True once the answer is whole; what follows it is ignored. corrupt: no HTTP. too_large.
  Result<bool> add(std::string_view bytes);
  // The connection has ended: corrupt if that is in the middle of the answer.
  Result<void> end();
  HttpAnswer take() { return std::move(answer_); }

 private:
  enum class State { head, body, chunk_size, chunk, chunk_end, trailer, until_end, done };
  Result<bool> step();  // false: more bytes are needed
  Result<void> read_head(std::string_view head);
  Result<void> read_length();
  bool next_line(std::string_view& line);
  Result<void> append(size_t count);

  const bool head_;
  State state_ = State::head;
  std::string received_;
  size_t at_ = 0;      // what of received_ is used up
  uint64_t left_ = 0;  // of the body or the chunk
  size_t trailer_bytes_ = 0;
  HttpAnswer answer_;
};

// Asks `host`:`port` once, over a connection of its own. timed_out at the deadline, when the
// outcome at the server is unknown; unavailable, closed, io_error as the network says.
Task<Result<HttpAnswer>> http_request(env::Shard& shard, std::string host, uint16_t port,
                                      HttpRequest request, env::Instant deadline);

}  // namespace paceline::net
