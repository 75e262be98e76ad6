#pragma once

#include <cstdint>
#include <vector>

#include "history/history.h"

namespace paceline::history {

// A set of numbers as ranges [start, end). Filled first, settled once, asked then.
class Ranges {
 public:
  struct Range {
    uint64_t start = 0;
    uint64_t end = 0;
  };
  void add(uint64_t start, uint64_t end);
  void settle();
  // The parts of [start, end) that are not in the set, in order. REQUIRES: settled.
  std::vector<Range> missing(uint64_t start, uint64_t end) const;
  // The lowest member at or above `at`; nothing below `none_above` if there is none.
  uint64_t next(uint64_t at, uint64_t none_above) const;
  uint64_t size() const;

 private:
  std::vector<Range> ranges_;  // once settled: in order, with gaps between them
};

// Which value is where, as the fewest runs that say so. Filled first, settled once, asked then.
class Lines {
 public:
  void add(const Run& run) { by_offset_.push_back(run); }
  void settle();

  // All runs. Two that share an offset (a value) have different values (offsets) for it.
  const std::vector<Run>& by_offset() const { return by_offset_; }
  const std::vector<Run>& by_value() const { return by_value_; }
  // The parts of the runs that hold values of [start, end), in the order of values.
  std::vector<Run> of_values(Value start, Value end) const;

 private:
  std::vector<Run> by_offset_;
  std::vector<Run> by_value_;
  uint64_t count_max_ = 0;
};

}  // namespace paceline::history
