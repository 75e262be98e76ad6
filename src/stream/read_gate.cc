#include "stream/read_gate.h"

#include <algorithm>

namespace paceline::stream {

ReadGate::Waiter::~Waiter() {
  if (taken) return;
  if (granted) {
    gate->leave(bytes);
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
  grant();
  while (!waiter.granted) co_await granted_.wait();
  waiter.taken = true;
  co_return Pass(*this, bytes);
}

bool ReadGate::has_spare(uint64_t bytes) const {
  return turns_.empty() && requests_ < std::max(requests_max_ * 3 / 4, 1u) &&
         bytes_ + bytes <= bytes_max_ / 4 * 3;
}

std::optional<ReadGate::Pass> ReadGate::try_enter(uint64_t bytes) {
  if (!has_spare(bytes)) return std::nullopt;
  take(bytes);
  return Pass(*this, bytes);
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

// The next in turn goes first, also where one behind it would fit: a big request is not starved.
void ReadGate::grant() {
  bool any = false;
  while (!turns_.empty() && fits(turns_.front().waiters.front()->bytes)) {
    Waiter& waiter = *turns_.front().waiters.front();
    turns_.front().waiters.pop_front();
    if (turns_.front().waiters.empty()) {
      turns_.pop_front();
    } else {
      turns_.splice(turns_.end(), turns_, turns_.begin());
    }
    take(waiter.bytes);
    waiter.granted = true;
    any = true;
  }
  if (any) granted_.notify_all();
}

}  // namespace paceline::stream
