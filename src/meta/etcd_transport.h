#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "env/shard.h"

// gRPC, as far as it is seen here: bytes in, bytes out, methods by name. Its completions come on a
// thread of each store's own and go home by Shard::post() alone.

namespace paceline::meta {

// gRPC's own numbers.
enum class RpcCode : uint8_t {
  ok = 0,
  cancelled = 1,
  unknown = 2,
  invalid_argument = 3,
  deadline_exceeded = 4,
  not_found = 5,
  permission_denied = 7,
  resource_exhausted = 8,
  failed_precondition = 9,
  out_of_range = 11,
  unavailable = 14,
  data_loss = 15,
  unauthenticated = 16,
};

struct RpcStatus {
  RpcCode code = RpcCode::ok;
  std::string message;
};
struct RpcAnswer {
  RpcStatus status;
  std::string bytes;  // of the message, if ok
};

struct TlsFiles {  // contents in PEM; empty: none
  std::string ca, certificate, key;
};

// All calls of one store, and the thread that hears of them. A call that is under way holds a
// place; close() cancels them, lets nobody in any more and blocks until all have left, so that
// afterwards shards may go.
class RpcGate {
 public:
  RpcGate();
  RpcGate(const RpcGate&) = delete;
  RpcGate& operator=(const RpcGate&) = delete;
  ~RpcGate();

  bool enter() {
    ++inside_;
    if (!closing_.stop_requested()) return true;
    leave();
    return false;
  }
  void leave() {
    if (--inside_ == 0) inside_.notify_all();
  }
  void close();  // once or more often; not from the thread of the calls
  bool closed() const { return closing_.stop_requested(); }
  std::stop_token token() const { return closing_.get_token(); }

  // REQUIRES: entered.
  struct Calls;
  Calls& calls() { return *calls_; }

 private:
  std::stop_source closing_;
  std::atomic<int> inside_ = 0;
  std::unique_ptr<Calls> calls_;
  std::once_flag ended_;
};

// A stream of messages from the member, asked for by one of ours. Belongs to the shard it was
// opened on; destroying it ends it.
class RpcStream {
 public:
  virtual ~RpcStream() = default;
  // The next message; nothing at the end, and then status() says why. One call at a time.
  virtual Task<std::optional<std::string>> read() = 0;
  virtual RpcStatus status() const = 0;
  virtual void cancel() = 0;
};

// The channel to one member. Any thread.
class RpcChannel {
 public:
  // `address` is host:port. Null `tls`: in the clear.
  RpcChannel(std::string address, const TlsFiles* tls, std::shared_ptr<RpcGate> gate);
  RpcChannel(const RpcChannel&) = delete;
  RpcChannel& operator=(const RpcChannel&) = delete;
  ~RpcChannel();

  const std::string& address() const;
  // There is a connection: what is called now is sent.
  bool connected() const;
  // Ends with what the member says, or with a status of gRPC's. `token` is that of
  // Authenticate; empty: none. Cancelled when the task is destroyed.
  Task<RpcAnswer> call(env::Shard& shard, std::string method, std::string request,
                       env::Duration timeout, std::string token);
  // `timeout` bounds the whole stream; nothing: it may last.
  std::unique_ptr<RpcStream> open(env::Shard& shard, const std::string& method,
                                  const std::string& request, std::optional<env::Duration> timeout,
                                  const std::string& token);

 private:
  struct Grpc;
  std::unique_ptr<Grpc> grpc_;
};

}  // namespace paceline::meta
