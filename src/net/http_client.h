#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "env/network.h"
#include "net/http.h"
#include "net/http_answer.h"
#include "net/tls.h"

// Questions over HTTP/1.1: one over a connection of its own, or many over those of a pool.

namespace paceline::net {

// Gives an exchange up: its connection ends, its outcome is `cancelled`.
class HttpCancel {
 public:
  void cancel();
  bool cancelled() const { return cancelled_; }

 private:
  friend class HttpPool;
  std::function<void()> stop_;
  bool cancelled_ = false;
};

struct HttpQuery {
  std::string method;
  std::string target;                          // as sent: path and query
  std::map<std::string, std::string> headers;  // names in lower case; host and length are added
  std::vector<Slice> body;
  uint64_t answer_bytes_max = kHttpAnswerBytesMax;
  bool repeatable = false;  // a second time does no harm
  bool fresh = false;       // over a new connection
  std::shared_ptr<HttpCancel> cancel;
};

// How far a question has come.
enum class HttpReached {
  nothing,   // no byte of it has left
  sent,      // the server may have acted on it, and the answer is not known
  answered,  // the whole answer is here
};

struct HttpOutcome {
  Result<HttpAnswer> answer;  // timed_out, unavailable, closed, io_error, corrupt, too_large
  HttpReached reached = HttpReached::nothing;
  // An earlier try over a connection that proved dead may have been acted on as well.
  bool repeated = false;
};

struct HttpPoolOptions {
  std::string host;
  uint16_t port = 80;
  std::shared_ptr<const TlsContext> tls;  // none: in the clear
  size_t idle_max = 128;
  env::Duration idle_for = std::chrono::seconds(15);    // below what servers grant
  env::Duration connect_for = std::chrono::seconds(3);  // at most, TLS included
};

class HttpConnection;

// Connections to one server, kept alive between questions. Of one shard; it may go while questions
// are on their way.
class HttpPool {
 public:
  HttpPool(env::Shard& shard, HttpPoolOptions options);
  HttpPool(const HttpPool&) = delete;
  HttpPool& operator=(const HttpPool&) = delete;
  ~HttpPool();

  // Asks once. A repeatable question that met a connection which the server had given up is asked
  // once more over a new one. An answer after `deadline` is none.
  Task<HttpOutcome> ask(HttpQuery query, env::Instant deadline);
  // What the host header says, for those who sign it.
  std::string host_header() const;
  size_t idle_count() const;

 private:
  struct State;
  static Task<HttpOutcome> ask_of(std::shared_ptr<State> state, HttpQuery query,
                                  env::Instant deadline);
  std::shared_ptr<State> state_;
};

// Asks `host`:`port` once, over a connection of its own, in the clear. timed_out at the deadline,
// when the outcome at the server is unknown; unavailable, closed, io_error as the network says.
Task<Result<HttpAnswer>> http_request(env::Shard& shard, std::string host, uint16_t port,
                                      HttpRequest request, env::Instant deadline);

// The server's name as a host header says it: without the port that is usual.
std::string http_host(const std::string& host, uint16_t port, bool tls);

}  // namespace paceline::net
