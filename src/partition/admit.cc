#include <fmt/format.h>

#include <algorithm>

#include "partition/stream_partition.h"

namespace paceline::partition {
namespace {

// A batch that opens to no more is judged in place, in some 500 us (gzip). More would stall the
// shard, and goes to threads that may block, two of them at a time; one of what opens in one piece.
constexpr size_t kInPlaceBytesMax = size_t{256} << 10;
constexpr uint64_t kLanes = 2;
constexpr uint64_t kFirstLane = 0x76616c6964000000;  // a range of our own

std::expected<record::BatchFacts, AppendFailure> verdict(Bytes records,
                                                         const record::ValidateOptions& options) {
  auto facts = record::validate_produced(records, options);
  if (facts && facts->transactional)
    return refuse(KafkaError::invalid_txn_state, "transactions are not served yet");
  if (facts) return *facts;
  AppendFailure failure{facts.error().code, std::move(facts.error().message), {}};
  for (auto& one : facts.error().record_errors)
    failure.records.push_back({one.batch_index, std::move(one.message)});
  return std::unexpected(std::move(failure));
}

}  // namespace

std::unexpected<AppendFailure> refuse(KafkaError code, std::string message) {
  return std::unexpected<AppendFailure>(AppendFailure{code, std::move(message), {}});
}

KafkaResult<void> StreamPartition::check_epoch(Epoch expected) const {
  if (expected.value < 0 || expected == options_.epoch) return {};
  const auto code = expected < options_.epoch ? KafkaError::fenced_leader_epoch
                                              : KafkaError::unknown_leader_epoch;
  return record::kafka_fail(code, fmt::format("{} is in leader epoch {}, not {}", options_.name,
                                              options_.epoch.value, expected.value));
}

KafkaResult<void> StreamPartition::check_open(Epoch expected) const {
  if (closing_ || moved_)
    return record::kafka_fail(KafkaError::not_leader_or_follower,
                              fmt::format("{} is closed here", options_.name));
  return check_epoch(expected);
}

// The batch by itself. Ours are not judged: a coordinator may write what clients may not.
StreamPartition::Judged StreamPartition::judge(const AppendRequest& request) const {
  if (request.internal) {
    auto view = record::BatchView::parse(request.records.bytes());
    if (!view || !view->codec_known() || view->size() != request.records.size())
      return {refuse(KafkaError::corrupt_message, "a coordinator's batch is none")};
    return {record::facts_of(*view)};
  }
  record::ValidateOptions options = judge_options(request);
  const auto view = record::BatchView::parse(request.records.bytes());
  const bool packed = view && view->codec_number() != 0;
  if (packed) options.decompressed_bytes_max = kInPlaceBytesMax;
  Judged judged{verdict(request.records.bytes(), options)};
  judged.opens_to_much = packed && !judged.facts &&
                         judged.facts.error().code == KafkaError::message_too_large &&
                         request.records.size() <= options_.config.max_message_bytes;
  return judged;
}

Task<StreamPartition::Facts> StreamPartition::judge_elsewhere(const AppendRequest& request) {
  auto work = [records = request.records, options = judge_options(request)] {
    return verdict(records.bytes(), options);
  };
  const auto view = record::BatchView::parse(request.records.bytes());
  const bool in_one = view && record::opens_in_one_piece(view->codec(), view->payload());
  const uint64_t lane = (options_.stream.owner.bytes[0] + options_.stream.index) % kLanes;
  co_return co_await env::offload(shard_, std::move(work),
                                  in_one ? kOnePieceLane : kFirstLane + lane);
}

record::ValidateOptions StreamPartition::judge_options(const AppendRequest& request) const {
  const Config& config = options_.config;
  record::ValidateOptions options;
  options.api_version = request.produce_version;
  options.max_message_bytes =
      static_cast<int32_t>(std::min<uint32_t>(config.max_message_bytes, INT32_MAX));
  options.compacted = config.compact;
  options.timestamp_type = config.log_append_time ? record::TimestampType::log_append_time
                                                  : record::TimestampType::create_time;
  options.now_ms = shard_.wall_ms();
  options.timestamp_before_max_ms = config.timestamp_before_max_ms;
  options.timestamp_after_max_ms = config.timestamp_after_max_ms;
  return options;
}

std::optional<StreamPartition::Deferred> StreamPartition::check_producer(
    const record::BatchFacts& facts) const {
  // A marker is its coordinator's word: it has no sequence to be judged by.
  if (facts.control) return std::nullopt;
  auto verdict = producers_.check(facts);
  if (auto* duplicate = std::get_if<record::ProducerState::Duplicate>(&verdict)) {
    Appended appended;
    appended.base = duplicate->base_offset;
    if (options_.config.log_append_time) appended.log_append_time_ms = duplicate->append_time_ms;
    appended.log_start = log_start();
    appended.duplicate = true;
    return Deferred{appended, duplicate->last_offset};
  }
  if (auto* refused = std::get_if<record::ProducerState::Refused>(&verdict))
    return Deferred{refuse(refused->failure.code, std::move(refused->failure.message)),
                    refused->last_offset};
  return std::nullopt;
}

std::expected<void, AppendFailure> StreamPartition::check_writable(Epoch expected) const {
  if (lost_)
    return refuse(KafkaError::not_leader_or_follower,
                  fmt::format("{} cannot be written here any more", options_.name));
  if (auto open = check_open(expected); !open) {
    auto refused = refuse(open.error().code, std::move(open.error().message));
    refused.error().moved = moved_;
    return refused;
  }
  return {};
}

StreamPartition::Judged StreamPartition::admit(const AppendRequest& request) const {
  if (auto writable = check_writable(request.expected_epoch); !writable)
    return {std::unexpected(std::move(writable.error()))};
  return judge(request);
}

// Before an answer leaves, the state it follows from must be there for good.
Task<AppendResult> StreamPartition::tell(Deferred deferred) {
#ifdef PACELINE_PLANT_duplicate_told_early
  co_return std::move(deferred.answer);
#endif
  const uint64_t failures = failures_;
  while (high_watermark() <= deferred.last_offset && failures == failures_ && !lost_)
    co_await settled_.wait();
  if (high_watermark() <= deferred.last_offset)
    co_return refuse(lost_ ? KafkaError::not_leader_or_follower : KafkaError::kafka_storage_error,
                     fmt::format("an earlier batch of {} could not be written", options_.name));
  if (!deferred.answer && deferred.answer.error().code == KafkaError::out_of_order_sequence_number)
    if (auto confirmed = co_await confirm(); !confirmed) {
      auto refused = refuse(confirmed.error().code, std::move(confirmed.error().message));
      refused.error().moved = moved_;
      co_return refused;
    }
  co_return std::move(deferred.answer);
}

}  // namespace paceline::partition
