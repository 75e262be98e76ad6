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
  // For what nobody waits for yet: only while there is room to spare, and nobody waits.
  std::optional<Pass> try_enter(uint64_t bytes);
  bool has_spare(uint64_t bytes) const;
  uint64_t bytes_in_flight() const { return bytes_; }
  uint32_t requests_in_flight() const { return requests_; }

 private:
  // Lives in the waiting frame; leaves the queue, or gives back what it was granted, with it.
  struct Waiter {
    ReadGate* gate;
    uint64_t reader;
    uint64_t bytes;
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
  void take(uint64_t bytes) {
    bytes_ += bytes;
    ++requests_;
  }
  void leave(uint64_t bytes);
  void queue(Waiter& waiter);
  void grant();

  env::Shard& shard_;
  const uint64_t bytes_max_;
  const uint32_t requests_max_;
  uint64_t bytes_ = 0;
  uint32_t requests_ = 0;
  std::list<Turn> turns_;  // one a reader; the first is next
  env::Event granted_{shard_};
};

}  // namespace paceline::stream
