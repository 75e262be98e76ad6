#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace paceline::net {

inline constexpr size_t kHttpAnswerBytesMax = 16u << 20;  // unless the one who asks says otherwise

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  Slice body;

  std::string_view text() const { return as_text(body.bytes()); }
  std::string_view header(const std::string& name) const;  // empty if there is none
};

// The answers of one connection, one after the other, from bytes as they come: bodies of a stated
// length, in chunks, or up to the end of the connection. The reader asks where bytes may go: a body
// of a stated length is read into its own place and never copied, but for what came with the
// header.
class HttpAnswerParser {
 public:
  HttpAnswerParser() = default;
  explicit HttpAnswerParser(bool head) { expect(head, kHttpAnswerBytesMax); }

  // The next bytes are an answer. `head`: the request was HEAD, so that no body follows whatever
  // the header says. It does not move what space() gave before.
  void expect(bool head, uint64_t body_bytes_max);
  // Where the next bytes are to be read to; never empty, and there until filled() or take().
  MutableBytes space();
  // True once the answer is whole. corrupt: no HTTP, or nothing was expected; too_large.
  Result<bool> filled(size_t count);
  // The connection has ended: corrupt if that is in the middle of the answer.
  Result<void> end();
  // The same for bytes that are elsewhere.
  Result<bool> add(std::string_view bytes);

  bool begun() const { return begun_; }  // a byte of this answer has come
  // Of a whole answer: the connection may be asked again.
  bool keep_alive() const { return keep_alive_ && at_ == received_.size(); }
  HttpAnswer take();

 private:
  enum class State { idle, head, body, chunk_size, chunk, chunk_end, trailer, until_end, done };
  Result<bool> advance();
  Result<bool> step();  // false: more bytes are needed
  Result<bool> read_chunk_size();
  Result<bool> read_trailer();
  Result<void> read_head(std::string_view head);
  Result<void> add_field(std::string_view field);
  Result<void> read_length();
  bool next_line(std::string_view& line);
  Result<void> append(size_t count);

  std::array<std::byte, 8192> scratch_;  // where headers and chunks are read to
  bool head_ = false;
  uint64_t body_bytes_max_ = 0;
  State state_ = State::idle;
  bool begun_ = false;
  bool keep_alive_ = false;
  std::string received_;
  size_t at_ = 0;      // what of received_ is used up
  uint64_t left_ = 0;  // of the body or the chunk
  size_t trailer_bytes_ = 0;
  Buffer body_;
  size_t body_bytes_ = 0;  // what of body_ is filled
  HttpAnswer answer_;
};

}  // namespace paceline::net
