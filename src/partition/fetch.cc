#include <fmt/format.h>

#include "base/log.h"
#include "partition/stream_partition.h"

namespace paceline::partition {

record::KafkaFailure told(const Error& error) {
  switch (error.code) {
    case Code::out_of_range:
      return {KafkaError::offset_out_of_range, error.message};
    case Code::closed:
    case Code::cancelled:
    case Code::fenced:
    case Code::sealed:
      return {KafkaError::not_leader_or_follower, error.message};
    default:
      return {KafkaError::kafka_storage_error, error.message};
  }
}

// Clients repeat a storage error for ever and in silence: the operator must hear of it here.
record::KafkaFailure StreamPartition::read_failed(const Error& error, Offset from) {
  record::KafkaFailure failure = told(error);
  const env::Instant now = options_.shard->now();
  if (failure.code == KafkaError::kafka_storage_error && now >= next_read_line_) {
    next_read_line_ = now + std::chrono::seconds(10);
    log_error("{}: offset {} cannot be read: {}", options_.name, from.value, error.to_string());
  }
  return failure;
}

// Only what is durable exists for readers, so the last stable offset is the high watermark: there
// are no transactions yet.
Task<KafkaResult<Fetched>> StreamPartition::fetch(FetchRequest request) {
  auto pass = calls_.enter();
  CO_TRY_VOID(check_open(request.expected_epoch));
  Fetched fetched;
  if (request.from > stream_->end()) CO_TRY_VOID(co_await confirm());
  if (request.from < stream_->start() || request.from > stream_->end())
    co_return record::kafka_fail(
        KafkaError::offset_out_of_range,
        fmt::format("{} has offsets {} to {}, not {}", options_.name, stream_->start().value,
                    stream_->end().value, request.from.value));
  if (request.from == stream_->end() || (request.bytes_max == 0 && !request.at_least_one)) {
    fetched.high_watermark = fetched.last_stable_offset = stream_->end();
    fetched.log_start = stream_->start();
#ifdef PACELINE_PLANT_watermark_before_durable
    fetched.high_watermark = fetched.last_stable_offset = next_;
#endif
    co_return fetched;
  }
  const stream::ReadRequest wanted{request.from, request.bytes_max, request.at_least_one};
  auto read = co_await stream_->read(wanted);
  if (!read) co_return fail(read_failed(read.error(), request.from));
  for (stream::Batch& batch : read->batches) {
    fetched.bytes += batch.bytes.size();
    fetched.records.push_back(std::move(batch.bytes));
  }
  fetched.high_watermark = fetched.last_stable_offset = read->end;
  fetched.log_start = read->start;
  co_return fetched;
}

void StreamPartition::expect(Offset from) {
  if (check_open(Epoch(-1))) stream_->expect(from);
}

KafkaResult<EpochEnd> StreamPartition::epoch_end(Epoch asked, Epoch expected_epoch) {
  TRY_VOID(check_open(expected_epoch));
  return epochs_.end_of(asked, stream_->end());
}

}  // namespace paceline::partition
