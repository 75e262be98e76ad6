#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "env/shard.h"

namespace paceline::env {

// Memory as a number: whoever wants to hold bytes holds a permit for them first. One budget is
// shared by all shards. Over budget means waiting, in order of arrival, never growth.
class Budget {
 public:
  explicit Budget(uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // Bytes held until it is destroyed, on any shard.
  class Permit {
   public:
    Permit() = default;
    Permit(Permit&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Permit& operator=(Permit&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Permit() { release(); }
    uint64_t bytes() const { return bytes_; }
    void release();

   private:
    friend class Budget;
    Permit(Budget& budget, uint64_t bytes) : budget_(&budget), bytes_(bytes) {}
    Budget* budget_ = nullptr;
    uint64_t bytes_ = 0;
  };

  // Nothing if it does not fit now or somebody waits already.
  std::optional<Permit> try_acquire(uint64_t bytes);
  // Waits on `shard`. A request above the whole budget is granted once nothing else is held, so
  // that it makes progress; callers bound single requests by their own limits.
  Task<Permit> acquire(Shard& shard, uint64_t bytes);

  uint64_t bytes_max() const { return bytes_max_; }
  uint64_t bytes_held() const;

 private:
  // Lives in the waiting frame. Everything in it is touched under the mutex alone; a frame that is
  // destroyed while it waits leaves the queue, or gives back what it had been granted.
  struct Awaiter;

  bool fits(uint64_t bytes) const { return held_ == 0 || held_ + bytes <= bytes_max_; }
  void give_back(uint64_t bytes);

  const uint64_t bytes_max_;
  mutable std::mutex mutex_;
  uint64_t held_ = 0;
  std::deque<Awaiter*> waiters_;
};

}  // namespace paceline::env
