#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "env/network.h"
#include "net/http.h"
#include "net/http_client.h"

// The store of a local cluster, as slow and as failing as a drill wants it.

namespace paceline::app {

// What happens to requests, in the words of a plan's settings. 0: nothing.
struct StoreFaults {
  uint32_t latency_ms = 0;    // before the store sees it
  uint32_t tail_ms = 0;       // more of it,
  double tail_percent = 1;    // for so many
  double errors_percent = 0;  // are answered 503 SlowDown, and the store sees nothing
  uint64_t bytes_per_s = 0;   // of all bodies together, each way
  bool any() const;
  bool operator==(const StoreFaults&) const = default;
};
// invalid_argument: a setting that there is not, or that no store could have.
Result<StoreFaults> parse_store_faults(std::string_view json);
// With `met`: how many requests something has happened to.
std::string to_json(const StoreFaults& faults, uint64_t met);

// Stands between a store and those who ask it, by HTTP in the clear. Requests go on as they are, so
// that their signatures hold; bodies are held whole, and must state their length. Of one shard.
class StoreProxy {
 public:
  StoreProxy(env::Shard& shard, std::string store_host, uint16_t store_port);
  StoreProxy(const StoreProxy&) = delete;
  StoreProxy& operator=(const StoreProxy&) = delete;

  // The admin port answers GET /faults and takes POST /faults.
  Result<void> listen(const std::string& host, uint16_t port, uint16_t admin_port);
  void close();
  void heal() { set({}); }

 private:
  void set(StoreFaults faults);
  Task<net::HttpResponse> administer(net::HttpRequest request);
  Task<void> accept_loop();
  Task<void> serve(std::unique_ptr<env::Socket> socket);
  struct Asked;
  Task<Result<Asked>> read(env::Socket& socket, std::string& received);
  Task<Result<std::vector<Slice>>> answer(Asked& asked);
  Task<void> pace(env::Instant& free_at, uint64_t bytes);
  bool one_in_hundred(double percent);

  env::Shard& shard_;
  net::HttpPool store_;
  net::HttpServer admin_;
  std::unique_ptr<env::Listener> listener_;
  std::vector<env::Socket*> open_;
  bool closed_ = false;
  StoreFaults faults_;
  uint64_t met_ = 0;
  env::Instant to_store_free_at_, from_store_free_at_;  // who comes earlier waits
};

// `paceline dev-store-proxy`: one until SIGTERM; SIGUSR1 heals it. Addresses are HOST:PORT.
struct StoreProxyOptions {
  std::string listen, store;
  uint16_t admin_port = 0;  // of the same host as `listen`
};
int dev_store_proxy(const StoreProxyOptions& options);

}  // namespace paceline::app
