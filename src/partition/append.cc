#include "partition/log.h"
#include "record/batch.h"
#include "record/validate.h"

namespace paceline::partition {
namespace {

AppendFailure failure(KafkaError code, std::string message) { return {code, std::move(message), {}}; }

// What a refused append means to a client: all of it may be tried again.
AppendFailure failure_of(const Error& error) {
  switch (error.code) {
    case Code::maybe_written:
    case Code::sealed:
    case Code::fenced:
    case Code::closed: return failure(KafkaError::not_leader_or_follower, error.message);
    default: return failure(KafkaError::kafka_storage_error, error.message);
  }
}

}  // namespace

Task<std::expected<Appended, AppendFailure>> Log::append(AppendRequest request) {
  auto pass = inside_.enter();
  // While a failure is settled nobody is sequenced: offsets are about to go back.
  while (failing_) co_await settled_.wait();
  auto admitted = admit(request);
  if (!admitted) co_return std::unexpected(std::move(admitted.error()));
  auto verdict = producers_.check(admitted->facts);
  if (auto* duplicate = std::get_if<record::ProducerState::Duplicate>(&verdict))
    co_return co_await answer_duplicate(*duplicate);
  if (auto* refused = std::get_if<record::ProducerState::Refused>(&verdict))
    co_return co_await answer_refused(std::move(*refused));
  const int64_t now_ms = options_.shard->wall_ms();
  stream::Batch batch = sequence(*admitted, now_ms);
  co_return co_await persist(std::move(batch), *admitted, now_ms);
}

std::expected<Log::Admitted, AppendFailure> Log::admit(const AppendRequest& request) const {
  if (closed_ || lost_)
    return std::unexpected(failure(KafkaError::not_leader_or_follower, options_.name + " is not led here any more"));
  if (auto epoch = check_epoch(request.expected_epoch); !epoch)
    return std::unexpected(failure(epoch.error().code, epoch.error().message));
  Admitted admitted;
  admitted.records = request.records;
  if (request.internal) {
    auto batch = record::BatchView::parse(request.records.bytes());
    CHECK(batch);
    admitted.facts = record::facts_of(*batch);
    return admitted;
  }
  const Config& config = options_.config;
  record::ValidateOptions options;
  options.api_version = request.produce_version;
  options.max_message_bytes = static_cast<int32_t>(config.max_message_bytes);
  options.compacted = config.compact;
  options.timestamp_type = config.log_append_time ? record::TimestampType::log_append_time
                                                  : record::TimestampType::create_time;
  options.now_ms = options_.shard->wall_ms();
  options.timestamp_before_max_ms = config.timestamp_before_max_ms;
  options.timestamp_after_max_ms = config.timestamp_after_max_ms;
  auto facts = record::validate_produced(request.records.bytes(), options);
  if (!facts) {
    AppendFailure refused = failure(facts.error().code, facts.error().message);
    for (const auto& one : facts.error().record_errors) refused.records.push_back({one.batch_index, one.message});
    return std::unexpected(std::move(refused));
  }
  if (facts->transactional)
    return std::unexpected(failure(KafkaError::invalid_txn_state, "transactions are not served yet"));
  admitted.facts = *facts;
  return admitted;
}

// Gives the batch its place. Nothing suspends from the producer's check to here, so that the order of
// calls is the order of offsets.
stream::Batch Log::sequence(const Admitted& admitted, int64_t now_ms) {
  // The request's bytes are ours until they are handed on: the only writer there is.
  MutableBytes bytes(const_cast<std::byte*>(admitted.records.data()), admitted.records.size());
  stream::Batch batch;
  batch.base = next_;
  batch.count = static_cast<uint32_t>(admitted.facts.last_offset_delta) + 1;
  batch.epoch = options_.epoch;
  batch.append_time_ms = now_ms;
  batch.max_timestamp = admitted.facts.max_timestamp;
  if (options_.config.log_append_time && !admitted.facts.control) {
    record::set_log_append_time(bytes, now_ms);
    batch.max_timestamp = now_ms;
  } else if (admitted.facts.max_timestamp_wrong) {
    record::set_max_timestamp(bytes, admitted.facts.max_timestamp);
  }
  record::set_placement(bytes, batch.base, batch.epoch);
  if (admitted.facts.has_producer()) batch.producer_id = static_cast<uint64_t>(admitted.facts.producer_id.value);
  batch.bytes = admitted.records;
  producers_.apply(admitted.facts, batch.base, now_ms);
  next_ = batch.end();
  return batch;
}

Task<Log::AppendResult> Log::persist(stream::Batch batch, const Admitted&, int64_t now_ms) {
  Appended appended;
  appended.base = batch.base;
  if (options_.config.log_append_time) appended.log_append_time_ms = now_ms;
  ++in_flight_;
  std::vector<stream::Batch> batches;
  batches.push_back(std::move(batch));
  auto done = co_await stream_->append(std::move(batches));
  --in_flight_;
  if (!done) {
    settle_failure(done.error());
    co_return std::unexpected(failure_of(done.error()));
  }
  if (failing_ && in_flight_ == 0) settle_failure(Error{Code::unavailable, ""});
  producers_.durable_up_to(stream_->end());
  appended.log_start = stream_->start();
  settled_.notify_all();
  notify();
  co_return appended;
}

// Those in flight behind a refused batch are refused as well, since they would leave a hole. When
// the last of them has ended, offsets and sequences go on from what is durable.
void Log::settle_failure(const Error& error) {
  failing_ = true;
  if (error.code == Code::maybe_written || error.code == Code::sealed || error.code == Code::fenced) lost_ = true;
  if (in_flight_ > 0) return;
  const Offset end = stream_->end();
  producers_.forget_from(std::max(end, producers_.floor()));
  next_ = end;
  failing_ = false;
  settled_.notify_all();
}

Task<bool> Log::wait_durable(Offset last) {
  while (stream_->end() <= last) {
    if (failing_ || lost_ || closed_ || next_ <= last) co_return false;
    co_await settled_.wait();
  }
  co_return true;
}

// A retry of a batch that is on its way is not acknowledged before the batch is.
Task<Log::AppendResult> Log::answer_duplicate(record::ProducerState::Duplicate duplicate) {
  if (!co_await wait_durable(duplicate.last_offset))
    co_return std::unexpected(failure(lost_ ? KafkaError::not_leader_or_follower : KafkaError::kafka_storage_error,
                                      "the first try of this batch failed"));
  Appended appended;
  appended.base = duplicate.base_offset;
  if (options_.config.log_append_time) appended.log_append_time_ms = duplicate.append_time_ms;
  appended.log_start = stream_->start();
  appended.duplicate = true;
  co_return appended;
}

// What a refusal rests on must be durable before it is told.
Task<Log::AppendResult> Log::answer_refused(record::ProducerState::Refused refused) {
  if (refused.last_offset.value >= 0 && !co_await wait_durable(refused.last_offset))
    co_return std::unexpected(failure(lost_ ? KafkaError::not_leader_or_follower : KafkaError::kafka_storage_error,
                                      "a batch before this one failed"));
  co_return std::unexpected(failure(refused.failure.code, std::move(refused.failure.message)));
}

}  // namespace paceline::partition
