#include "broker/answer_memory.h"

#include <cstring>

namespace paceline::broker {
namespace {

// Calls run(first, last, bytes) for each run of slices that stand in one block.
template <class Run>
void each_block(const std::vector<Slice>& slices, Run run) {
  for (size_t first = 0; first < slices.size();) {
    size_t last = first;
    size_t bytes = 0;
    for (; last < slices.size() && slices[last].buffer().same_block(slices[first].buffer()); ++last)
      bytes += slices[last].size();
    run(first, last, bytes);
    first = last;
  }
}

}  // namespace

uint64_t memory_of(const std::vector<Slice>& slices) {
  uint64_t bytes = 0;
  each_block(slices, [&](size_t first, size_t, size_t) { bytes += slices[first].buffer().size(); });
  return bytes;
}

void let_blocks_go(std::vector<Slice>& slices) {
  std::vector<Slice> kept;
  each_block(slices, [&](size_t first, size_t last, size_t bytes) {
    if (slices[first].buffer().size() <= 2 * bytes) {
      kept.insert(kept.end(), slices.begin() + static_cast<ptrdiff_t>(first),
                  slices.begin() + static_cast<ptrdiff_t>(last));
      return;
    }
    Buffer own = Buffer::allocate(bytes);
    size_t at = 0;
    for (size_t i = first; i < last; ++i) {
      if (!slices[i].empty()) std::memcpy(own.data() + at, slices[i].data(), slices[i].size());
      at += slices[i].size();
    }
    kept.emplace_back(std::move(own));
  });
  slices = std::move(kept);
}

}  // namespace paceline::broker
