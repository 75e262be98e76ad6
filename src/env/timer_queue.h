#pragma once

#include <cstdint>
#include <vector>

#include "env/shard.h"

namespace paceline::env {

// Callbacks by (instant, order of adding): a binary heap that can remove from its middle. An id
// carries a generation, so one that has run or was removed never names a later timer.
class TimerQueue {
 public:
  using Id = Shard::TimerId;

  Id add(Instant when, Callback callback);
  void remove(Id id);
  bool empty() const { return heap_.empty(); }
  // REQUIRES: !empty()
  Instant next() const { return slots_[heap_.front()].when; }
  Callback take_next();
  // Destroys all callbacks; what their destructors add is destroyed as well.
  void clear();

 private:
  struct Slot {
    Instant when;
    uint64_t sequence = 0;
    uint32_t generation = 1;
    uint32_t place = 0;  // in heap_
    Callback callback;
  };
  bool before(uint32_t a, uint32_t b) const;
  void sift_up(uint32_t place);
  void sift_down(uint32_t place);
  Callback take(uint32_t place);

  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> heap_;  // slot indexes
  uint64_t sequence_ = 0;
};

}  // namespace paceline::env
