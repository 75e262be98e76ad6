#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "env/task.h"

namespace paceline::env {

using Duration = std::chrono::nanoseconds;
// A monotonic instant; only differences mean anything. Suspended time counts.
struct Instant {
  Duration since_start{0};
  constexpr auto operator<=>(const Instant&) const = default;
  constexpr Instant operator+(Duration d) const { return {since_start + d}; }
  constexpr Instant operator-(Duration d) const { return {since_start - d}; }
  constexpr Duration operator-(Instant other) const { return since_start - other.since_start; }
  static constexpr Instant never() { return {Duration::max()}; }
};

using Callback = std::move_only_function<void()>;

class Disk;
class Network;

// One thread of the broker: its clock, timers, queue and random numbers. Objects are owned by one
// shard and touched only there; another shard reaches them with call_on() alone. All virtual
// functions but post() are called on the shard's own thread only.
//
// Two worlds implement it: the real one (real_env.h) and the simulated one (sim_env.h), where all
// shards of all hosts run in one thread under a virtual clock and one seed.
class Shard {
 public:
  virtual ~Shard() = default;

  virtual unsigned index() const = 0;
  virtual Instant now() const = 0;
  // Milliseconds since 1970, UTC. It may jump: never a basis for safety.
  virtual int64_t wall_ms() const = 0;
  virtual uint64_t random() = 0;

  // Runs `callback` on this shard, soon, in the order of posting for one posting thread. From any
  // thread. Dropped (and destroyed) when the shard has ended.
  virtual void post(Callback callback) = 0;

  using TimerId = uint64_t;
  virtual TimerId run_at(Instant when, Callback callback) = 0;
  virtual void cancel_timer(TimerId id) = 0;  // no effect once it has run

  // Runs `work` on a thread that may block, then `done` here. For disk and heavy computing.
  // One `lane` value's works run one after the other, in order, whichever shard they came from;
  // different lanes run in parallel, lane 0 means "any order". `work` is destroyed before `done`
  // runs. When the shard ends, a work already running is waited for, others are dropped.
  virtual void offload(uint64_t lane, Callback work, Callback done) = 0;

  // Starts a task that nobody awaits; its first step is posted, not run in place. The shard owns
  // its frame until it ends, and destroys it with everything below it when the shard ends first:
  // posts and timers are dropped before, then frames go newest first.
  virtual void spawn(Task<void> task) = 0;

  virtual Disk& disk() = 0;
  virtual Network& network() = 0;
};

namespace shard_internal {

// Suspends the caller; `start` gets what resumes it (to be called once, on the shard).
template <class Start>
struct Suspend {
  Start start;
  bool await_ready() noexcept { return false; }
  void await_suspend(std::coroutine_handle<> self) { start(self); }
  void await_resume() noexcept {}
};
template <class Start>
Suspend(Start) -> Suspend<Start>;

}  // namespace shard_internal

inline auto sleep_until(Shard& shard, Instant when) {
  auto start = [&shard, when](std::coroutine_handle<> self) {
    shard.run_at(when, [self] { self.resume(); });
  };
  return shard_internal::Suspend{start};
}
inline auto sleep_for(Shard& shard, Duration duration) {
  return sleep_until(shard, shard.now() + duration);
}
// Lets everything that is ready on this shard run first.
inline auto yield(Shard& shard) {
  auto start = [&shard](std::coroutine_handle<> self) { shard.post([self] { self.resume(); }); };
  return shard_internal::Suspend{start};
}

// Runs `work()` (blocking, any thread) and returns its value here.
template <class Work>
Task<std::invoke_result_t<Work&>> offload(Shard& shard, Work work, uint64_t lane = 0) {
  using T = std::invoke_result_t<Work&>;
  if constexpr (std::is_void_v<T>) {
    auto start = [&](std::coroutine_handle<> self) {
      shard.offload(
          lane, [moved = std::move(work)]() mutable { moved(); }, [self] { self.resume(); });
    };
    co_await shard_internal::Suspend{start};
  } else {
    // Shared with the blocking thread: the caller's frame may be destroyed while it still runs.
    struct State {
      Work work;
      std::optional<T> value;
    };
    auto state = std::make_shared<State>(State{std::move(work), std::nullopt});
    auto start = [&](std::coroutine_handle<> self) {
      shard.offload(
          lane, [state] { state->value.emplace(state->work()); }, [self] { self.resume(); });
    };
    co_await shard_internal::Suspend{start};
    co_return std::move(*state->value);
  }
}

// The one way to cross: runs the task that `make()` returns on `target`, and resumes here, on
// `home`, with its value. `make` and the value are moved across. When both are one shard it is a
// plain call.
template <class Make>
auto call_on(Shard& target, Shard& home, Make make) -> std::invoke_result_t<Make&> {
  using TaskType = std::invoke_result_t<Make&>;
  using T = decltype(std::declval<TaskType>().handle().promise().take());
  if (&target == &home) co_return co_await make();
  struct State {
    Make make;
    std::optional<std::conditional_t<std::is_void_v<T>, char, T>> value;
  };
  auto state = std::make_shared<State>(State{std::move(make), std::nullopt});
  auto start = [&target, &home, state](std::coroutine_handle<> self) {
    target.post([&target, &home, state, self]() mutable {
      auto body = [](std::shared_ptr<State> shared, Shard& back,
                     std::coroutine_handle<> caller) -> Task<void> {
        if constexpr (std::is_void_v<T>) {
          co_await shared->make();
        } else {
          shared->value.emplace(co_await shared->make());
        }
        back.post([caller] { caller.resume(); });
      };
      target.spawn(body(std::move(state), home, self));
    });
  };
  co_await shard_internal::Suspend{start};
  if constexpr (!std::is_void_v<T>) co_return std::move(*state->value);
}

}  // namespace paceline::env
