#include <fmt/format.h>

#include <algorithm>

#include "stream/core.h"

namespace paceline::stream {

Result<void> StoredStream::usable() const {
  if (erased_) return fail(Code::not_found, fmt::format("stream {} was erased", id_.to_string()));
  if (!offline_.empty()) return fail(Code::corrupt, offline_);
  return {};
}

// Refusals that need no log: nothing was sent. On success the batches count as on their way.
Result<void> StoredStream::admit(const std::vector<Batch>& batches) {
  TRY_VOID(usable());
  if (core_->lost) return fail(Code::sealed, "the lane is lost");
  if (batches.empty()) return fail(Code::invalid_argument, "an append without batches");
  if (core_->counters.unuploaded_bytes.load(std::memory_order_relaxed) >
      core_->unuploaded_bytes_max())
    return fail(Code::unavailable, "the object store is behind: too much waits for its upload");
  // After an error the owner goes on from end(), once nothing of it is in flight.
  if (in_flight_ == 0) appended_end_ = end_;
  Offset next = appended_end_;
  for (const Batch& batch : batches) {
    if (batch.base != next)
      return fail(Code::conflict, fmt::format("stream {} goes on at {}, the batch starts at {}",
                                              id_.to_string(), next.value, batch.base.value));
    if (batch.count == 0) return fail(Code::invalid_argument, "a batch without offsets");
    appended_epoch_ = std::max(appended_epoch_, batch.epoch);
    next = batch.end();
  }
  appended_end_ = next;
  held_ = false;  // the move is off
  return {};
}

Task<Result<Position>> StoredStream::append(std::vector<Batch> batches) {
  CO_TRY_VOID(admit(batches));
  std::vector<wal::Entry> entries;
  entries.reserve(batches.size());
  for (const Batch& batch : batches)
    entries.push_back({{.stream = id_,
                        .kind = wal::EntryKind::batch,
                        .epoch = batch.epoch,
                        .base = batch.base,
                        .count = batch.count,
                        .append_time_ms = batch.append_time_ms,
                        .max_timestamp = batch.max_timestamp,
                        .producer_id = batch.producer_id},
                       batch.bytes,
                       batch.crc});
  // A cut waits for whoever is inside, so that what is below its position is in the run by then.
  const env::Gate::Pass inside = part_->enter();
  ++in_flight_;
  auto written = co_await core_->writer->append(part_->shard, std::move(entries));
  --in_flight_;
  CO_TRY(wal::Written durable, std::move(written));
  if (erased_)
    co_return fail(Code::not_found, fmt::format("stream {} was erased", id_.to_string()));
  const Position position = durable.end;
  persist(std::move(batches), std::move(durable));
  co_return position;
}

void StoredStream::persist(std::vector<Batch> batches, wal::Written written) {
  CHECK(written.payloads.size() == batches.size());
  uint64_t bytes = 0;
  for (size_t i = 0; i < batches.size(); ++i) {
    Batch& batch = batches[i];
    CHECK(batch.base == end_);  // the log acknowledges in order
    batch.bytes = std::move(written.payloads[i]);
    bytes += batch.bytes.size();
    end_ = batch.end();
    epoch_ = std::max(epoch_, batch.epoch);
    part_->cache(*this, std::move(batch));
  }
  tail_bytes_ += bytes;
  part_->evict();
  core_->note_unuploaded(bytes);
}

Task<Result<void>> StoredStream::trim(Offset new_start) {
  CO_TRY_VOID(usable());
  if (new_start > end_)
    co_return fail(Code::out_of_range, fmt::format("stream {} ends at {}; it cannot start at {}",
                                                   id_.to_string(), end_.value, new_start.value));
  if (new_start <= start_) co_return Result<void>{};
  // Inside until it is where a cut looks for it.
  const env::Gate::Pass inside = part_->enter();
  CO_TRY_VOID(co_await log_start(new_start));
  held_ = false;
  if (new_start > start_) set_start(new_start);
  core_->note_unuploaded(0);
  co_return Result<void>{};
}

// REQUIRES: inside the part.
Task<Result<void>> StoredStream::log_start(Offset start) {
  std::vector<wal::Entry> entries;
  // Behind a batch of a new term that is still on its way, an older epoch would count as stale.
  entries.push_back({{.stream = id_,
                      .kind = wal::EntryKind::trim,
                      .epoch = std::max(epoch_, appended_epoch_),
                      .base = start},
                     Slice()});
  auto written = co_await core_->writer->append(part_->shard, std::move(entries));
  if (!written) co_return fail(written.error());
  if (erased_)
    co_return fail(Code::not_found, fmt::format("stream {} was erased", id_.to_string()));
  co_return Result<void>{};
}

// A start that is known already.
Task<Result<void>> StoredStream::confirm() {
  CO_TRY_VOID(usable());
  const env::Gate::Pass inside = part_->enter();
  CO_TRY_VOID(co_await log_start(start_));
  confirmed_ = true;
  core_->note_unuploaded(0);
  co_return Result<void>{};
}

void StoredStream::set_start(Offset start) {
  start_ = start;
  drop_extents();
  while (!cached_.empty() && cached_.front().end() <= std::min(start_, uploaded_end_))
    part_->uncache(cached_.pop_front());
}

// A trimmed batch that no snapshot covers yet is still part of the owner's state.
void StoredStream::drop_extents() {
  const Offset needed = std::min(start_, uploaded_snapshot_end_);
  const auto kept =
      std::ranges::find_if(extents_, [&](const Extent& extent) { return extent.end > needed; });
  if (kept == extents_.begin()) return;
  for (auto extent = extents_.begin(); extent != kept; ++extent) extent_bytes_ -= extent->bytes;
  extents_.erase(extents_.begin(), kept);
  core_->dropped_extents = true;
}

Offset StoredStream::retention_start(const RetentionLimits& limits) const {
  Offset start = start_;
  uint64_t bytes = this->bytes();
  for (const Extent& extent : extents_) {
    const int64_t newest = extent.max_timestamp >= 0 ? extent.max_timestamp : extent.append_time_ms;
    const bool too_old = limits.older_than_ms && newest < *limits.older_than_ms;
    // A size is kept at least: the last extent that reaches over it stays.
    const bool too_much = limits.bytes_max && bytes - extent.bytes >= *limits.bytes_max;
    if (!too_old && !too_much) break;
    bytes -= extent.bytes;
    start = std::max(start, extent.end);
  }
  return start;
}

}  // namespace paceline::stream
