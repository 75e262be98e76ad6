#pragma once

#include <cstdint>
#include <optional>

#include "base/check.h"

namespace paceline::probe {

// When records are to be sent, whatever becomes of them: start + n * interval. What could not be
// sent in its time keeps its time, so that waiting counts. Pure.
class Schedule {
 public:
  Schedule(int64_t start_ns, int64_t interval_ns) : next_ns_(start_ns), interval_ns_(interval_ns) {
    CHECK(interval_ns > 0);
  }

  // The intended time of the next record, if that has come.
  std::optional<int64_t> due(int64_t now_ns) const {
    if (resting_ || next_ns_ > now_ns) return std::nullopt;
    return next_ns_;
  }
  int64_t next_ns() const { return next_ns_; }
  // It is sent.
  void advance() { next_ns_ += interval_ns_; }

  // At rest nothing is due, and what would have been is not made up for.
  void rest() { resting_ = true; }
  void go_on(int64_t now_ns) {
    if (!resting_) return;
    resting_ = false;
    if (next_ns_ < now_ns)
      next_ns_ += (now_ns - next_ns_ + interval_ns_ - 1) / interval_ns_ * interval_ns_;
  }

 private:
  int64_t next_ns_;
  const int64_t interval_ns_;
  bool resting_ = false;
};

}  // namespace paceline::probe
