#include <algorithm>

#include "stream/core.h"

namespace paceline::stream {

// The first batch of an extent at or after a timestamp, not wholly below `start`.
Task<Result<std::optional<Batch>>> StoredStream::first_in_extent(Extent extent, Offset start,
                                                                 int64_t timestamp) {
  CO_TRY(auto index, co_await part_->reader.index(extent.object, ObjectReader::Why::read));
  for (const BlockRef& ref : index->of_stream(id_)) {
    if (!extent.holds(ref.base)) continue;  // of another run of ours in the same object
    if (ref.max_timestamp < timestamp || ref.end <= start) continue;
    CO_TRY(auto block, co_await part_->reader.block(extent.object, ref, ObjectReader::Why::read));
    for (const Batch& batch : block->batches)
      if (batch.max_timestamp >= timestamp && batch.end() > start)
        co_return std::optional<Batch>(batch);
  }
  co_return std::optional<Batch>();
}

Task<Result<std::optional<Batch>>> StoredStream::first_batch_since(int64_t timestamp) {
  CO_TRY_VOID(usable());
  const Offset start = start_;
  Offset seen = start;
  // Extents may go or come while one is read: the offset reached tells where to go on.
  for (;;) {
    const auto next = std::ranges::find_if(extents_, [&](const Extent& extent) {
      return extent.end > seen && extent.max_timestamp >= timestamp;
    });
    if (next == extents_.end()) break;
    const Extent extent = *next;
    auto found = co_await first_in_extent(extent, start, timestamp);
    if (!found && was_moved(extent, found.error())) continue;
    if (!found || *found) co_return found;
    seen = extent.end;
  }
  seen = std::max(seen, extents_.empty() ? start : extents_.back().end);
  for (size_t i = 0; i < cached_.size(); ++i) {
    const Batch& batch = cached_.at(i);
    if (batch.end() > seen && batch.max_timestamp >= timestamp)
      co_return std::optional<Batch>(batch);
  }
  co_return std::optional<Batch>();
}

// Replaces `best` by the first batch of the extent that holds more than it.
Task<Result<void>> StoredStream::improve_by_extent(Extent extent, Offset start,
                                                   std::optional<Batch>& best) {
  CO_TRY(auto index, co_await part_->reader.index(extent.object, ObjectReader::Why::read));
  for (const BlockRef& ref : index->of_stream(id_)) {
    if (!extent.holds(ref.base)) continue;
    if (ref.end <= start || (best && ref.max_timestamp <= best->max_timestamp)) continue;
    CO_TRY(auto block, co_await part_->reader.block(extent.object, ref, ObjectReader::Why::read));
    for (const Batch& batch : block->batches)
      if (batch.end() > start && (!best || batch.max_timestamp > best->max_timestamp)) best = batch;
  }
  co_return Result<void>{};
}

// Whether an error is of an object that compaction has replaced and the collector has deleted
// since.
bool StoredStream::was_moved(const Extent& extent, const Error& error) const {
  if (error.code != Code::corrupt) return false;
  const Extent* now = find_extent(extent.base);
  return !now || now->object != extent.object;
}

Task<Result<std::optional<Batch>>> StoredStream::batch_of_max_timestamp() {
  CO_TRY_VOID(usable());
  const Offset start = start_;
  const std::vector<Extent> extents = extents_;
  // What is above the extents; taken now, before anything suspends.
  const Offset uploaded = extents.empty() ? start : std::max(start, extents.back().end);
  std::optional<Batch> tail;
  for (size_t i = 0; i < cached_.size(); ++i) {
    const Batch& batch = cached_.at(i);
    if (batch.end() > uploaded && (!tail || batch.max_timestamp > tail->max_timestamp))
      tail = batch;
  }
  std::optional<Batch> best;
  int64_t whole_max = -1;
  for (const Extent& extent : extents)
    if (extent.base >= start) whole_max = std::max(whole_max, extent.max_timestamp);
  for (const Extent& extent : extents) {
    // Of whole extents only the first with the maximum counts; of a trimmed one nobody knows yet.
    const bool trimmed = extent.base < start;
    if (!trimmed &&
        (extent.max_timestamp < whole_max || (best && extent.max_timestamp <= best->max_timestamp)))
      continue;
    auto improved = co_await improve_by_extent(extent, start, best);
    if (improved) continue;
    if (was_moved(extent, improved.error())) co_return co_await batch_of_max_timestamp();
    co_return fail(improved.error());
  }
  if (tail && (!best || tail->max_timestamp > best->max_timestamp)) best = tail;
  co_return best;
}

}  // namespace paceline::stream
