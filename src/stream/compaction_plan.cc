#include "stream/compaction_plan.h"

#include <algorithm>

namespace paceline::stream {
namespace {

// One that is more than a quarter of a whole would be moved again and again for little.
bool dominates(uint64_t largest, uint64_t total) {
  return largest > total / 4;
}

class Planner {
 public:
  Planner(const CompactionInput& input, const CompactionLimits& limits)
      : input_(input), limits_(limits) {
    for (const CompactionInput::Stream& stream : input_.streams)
      chosen_.emplace_back(stream.extents.size(), false);
  }

  std::vector<CompactionItem> plan() {
    for (size_t stream = 0; stream < input_.streams.size(); ++stream)
      if (input_.streams[stream].movable) merge_short(stream);
    drain_objects();
    return pack(runs());
  }

 private:
  struct Rest {
    uint64_t bytes = 0;          // live and not chosen
    uint64_t movable_bytes = 0;  // of them
    std::vector<std::pair<size_t, size_t>> movable;
  };

  // Chooses among the stretches of short extents between long ones.
  void merge_short(size_t stream) {
    const std::vector<Extent>& extents = input_.streams[stream].extents;
    size_t first = 0;
    while (first < extents.size()) {
      size_t last = first;
      while (last < extents.size() && extents[last].bytes < limits_.long_bytes()) ++last;
      if (last > first) merge_stretch(stream, first, last);
      first = std::max(last, first + 1);
    }
  }

  // [first, last) is short. Where one dominates, what is on its sides is judged by itself.
  void merge_stretch(size_t stream, size_t first, size_t last) {
    const std::vector<Extent>& extents = input_.streams[stream].extents;
    std::vector<std::pair<size_t, size_t>> stretches{{first, last}};
    while (!stretches.empty()) {
      const auto [from, to] = stretches.back();
      stretches.pop_back();
      uint64_t total = 0;
      size_t largest = from;
      for (size_t i = from; i < to; ++i) {
        total += extents[i].bytes;
        if (extents[i].bytes > extents[largest].bytes) largest = i;
      }
      if (!worth_merging(to - from, total)) continue;
      if (dominates(extents[largest].bytes, total)) {
        stretches.emplace_back(from, largest);
        stretches.emplace_back(largest + 1, to);
        continue;
      }
      choose_whole_objects(stream, from, to);
    }
  }

  bool worth_merging(size_t count, uint64_t bytes) const {
    return count >= limits_.fan_in || (count > 1 && bytes >= limits_.object_bytes_max);
  }

  // As many pieces of an object's size as there are; what is left over waits if it is little.
  void choose_whole_objects(size_t stream, size_t from, size_t to) {
    const std::vector<Extent>& extents = input_.streams[stream].extents;
    while (from < to) {
      uint64_t bytes = 0;
      size_t next = from;
      while (next < to && bytes + extents[next].bytes <= limits_.object_bytes_max)
        bytes += extents[next++].bytes;
      const bool whole = next < to;
      if (!whole && next - from < limits_.fan_in) return;
      std::fill(chosen_[stream].begin() + static_cast<ptrdiff_t>(from),
                chosen_[stream].begin() + static_cast<ptrdiff_t>(next), true);
      from = next;
    }
  }

  std::vector<std::pair<ObjectId, Rest>> rests() const {
    std::unordered_map<ObjectId, Rest> by_object;
    for (size_t stream = 0; stream < input_.streams.size(); ++stream) {
      const CompactionInput::Stream& one = input_.streams[stream];
      for (size_t i = 0; i < one.extents.size(); ++i) {
        if (chosen_[stream][i]) continue;
        Rest& rest = by_object[one.extents[i].object];
        rest.bytes += one.extents[i].bytes;
        if (!one.movable) continue;
        rest.movable_bytes += one.extents[i].bytes;
        rest.movable.emplace_back(stream, i);
      }
    }
    std::vector<std::pair<ObjectId, Rest>> sorted;
    for (auto& [id, rest] : by_object)
      if (!rest.movable.empty()) sorted.emplace_back(id, std::move(rest));
    std::ranges::sort(sorted, {}, [](const auto& one) { return one.first; });
    return sorted;
  }

  void drain(const Rest& rest) {
    for (const auto& [stream, index] : rest.movable) chosen_[stream][index] = true;
  }

  void drain_objects() {
    std::vector<Rest> small;
    for (auto& [id, rest] : rests()) {
      const auto made = input_.made_bytes.find(id);
      if (made != input_.made_bytes.end() && rest.bytes < made->second / 2) {
        drain(rest);
      } else if (rest.bytes < limits_.own_object_bytes()) {
        small.push_back(std::move(rest));
      }
    }
    std::ranges::sort(small, {}, &Rest::movable_bytes);
    uint64_t total = 0;
    for (const Rest& rest : small) total += rest.movable_bytes;
    while (small.size() >= 2 && dominates(small.back().movable_bytes, total)) {
      total -= small.back().movable_bytes;
      small.pop_back();
    }
    if (small.size() < limits_.fan_in && total < 4 * limits_.object_bytes_max) return;
    for (const Rest& rest : small) drain(rest);
  }

  std::vector<CompactionRun> runs() const {
    std::vector<CompactionRun> all;
    for (size_t stream = 0; stream < input_.streams.size(); ++stream) {
      const CompactionInput::Stream& one = input_.streams[stream];
      bool goes_on = false;
      for (size_t i = 0; i < one.extents.size(); ++i) {
        const Extent& extent = one.extents[i];
        if (!chosen_[stream][i]) {
          goes_on = false;
          continue;
        }
        if (!goes_on || all.back().bytes + extent.bytes > limits_.object_bytes_max)
          all.push_back({.stream = one.id, .extents = {}, .bytes = 0});
        all.back().extents.push_back(extent);
        all.back().bytes += extent.bytes;
        goes_on = true;
      }
    }
    return all;
  }

  std::vector<CompactionItem> pack(std::vector<CompactionRun> runs) const {
    std::vector<CompactionItem> items;
    CompactionItem shared;
    auto close = [&] {
      if (!shared.runs.empty()) items.push_back(std::exchange(shared, {}));
    };
    for (CompactionRun& run : runs) {
      if (run.bytes >= limits_.own_object_bytes()) {
        CompactionItem own{.runs = {}, .bytes = run.bytes};
        own.runs.push_back(std::move(run));
        items.push_back(std::move(own));
        continue;
      }
      if (shared.bytes + run.bytes > limits_.object_bytes_max) close();
      shared.bytes += run.bytes;
      shared.runs.push_back(std::move(run));
    }
    close();
    return items;
  }

  const CompactionInput& input_;
  const CompactionLimits& limits_;
  std::vector<std::vector<bool>> chosen_;  // of each stream's extents
};

}  // namespace

std::vector<CompactionItem> plan_compaction(const CompactionInput& input,
                                            const CompactionLimits& limits) {
  return Planner(input, limits).plan();
}

}  // namespace paceline::stream
