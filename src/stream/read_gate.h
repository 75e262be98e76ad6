#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <utility>

#include "env/sync.h"

namespace paceline::stream {

// What reads of one shard may have in flight at the object store, in bytes and in requests, apart
// from everything else that uses it. Over the bounds readers wait; those of different streams take
// turns, so that one that asks for much delays the others by one request each, not by all of its
// own.
class ReadGate {
 public:
  ReadGate(env::Shard& shard, uint64_t bytes_max, uint32_t requests_max)
      : shard_(shard), bytes_max_(bytes_max), requests_max_(requests_max) {}
  ReadGate(const ReadGate&) = delete;
  ReadGate& operator=(const ReadGate&) = delete;

  // One request in flight.
  class Pass {
   public:
    Pass(ReadGate& gate, uint64_t bytes) : gate_(&gate), bytes_(bytes) {}
    Pass(Pass&& other) noexcept
        : gate_(std::exchange(other.gate_, nullptr)), bytes_(other.bytes_) {}
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (gate_) gate_->leave(bytes_);
    }

   private:
    ReadGate* gate_;
    uint64_t bytes_;
  };

  // In turn. A request above the bound is granted once nothing else is in flight.
  Task<Pass> enter(uint64_t reader, uint64_t bytes);
  // For what nobody waits for yet: goes while there is room to spare and nobody waits, in the order
  // in which it came. `tag` names it for hurry(), with which it waits like all others.
  Task<Pass> enter_when_spare(uint64_t reader, uint64_t bytes, uint64_t tag);
  void hurry(uint64_t tag);
  uint64_t bytes_in_flight() const { return bytes_; }
  uint32_t requests_in_flight() const { return requests_; }

 private:
  // Lives in the waiting frame; leaves the queue, or gives back what it was granted, with it.
  struct Waiter {
    ReadGate* gate;
    uint64_t reader;
    uint64_t bytes;
    std::optional<uint64_t> spare_tag = {};  // of one that waits for room to spare
    bool granted = false;
    bool taken = false;
    ~Waiter();
  };
  struct Turn {
    uint64_t reader;
    std::list<Waiter*> waiters;
  };

  bool fits(uint64_t bytes) const {
    return requests_ == 0 || (requests_ < requests_max_ && bytes_ + bytes <= bytes_max_);
  }
  bool has_spare(uint64_t bytes) const {
    return turns_.empty() && (requests_ == 0 || (requests_ < requests_max_ * 3 / 4 &&
                                                 bytes_ + bytes <= bytes_max_ / 4 * 3));
  }
  Task<Pass> wait(Waiter& waiter);
  void let_in(Waiter& waiter);
  void leave(uint64_t bytes);
  void queue(Waiter& waiter);
  void grant();

  env::Shard& shard_;
  const uint64_t bytes_max_;
  const uint32_t requests_max_;
  uint64_t bytes_ = 0;
  uint32_t requests_ = 0;
  std::list<Turn> turns_;     // one a reader; the first is next
  std::list<Waiter*> spare_;  // likewise
  env::Event granted_{shard_};
};

}  // namespace paceline::stream
