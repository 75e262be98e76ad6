#pragma once

#include <cstdint>
#include <utility>

#include "env/sync.h"

namespace paceline::partition {

// Keeps the order of calls that may suspend on their way: a turn taken comes when all taken before
// it are over. On one shard.
class Turns {
 public:
  explicit Turns(env::Shard& shard) : moved_(shard) {}

  class Turn {
   public:
    Turn() = default;
    Turn(Turn&& other) noexcept : of_(std::exchange(other.of_, nullptr)), number_(other.number_) {}
    Turn& operator=(Turn&& other) noexcept {
      std::swap(of_, other.of_);
      std::swap(number_, other.number_);
      return *this;
    }
    ~Turn() { end(); }
    void end() {
      if (Turns* of = std::exchange(of_, nullptr)) of->end(number_);
    }

   private:
    friend class Turns;
    Turn(Turns& of, uint64_t number) : of_(&of), number_(number) {}
    Turns* of_ = nullptr;
    uint64_t number_ = 0;
  };

  // Whether somebody stands before a new caller.
  bool any() const { return current_ != next_; }
  Turn take() { return Turn(*this, next_++); }
  Task<void> wait(const Turn& turn) {
    while (current_ < turn.number_) co_await moved_.wait();
  }

 private:
  // Out of order only where frames are destroyed unfinished, with their shard.
  void end(uint64_t number) {
    if (number < current_) return;
    current_ = number + 1;
    moved_.notify_all();
  }

  uint64_t current_ = 0;
  uint64_t next_ = 0;
  env::Event moved_;
};

}  // namespace paceline::partition
