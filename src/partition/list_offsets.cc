#include <fmt/format.h>

#include "partition/stream_partition.h"
#include "record/records.h"

namespace paceline::partition {
namespace {

constexpr size_t kReadBytes = 1 << 20;
using Found = std::optional<record::TimestampedOffset>;

// The first record at or above `from` with at least `timestamp`. A batch may start below the log
// start; then its first records are not there any more.
Result<Found> find_in_batch(const stream::Batch& batch, Offset from, int64_t timestamp) {
  TRY(auto view, record::BatchView::parse(batch.bytes.bytes()));
  if (batch.base >= from) return record::find_by_timestamp(view, timestamp);
  TRY(auto reader, record::RecordReader::open(view));
  for (;;) {
    TRY(auto one, reader.next());
    if (!one) return Found{};
    if (one->offset >= from && one->timestamp >= timestamp)
      return Found(record::TimestampedOffset{one->offset, one->timestamp});
  }
}

}  // namespace

// The index gives a batch that should have the record; where its header promised too much, or where
// the record is below the log start, the ones after it are looked at.
Task<KafkaResult<TimestampAndOffset>> StreamPartition::find_by_time(int64_t timestamp) {
  auto candidate = co_await stream_->first_batch_since(timestamp);
  if (!candidate) co_return fail(told(candidate.error()));
  if (!*candidate) co_return TimestampAndOffset{};
  std::vector<stream::Batch> batches;
  batches.push_back(std::move(**candidate));
  while (!batches.empty()) {
    for (const stream::Batch& batch : batches) {
      if (batch.max_timestamp < timestamp) continue;
      auto found = find_in_batch(batch, stream_->start(), timestamp);
      if (!found) co_return fail(told(found.error()));
      if (*found) co_return TimestampAndOffset{(*found)->timestamp, (*found)->offset, batch.epoch};
    }
    const stream::ReadRequest next{batches.back().end(), kReadBytes, true};
    if (next.from >= stream_->end()) break;
    auto read = co_await stream_->read(next);
    if (!read) co_return fail(told(read.error()));
    batches = std::move(read->batches);
  }
  co_return TimestampAndOffset{};
}

Task<KafkaResult<TimestampAndOffset>> StreamPartition::find_max_time() {
  auto batch = co_await stream_->batch_of_max_timestamp();
  if (!batch) co_return fail(told(batch.error()));
  if (!*batch) co_return TimestampAndOffset{};
  auto view = record::BatchView::parse((*batch)->bytes.bytes());
  if (!view) co_return fail(told(view.error()));
  auto found = record::find_max_timestamp(*view);
  if (!found) co_return fail(told(found.error()));
  if (!*found) co_return TimestampAndOffset{};
  co_return TimestampAndOffset{(*found)->timestamp, (*found)->offset, (*batch)->epoch};
}

Task<KafkaResult<TimestampAndOffset>> StreamPartition::list_offset(int64_t timestamp_or_query,
                                                                   Epoch expected_epoch,
                                                                   bool /*read_committed*/) {
  auto pass = calls_.enter();
  CO_TRY_VOID(check_open(expected_epoch));
  if (timestamp_or_query >= 0) co_return co_await find_by_time(timestamp_or_query);
  switch (static_cast<TimestampQuery>(timestamp_or_query)) {
    case TimestampQuery::latest:
      co_return TimestampAndOffset{-1, stream_->end(), options_.epoch};
    case TimestampQuery::earliest:
    case TimestampQuery::local_start:
      co_return TimestampAndOffset{-1, stream_->start(), epochs_.at(stream_->start())};
    case TimestampQuery::max_timestamp:
      co_return co_await find_max_time();
    case TimestampQuery::tiered_end:
      co_return TimestampAndOffset{};
  }
  co_return record::kafka_fail(KafkaError::invalid_request,
                               fmt::format("{} is no timestamp to look for", timestamp_or_query));
}

}  // namespace paceline::partition
