#include "history/lines.h"

#include <algorithm>
#include <tuple>

namespace paceline::history {

void Ranges::add(uint64_t start, uint64_t end) {
  if (start >= end) return;
  if (!ranges_.empty() && ranges_.back().end == start) {
    ranges_.back().end = end;
  } else {
    ranges_.push_back({start, end});
  }
}

void Ranges::settle() {
  std::ranges::sort(ranges_, {}, &Range::start);
  size_t kept = 0;
  for (const Range& range : ranges_) {
    if (kept > 0 && range.start <= ranges_[kept - 1].end) {
      ranges_[kept - 1].end = std::max(ranges_[kept - 1].end, range.end);
    } else {
      ranges_[kept++] = range;
    }
  }
  ranges_.resize(kept);
}

std::vector<Ranges::Range> Ranges::missing(uint64_t start, uint64_t end) const {
  std::vector<Range> gaps;
  auto range = std::ranges::upper_bound(ranges_, start, {}, &Range::end);
  for (; start < end && range != ranges_.end() && range->start < end; ++range) {
    if (start < range->start) gaps.push_back({start, range->start});
    start = std::max(start, range->end);
  }
  if (start < end) gaps.push_back({start, end});
  return gaps;
}

uint64_t Ranges::next(uint64_t at, uint64_t none_above) const {
  const auto range = std::ranges::upper_bound(ranges_, at, {}, &Range::end);
  return range == ranges_.end() ? none_above : std::min(std::max(at, range->start), none_above);
}

uint64_t Ranges::size() const {
  uint64_t sum = 0;
  for (const Range& range : ranges_) sum += range.end - range.start;
  return sum;
}

void Lines::settle() {
  // Runs of one line have one difference; unsigned, so that it is exact.
  auto difference = [](const Run& run) { return run.value - static_cast<uint64_t>(run.offset); };
  std::ranges::sort(by_offset_, [&](const Run& a, const Run& b) {
    return std::tuple(difference(a), a.offset) < std::tuple(difference(b), b.offset);
  });
  size_t kept = 0;
  for (const Run& run : by_offset_) {
    Run* last = kept > 0 ? &by_offset_[kept - 1] : nullptr;
    if (last && difference(*last) == difference(run) && run.offset <= last->end()) {
      last->count = static_cast<uint64_t>(std::max(last->end(), run.end()) - last->offset);
    } else {
      by_offset_[kept++] = run;
    }
  }
  by_offset_.resize(kept);
  by_offset_.shrink_to_fit();
  by_value_ = by_offset_;
  std::ranges::sort(by_offset_, {},
                    [](const Run& run) { return std::tuple(run.offset, run.value); });
  std::ranges::sort(by_value_, {},
                    [](const Run& run) { return std::tuple(run.value, run.offset); });
  for (const Run& run : by_value_) count_max_ = std::max(count_max_, run.count);
}

std::vector<Run> Lines::of_values(Value start, Value end) const {
  std::vector<Run> parts;
  const Value reach = start > count_max_ ? start - count_max_ : 0;
  auto run = std::ranges::lower_bound(by_value_, reach, {}, &Run::value);
  for (; run != by_value_.end() && run->value < end; ++run) {
    const Value low = std::max(start, run->value);
    const Value high = std::min(end, run->value_end());
    if (low < high)
      parts.push_back({run->offset + static_cast<int64_t>(low - run->value), low, high - low});
  }
  return parts;
}

}  // namespace paceline::history
