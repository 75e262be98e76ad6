#include <fmt/format.h>

#include "base/log.h"
#include "partition/stream_partition.h"

namespace paceline::partition {

Task<std::expected<void, AppendFailure>> StreamPartition::persist(stream::Batch batch) {
  ++in_flight_;
  std::vector<stream::Batch> batches;
  batches.push_back(std::move(batch));
  auto written = co_await stream_->append(std::move(batches));
  --in_flight_;
  std::expected<void, AppendFailure> outcome;
  if (!written) outcome = fail_append(written.error());
  if (in_flight_ == 0 && recovering_) settle_failure();
  co_return outcome;
}

// Nothing was written, or nobody knows. In the first case the offsets of all that is in flight are
// taken back once it has returned; in the second this partition never appends again, and whoever
// reads the log next decides.
std::unexpected<AppendFailure> StreamPartition::fail_append(const Error& error) {
  const bool nothing_written = error.code == Code::no_space || error.code == Code::unavailable ||
                               error.code == Code::conflict || error.code == Code::too_large;
  if (nothing_written && !lost_) {
    if (!recovering_) {
      ++failures_;
      // A disk or store in trouble refuses thousands a second: one line in ten seconds tells it.
      const env::Instant now = options_.shard->now();
      if (error.code != Code::conflict && now >= next_refusal_line_) {
        next_refusal_line_ = now + std::chrono::seconds(10);
        log_warn("{}: append refused: {}", options_.name, error.to_string());
      }
    }
    recovering_ = true;
    return refuse(KafkaError::kafka_storage_error,
                  fmt::format("the log refused the batch: {}", error.message));
  }
  if (!lost_) log_warn("{} is closed for writes: {}", options_.name, error.to_string());
  lost_ = true;
  settled_.notify_all();
  return refuse(KafkaError::not_leader_or_follower,
                fmt::format("{} cannot be written here any more", options_.name));
}

// An earlier batch could not be written; this one must not come before its retry.
std::unexpected<AppendFailure> StreamPartition::refuse_for_now(const record::BatchFacts& facts) {
  producers_.refused_for_now(facts);
  return refuse(KafkaError::kafka_storage_error,
                fmt::format("an earlier batch of {} could not be written", options_.name));
}

void StreamPartition::refused_before(int64_t producer_id, int16_t producer_epoch,
                                     int32_t base_sequence) {
  record::BatchFacts facts;
  facts.producer_id = record::ProducerId(producer_id);
  facts.producer_epoch = producer_epoch;
  facts.base_sequence = base_sequence;
  producers_.refused_for_now(facts);
}

void StreamPartition::settle_failure() {
  recovering_ = false;
  settled_.notify_all();
  if (lost_) return;
#ifndef PACELINE_PLANT_keep_refused_sequences
  producers_.forget_from(stream_->end());
#endif
  next_ = stream_->end();
}

}  // namespace paceline::partition
