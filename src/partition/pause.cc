#include <fmt/format.h>

#include "partition/stream_partition.h"

// The source's half of a planned move. A pause is a turn that is held: what came before it goes
// first, what comes behind it waits, in the order of calls.

namespace paceline::partition {

Task<Result<Offset>> StreamPartition::pause() {
  auto pass = calls_.enter();
  if (closing_ || moved_ || lost_)
    co_return fail(Code::closed, fmt::format("{} is not served here", options_.name));
  if (paused_) co_return fail(Code::in_use, fmt::format("{} is paused already", options_.name));
  paused_ = true;
  const uint64_t failures = failures_;
  pause_turn_ = turns_.take();
  co_await turns_.wait(pause_turn_);
  while (in_flight_ > 0 || recovering_ || trims_ > 0) co_await settled_.wait();
  if (closing_ || lost_ || failures != failures_) {
    resume();
    co_return fail(Code::unavailable, fmt::format("{} could not write all it had", options_.name));
  }
  CHECK(next_ == stream_->end());
  co_return stream_->end();
}

void StreamPartition::resume() {
  if (!paused_) return;
  paused_ = false;
  pause_turn_.end();
  settled_.notify_all();
}

void StreamPartition::moved() {
  CHECK(paused_);
  moved_ = true;
  resume();
  subscribers_.notify();
}

// Behind those who waited before.
Task<AppendResult> StreamPartition::refuse_moved() {
  const Turns::Turn turn = turns_.take();
  co_await turns_.wait(turn);
  auto refused = refuse(KafkaError::not_leader_or_follower,
                        fmt::format("another broker leads {} now", options_.name));
  refused.error().moved = true;
  co_return refused;
}

Task<void> StreamPartition::wait_resumed() {
  while (paused_) co_await settled_.wait();
}

}  // namespace paceline::partition
