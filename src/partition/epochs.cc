#include "partition/epochs.h"

#include <algorithm>

namespace paceline::partition {

void EpochHistory::begin(Epoch epoch, Offset start) {
  if (epoch <= last()) return;
  while (!entries_.empty() && entries_.back().start >= start) entries_.pop_back();
  entries_.push_back({epoch, start});
}

void EpochHistory::prune(Offset log_start) {
  size_t gone = 0;
  while (gone + 1 < entries_.size() && entries_[gone + 1].start <= log_start) ++gone;
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<ptrdiff_t>(gone));
}

EpochEnd EpochHistory::end_of(Epoch asked, Offset log_end) const {
  if (asked.value < 0 || entries_.empty() || asked > last()) return {};
  auto above = std::ranges::upper_bound(entries_, asked, {}, &Entry::epoch);
  const Offset end = above == entries_.end() ? log_end : above->start;
  const Epoch epoch = above == entries_.begin() ? asked : std::prev(above)->epoch;
  return EpochEnd{epoch, end};
}

Epoch EpochHistory::at(Offset offset) const {
  auto above = std::ranges::upper_bound(entries_, offset, {}, &Entry::start);
  return above == entries_.begin() ? Epoch{-1} : std::prev(above)->epoch;
}

void EpochHistory::encode(Encoder& encoder, Offset end) const {
  const auto count = std::ranges::lower_bound(entries_, end, {}, &Entry::start) - entries_.begin();
  encoder.varint(static_cast<uint64_t>(count));
  for (ptrdiff_t i = 0; i < count; ++i) encoder.put(entries_[i].epoch).put(entries_[i].start);
}

EpochHistory EpochHistory::decode(Decoder& decoder) {
  EpochHistory history;
  const size_t count = decoder.count(12);
  for (size_t i = 0; i < count; ++i) {
    const Entry entry{decoder.get<Epoch>(), decoder.get<Offset>()};
    const bool grows = history.entries_.empty() ? entry.epoch.value >= 0 && entry.start.value >= 0
                                                : entry.epoch > history.last() &&
                                                      entry.start > history.entries_.back().start;
    if (!grows) decoder.invalidate();
    if (!decoder.ok()) break;
    history.entries_.push_back(entry);
  }
  return history;
}

}  // namespace paceline::partition
