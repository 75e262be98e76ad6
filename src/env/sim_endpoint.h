#pragma once

#include <coroutine>
#include <deque>
#include <memory>
#include <string>

#include "env/network.h"
#include "env/sim_links.h"
#include "env/sim_shard.h"

namespace paceline::env {

// One task that waits; it leaves when it is woken or destroyed.
class SimWait {
 public:
  explicit SimWait(SimWait*& place) : place_(place) { CHECK(place_ == nullptr); }
  SimWait(const SimWait&) = delete;
  SimWait& operator=(const SimWait&) = delete;
  ~SimWait() {
    if (place_ == this) place_ = nullptr;
  }
  bool await_ready() noexcept { return false; }
  void await_suspend(std::coroutine_handle<> self) {
    handle_ = self;
    place_ = this;
  }
  void await_resume() noexcept {}
  // REQUIRES: an event of the waiter's life runs.
  static void wake(SimWait*& place) {
    if (SimWait* wait = std::exchange(place, nullptr)) wait->handle_.resume();
  }

 private:
  SimWait*& place_;
  std::coroutine_handle<> handle_;
};

// One side of a connection. It is known to its peer by a weak pointer and to its world by number.
class SimEndpoint : public std::enable_shared_from_this<SimEndpoint> {
 public:
  SimEndpoint(SimEvents& events, SimLinks& links, SimShard& shard, std::string peer);
  SimEndpoint(const SimEndpoint&) = delete;
  SimEndpoint& operator=(const SimEndpoint&) = delete;
  ~SimEndpoint();
  static void join(const std::shared_ptr<SimEndpoint>& a, const std::shared_ptr<SimEndpoint>& b);

  SimLife& life() { return shard_->life(); }
  void set_owner(SimShard& shard) { shard_ = &shard; }
  const std::string& peer_name() const { return peer_name_; }

  // What can be read: 0 while there is nothing yet.
  Result<size_t> take(MutableBytes into);
  // Sends a part of `bytes`: 0 while the window is full.
  Result<size_t> send(Bytes bytes);
  void close();
  // Its life ends: it is not heard of any more, its peer reads the end or a reset.
  void abandon(bool reset);

  SimWait* reader = nullptr;
  SimWait* writer = nullptr;

 private:
  // Sent and not yet read by the peer, at most: the socket buffers of both sides.
  static constexpr size_t kWindow = 256 << 10;

  bool transmit(SimEndpoint& to, Callback arrive);  // false: held back by a cut
  void watch_cut();
  void arrive(std::string bytes);
  void arrive_end();
  void arrive_acknowledgement(size_t count);
  void arrive_reset();
  void wake_later();

  SimEvents& events_;
  SimLinks& links_;
  SimShard* shard_;  // the owner
  const std::string peer_name_;
  const uint64_t number_;
  std::weak_ptr<SimEndpoint> peer_;
  SimLinks::HostIndex host_;
  SimLinks::HostIndex peer_host_ = 0;
  std::deque<std::string> received_;
  size_t read_of_first_ = 0;
  size_t in_window_ = 0;
  Instant last_arrival_{};  // of what is on its way to here
  bool closed_ = false;
  bool end_received_ = false;
  bool reset_ = false;
};

// An open port: what has connected and was not accepted yet.
struct SimPort {
  SimShard* shard = nullptr;  // the listener's
  std::deque<std::shared_ptr<SimEndpoint>> waiting;
  SimWait* accepter = nullptr;
  bool closed = false;
};

}  // namespace paceline::env
