#include "stream/read_gate.h"

#include <algorithm>

namespace paceline::stream {

ReadGate::Waiter::~Waiter() {
  if (taken) return;
  if (granted) {
    gate->leave(bytes);
    return;
  }
  if (spare_tag) {
    gate->spare_.remove(this);
    return;
  }
  for (auto turn = gate->turns_.begin(); turn != gate->turns_.end(); ++turn) {
    if (turn->reader != reader) continue;
    turn->waiters.remove(this);
    if (turn->waiters.empty()) gate->turns_.erase(turn);
    return;
  }
}

Task<ReadGate::Pass> ReadGate::enter(uint64_t reader, uint64_t bytes) {
  Waiter waiter{.gate = this, .reader = reader, .bytes = bytes};
  queue(waiter);
  co_return co_await wait(waiter);
}

Task<ReadGate::Pass> ReadGate::enter_when_spare(uint64_t reader, uint64_t bytes, uint64_t tag) {
  Waiter waiter{.gate = this, .reader = reader, .bytes = bytes, .spare_tag = tag};
  spare_.push_back(&waiter);
  co_return co_await wait(waiter);
}

Task<ReadGate::Pass> ReadGate::wait(Waiter& waiter) {
  grant();
  while (!waiter.granted) co_await granted_.wait();
  waiter.taken = true;
  co_return Pass(*this, waiter.bytes);
}

void ReadGate::hurry(uint64_t tag) {
  const auto found = std::ranges::find(spare_, tag, &Waiter::spare_tag);
  if (found == spare_.end()) return;
  Waiter& waiter = **found;
  spare_.erase(found);
  waiter.spare_tag.reset();
  queue(waiter);
  grant();
}

void ReadGate::leave(uint64_t bytes) {
  bytes_ -= bytes;
  --requests_;
  grant();
}

void ReadGate::queue(Waiter& waiter) {
  const auto turn = std::ranges::find(turns_, waiter.reader, &Turn::reader);
  if (turn != turns_.end()) {
    turn->waiters.push_back(&waiter);
  } else {
    turns_.push_back({waiter.reader, {&waiter}});
  }
}

void ReadGate::let_in(Waiter& waiter) {
  bytes_ += waiter.bytes;
  ++requests_;
  waiter.granted = true;
}

// The next in turn goes first, also where one behind it would fit: a big request is not starved.
void ReadGate::grant() {
  bool any = false;
  while (!turns_.empty() && fits(turns_.front().waiters.front()->bytes)) {
    let_in(*turns_.front().waiters.front());
    turns_.front().waiters.pop_front();
    if (turns_.front().waiters.empty()) {
      turns_.pop_front();
    } else {
      turns_.splice(turns_.end(), turns_, turns_.begin());
    }
    any = true;
  }
  while (!spare_.empty() && has_spare(spare_.front()->bytes)) {
    let_in(*spare_.front());
    spare_.pop_front();
    any = true;
  }
  if (any) granted_.notify_all();
}

}  // namespace paceline::stream
