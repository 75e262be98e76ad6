#pragma once

#include <atomic>
#include <coroutine>
#include <memory>
#include <optional>
#include <vector>

#include "wal/wal.h"

// How appends of all shards come to the owner of a lane, and go home: the same for files and for
// objects.

namespace paceline::wal {

// One append on its way: made and resumed on `home`, everything between on the owner shard.
struct Call {
  env::Shard* home = nullptr;
  std::coroutine_handle<> caller;
  std::vector<Entry> entries;
  Written written;
  size_t last_group = 0;  // of a commit that is made of several
  std::optional<Result<Written>> result;

  uint64_t bytes() const;  // of its entries, with their headers
  // While it is in the mailbox: itself, and the one that arrived before it.
  std::shared_ptr<Call> self;
  Call* before = nullptr;
};
using Calls = std::vector<std::shared_ptr<Call>>;

// Calls pushed by any shard without a lock, taken by the owner in the order they came.
class CallBox {
 public:
  CallBox() = default;
  CallBox(const CallBox&) = delete;
  CallBox& operator=(const CallBox&) = delete;
  ~CallBox() { take_all(); }

  // True if it was empty: then the owner has to be told. Those behind are taken with it.
  bool push(std::shared_ptr<Call> call);
  Calls take_all();

 private:
  std::atomic<Call*> top_ = nullptr;  // a stack, last arrived on top
};

// Resumes the callers, each on its home: one post a home, whatever the number of calls.
// REQUIRES: each has its result.
void complete(Calls calls);
// Ends one that was not begun.
void refuse(std::shared_ptr<Call> call, Error error);

// The face of an open lane over its machine, which lives on while something is in flight.
template <class Log>
class LaneWriter final : public Writer {
 public:
  explicit LaneWriter(std::shared_ptr<Log> log) : log_(std::move(log)) {}
  LaneWriter(const LaneWriter&) = delete;
  LaneWriter& operator=(const LaneWriter&) = delete;
  ~LaneWriter() override { log_->forget(); }

  Task<Result<Written>> append(env::Shard& home, std::vector<Entry> entries) override {
    if (entries.empty()) co_return Written{.end = durable_end(), .payloads = {}};
    auto call = std::make_shared<Call>();
    call->home = &home;
    call->entries = std::move(entries);
    co_await Submitted{log_, call};
    co_return std::move(*call->result);
  }
  Position durable_end() const override { return log_->durable_end(); }
  uint64_t slots_since(Position from) const override { return log_->slots_since(from); }
  Task<Result<void>> trim(env::Shard& home, Position up_to) override {
    co_return co_await env::call_on(log_->owner(), home,
                                    [log = log_, up_to] { return Log::trim(log, up_to); });
  }
  void on_lost(std::move_only_function<void(Error)> notify) override {
    log_->on_lost(std::move(notify));
  }
  Task<void> close(env::Shard& home) override {
    co_await env::call_on(log_->owner(), home, [log = log_] { return Log::close(log); });
  }

 private:
  struct Submitted {
    const std::shared_ptr<Log>& log;  // the writer's
    std::shared_ptr<Call> call;
    bool await_ready() noexcept { return false; }
    void await_suspend(std::coroutine_handle<> self) {
      // Resumed by a post of the home shard, never in here. The call is moved out first: another
      // shard may own this frame's next step at once.
      std::shared_ptr<Call> moved = std::move(call);
      moved->caller = self;
      submit(log, std::move(moved));
    }
    void await_resume() noexcept {}
  };
  // Calls of one shard keep their order.
  static void submit(const std::shared_ptr<Log>& log, std::shared_ptr<Call> call) {
    if (call->home == &log->owner()) return log->accept(std::move(call));
    if (!log->mailbox().push(std::move(call))) return;
    log->owner().post([log] {
      for (auto& arrived : log->mailbox().take_all()) log->accept(std::move(arrived));
    });
  }
  const std::shared_ptr<Log> log_;
};

}  // namespace paceline::wal
