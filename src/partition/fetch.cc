#include "partition/log.h"
#include "record/records.h"

// Reading: records, offsets by time, ends of epochs.

namespace paceline::partition {
namespace {

record::KafkaFailure read_failure(const Error& error) {
  switch (error.code) {
    case Code::out_of_range: return {KafkaError::offset_out_of_range, error.message};
    case Code::closed:
    case Code::fenced: return {KafkaError::not_leader_or_follower, error.message};
    default: return {KafkaError::kafka_storage_error, error.message};
  }
}

}  // namespace

KafkaResult<void> Log::check_epoch(Epoch expected) const {
  if (expected.value < 0 || expected == options_.epoch) return {};
  if (expected < options_.epoch)
    return record::kafka_fail(KafkaError::fenced_leader_epoch, "the leader epoch is older than the current one");
  return record::kafka_fail(KafkaError::unknown_leader_epoch, "the leader epoch is newer than the current one");
}

Task<KafkaResult<Fetched>> Log::fetch(FetchRequest request) {
  auto pass = inside_.enter();
  if (closed_) co_return record::kafka_fail(KafkaError::not_leader_or_follower, "closed");
  CO_TRY_VOID(check_epoch(request.expected_epoch));
  stream::ReadRequest read;
  read.from = request.from;
  read.bytes_max = request.bytes_max;
  read.at_least_one = request.at_least_one;
  Fetched fetched;
  auto result = co_await stream_->read(read);
  if (!result) co_return std::unexpected(read_failure(result.error()));
  fetched.high_watermark = result->end;
  fetched.last_stable_offset = result->end;  // there are no transactions to hold it back
  fetched.log_start = result->start;
  fetched.records.reserve(result->batches.size());
  for (stream::Batch& batch : result->batches) {
    fetched.bytes += batch.bytes.size();
    fetched.records.push_back(std::move(batch.bytes));
  }
  co_return fetched;
}

Task<KafkaResult<TimestampAndOffset>> Log::list_offset(int64_t query, Epoch expected_epoch, bool) {
  auto pass = inside_.enter();
  if (closed_) co_return record::kafka_fail(KafkaError::not_leader_or_follower, "closed");
  CO_TRY_VOID(check_epoch(expected_epoch));
  auto at = [this](Offset offset) { return TimestampAndOffset{-1, offset, epochs_.epoch_at(offset)}; };
  switch (static_cast<TimestampQuery>(query)) {
    case TimestampQuery::latest: co_return TimestampAndOffset{-1, stream_->end(), options_.epoch};
    case TimestampQuery::earliest:
    case TimestampQuery::local_start: co_return at(stream_->start());
    case TimestampQuery::tiered_end: co_return TimestampAndOffset{};
    case TimestampQuery::max_timestamp: {
      auto batch = co_await stream_->batch_of_max_timestamp();
      if (!batch) co_return std::unexpected(read_failure(batch.error()));
      if (!*batch) co_return TimestampAndOffset{};
      auto view = record::BatchView::parse((*batch)->bytes.bytes());
      if (!view) co_return std::unexpected(read_failure(view.error()));
      auto found = record::find_max_timestamp(*view);
      if (!found) co_return std::unexpected(read_failure(found.error()));
      if (!*found) co_return TimestampAndOffset{};
      co_return TimestampAndOffset{(*found)->timestamp, (*found)->offset, epochs_.epoch_at((*found)->offset)};
    }
  }
  if (query < 0) co_return record::kafka_fail(KafkaError::unsupported_version, "unknown timestamp query");
  auto batch = co_await stream_->first_batch_since(query);
  if (!batch) co_return std::unexpected(read_failure(batch.error()));
  if (!*batch) co_return TimestampAndOffset{};
  auto view = record::BatchView::parse((*batch)->bytes.bytes());
  if (!view) co_return std::unexpected(read_failure(view.error()));
  auto found = record::find_by_timestamp(*view, query);
  if (!found) co_return std::unexpected(read_failure(found.error()));
  if (!*found) co_return TimestampAndOffset{};
  co_return TimestampAndOffset{(*found)->timestamp, (*found)->offset, epochs_.epoch_at((*found)->offset)};
}

KafkaResult<EpochEnd> Log::epoch_end(Epoch asked, Epoch expected_epoch) {
  if (closed_) return record::kafka_fail(KafkaError::not_leader_or_follower, "closed");
  TRY_VOID(check_epoch(expected_epoch));
  return epochs_.end_of(asked, stream_->end());
}

Task<KafkaResult<Offset>> Log::delete_records(Offset before) {
  auto pass = inside_.enter();
  if (closed_) co_return record::kafka_fail(KafkaError::not_leader_or_follower, "closed");
  const Offset target = before.value == -1 ? stream_->end() : before;
  if (target.value < 0 || target > stream_->end())
    co_return record::kafka_fail(KafkaError::offset_out_of_range, "beyond the end of the partition");
  if (target > stream_->start()) {
    auto trimmed = co_await stream_->trim(target);
    if (!trimmed) co_return std::unexpected(read_failure(trimmed.error()));
    notify();
  }
  co_return stream_->start();
}

}  // namespace paceline::partition
