#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "env/network.h"
#include "env/sync.h"

// HTTP/1.1, as much of it as an admin port needs.

namespace paceline::net {

struct HttpRequest {
  std::string method;
  std::string target;                          // as sent: path and query
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};
struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain";
  std::string body;
};

inline constexpr size_t kHttpHeaderBytesMax = 16u << 10;
inline constexpr size_t kHttpBodyBytesMax = 1u << 20;

// The header of a request at the start of `bytes`, without its body; nothing while it is not whole.
// invalid_argument: no HTTP, too long, or with a body that states no length.
struct ParsedHead {
  HttpRequest request;
  size_t bytes = 0;
  uint64_t body_bytes = 0;
  bool keep_alive = true;
};
Result<std::optional<ParsedHead>> parse_http_head(std::string_view bytes);

// The request at the start of `bytes`, and how many bytes it takes; nothing while it is not whole.
// invalid_argument: no HTTP, or over the limits above.
struct ParsedRequest {
  HttpRequest request;
  size_t bytes = 0;
  bool keep_alive = true;
};
Result<std::optional<ParsedRequest>> parse_http_request(std::string_view bytes);

// Serves on one shard. A connection that errs, or does not send a whole request in 30 s, is closed;
// at most 256 are open at once, more are refused.
class HttpServer {
 public:
  using Handler = std::function<Task<HttpResponse>(HttpRequest)>;
  HttpServer(env::Shard& shard, Handler handler) : shard_(shard), handler_(std::move(handler)) {}

  Result<void> listen(const std::string& host, uint16_t port);
  uint16_t port() const { return listener_ ? listener_->port() : 0; }
  // Stops accepting and ends all connections, in this turn or soon after.
  void close();

 private:
  Task<void> accept_loop();
  Task<void> serve(std::unique_ptr<env::Socket> socket);

  env::Shard& shard_;
  Handler handler_;
  std::unique_ptr<env::Listener> listener_;
  std::vector<env::Socket*> open_;
  bool closed_ = false;
};

}  // namespace paceline::net
