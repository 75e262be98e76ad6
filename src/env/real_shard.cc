#include "env/real_shard.h"

#include <time.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "env/real_network.h"

namespace paceline::env {
namespace {

thread_local RealShard* current_shard = nullptr;

Duration clock_value(clockid_t clock) {
  timespec value{};
  CHECK(::clock_gettime(clock, &value) == 0);
  return std::chrono::seconds(value.tv_sec) + std::chrono::nanoseconds(value.tv_nsec);
}

}  // namespace

RealShard::RealShard(unsigned index, uint64_t seed, BlockingPool& pool, Disk& disk)
    : index_(index),
      random_(seed),
      pool_(pool),
      disk_(disk),
      guard_(io_.get_executor()),
      network_(std::make_unique<RealNetwork>(*this)) {}

RealShard::~RealShard() = default;

bool RealShard::on_own_thread() const {
  return current_shard == this || !running_loop_;
}

// Time asleep counts: a lease must not look fresh after the machine was suspended.
Instant RealShard::now() const {
  return {clock_value(CLOCK_BOOTTIME)};
}

int64_t RealShard::wall_ms() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(clock_value(CLOCK_REALTIME)).count();
}

void RealShard::post(Callback callback) {
  if (current_shard == this) {
    local_.push_back(std::move(callback));
    return;
  }
  {
    std::lock_guard lock(mutex_);
    if (ended_) return;  // the parameter is destroyed after the lock is released
    remote_.push_back(std::move(callback));
  }
  if (sleeping_.exchange(false)) wake();
}

Shard::TimerId RealShard::run_at(Instant when, Callback callback) {
  CHECK(on_own_thread());
  return ended_ ? 0 : timers_.add(when, std::move(callback));
}

void RealShard::cancel_timer(TimerId id) {
  CHECK(on_own_thread());
  timers_.remove(id);
}

void RealShard::offload(uint64_t lane, Callback work, Callback done) {
  pool_.submit({.lane = lane, .work = std::move(work), .done = std::move(done), .home = this});
}

void RealShard::spawn(Task<void> task) {
  CHECK(on_own_thread());
  if (ended_) return;
  const std::coroutine_handle<> start = tasks_.add(std::move(task));
  post([start] { start.resume(); });
}

void RealShard::run() {
  current_shard = this;
  while (!stopped_.load(std::memory_order_relaxed)) {
    bool busy = run_posted();
    // What a request posts to its own shard is a chain: not one look at the sockets a link.
    for (int more = 0; more < 8 && !local_.empty() && !stopped_; ++more) run_posted();
    busy |= run_timers();
    busy |= run_sockets();
    if (!busy) sleep();
  }
  current_shard = nullptr;
}

void RealShard::stop() {
  stopped_ = true;
  wake();
}

void RealShard::end() {
  running_loop_ = false;
  std::vector<Callback> dropped;
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
    dropped.swap(remote_);
  }
  dropped.clear();
  local_.clear();
  timers_.clear();
}

bool RealShard::run_posted() {
  running_.swap(local_);
  {
    std::lock_guard lock(mutex_);
    if (running_.empty()) {
      running_.swap(remote_);
    } else {
      for (Callback& callback : remote_) running_.push_back(std::move(callback));
      remote_.clear();
    }
  }
  for (Callback& callback : running_) {
    callback();
    callback = nullptr;
  }
  const bool busy = !running_.empty();
  running_.clear();
  return busy;
}

bool RealShard::run_timers() {
  if (timers_.empty()) return false;
  const Instant current = now();
  bool busy = false;
  // A timer that adds another one for "now" must not keep the loop here: `current` is fixed.
  while (!timers_.empty() && timers_.next() <= current) {
    Callback callback = timers_.take_next();
    callback();
    busy = true;
  }
  return busy;
}

bool RealShard::run_sockets() {
  // Bounded, so that busy sockets cannot keep posts and timers waiting: by their number, and by
  // time, because a peer that reads as fast as we send makes each of them take a fifth of a
  // millisecond.
  constexpr int kHandlersMax = 256;
  constexpr Duration kTurnMax = std::chrono::microseconds(300);
  const Instant end = now() + kTurnMax;
  int count = 0;
  while (count < kHandlersMax && io_.poll_one() > 0) {
    ++count;
    if (now() >= end) break;
  }
  return count > 0;
}

void RealShard::sleep() {
  sleeping_ = true;
  {
    // A poster either sees sleeping_ and wakes the reactor, or its callback is seen here.
    std::lock_guard lock(mutex_);
    if (!remote_.empty() || !local_.empty()) {
      sleeping_ = false;
      return;
    }
  }
  if (!stopped_) {
    if (timers_.empty()) {
      io_.run_one();
    } else {
      // Bounded, because Asio adds it to its own clock and "never" would overflow.
      io_.run_one_for(std::min<Duration>(timers_.next() - now(), std::chrono::hours(1)));
    }
  }
  sleeping_ = false;
}

void RealShard::wake() {
  boost::asio::post(io_, [] {});
}

}  // namespace paceline::env
