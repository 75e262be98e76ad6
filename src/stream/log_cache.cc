#include "stream/log_cache.h"

#include <algorithm>

namespace paceline::stream {

size_t BatchRun::find(Offset offset) const {
  const auto first = items_.begin() + static_cast<ptrdiff_t>(head_);
  const auto after =
      std::upper_bound(first, items_.end(), offset,
                       [](Offset value, const Item& item) { return value < item.batch.base; });
  if (after == first || offset >= std::prev(after)->batch.end()) return size();
  return static_cast<size_t>(std::prev(after) - first);
}

void BatchRun::push(Batch batch, uint64_t charge) {
  CHECK(empty() || items_.back().batch.end() == batch.base);
  charge_ += charge;
  items_.push_back({std::move(batch), charge});
}

uint64_t BatchRun::pop_front() {
  CHECK(!empty());
  const uint64_t charge = items_[head_].charge;
  items_[head_] = Item{};  // lets go of the block now
  charge_ -= charge;
  ++head_;
  if (head_ == items_.size()) {
    items_ = {};
    head_ = 0;
  } else if (head_ >= 32 && head_ * 2 >= items_.size()) {
    items_.erase(items_.begin(), items_.begin() + static_cast<ptrdiff_t>(head_));
    head_ = 0;
  }
  return charge;
}

uint64_t CacheOrder::charge_of(const Slice& bytes) {
  const std::byte* block = bytes.buffer().data();
  if (!block) return bytes.size();
  if (block != block_) {
    block_ = block;
    block_used_ = 0;
  }
  const auto from = static_cast<size_t>(bytes.data() - block);
  const size_t gap = from > block_used_ ? from - block_used_ : 0;
  block_used_ = std::max(block_used_, from + bytes.size());
  return bytes.size() + gap / shard_count_;
}

}  // namespace paceline::stream
