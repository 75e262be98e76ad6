#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/network.h"
#include "env/sync.h"
#include "net/http_answer.h"

namespace paceline::net {

// A connection to a server and the task that always reads from it: so the end of an idle one is
// noticed at once, and an answer that comes before the whole question has left is heard.
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(env::Shard& shard, std::unique_ptr<env::Socket> socket)
      : shard_(shard), socket_(std::move(socket)), changed_(shard) {}
  // Starts to read. REQUIRES: owned by a shared_ptr.
  void start() { shard_.spawn(read_loop(shared_from_this())); }

  struct Exchanged {
    Result<HttpAnswer> answer;
    bool begun = false;  // a byte of an answer has come
  };
  // One at a time; whoever gives it up closes the connection. REQUIRES: open()
  Task<Exchanged> exchange(std::vector<Slice> question, bool head, uint64_t answer_bytes_max);
  bool open() const { return open_; }
  void close();

  env::Instant idle_since{};

 private:
  static Task<void> read_loop(std::shared_ptr<HttpConnection> self);
  // Takes what was read; false: it is over.
  bool take(size_t count);
  void fail_with(Error error);

  env::Shard& shard_;
  const std::unique_ptr<env::Socket> socket_;
  HttpAnswerParser parser_;
  env::Event changed_;
  bool open_ = true;
  bool asked_ = false;
  bool writing_ = false;
  std::optional<Result<HttpAnswer>> answer_;
};

}  // namespace paceline::net
