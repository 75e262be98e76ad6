#include "broker/event_topic.h"

#include "broker/forward.h"
#include "record/records.h"

namespace paceline::broker {
namespace {

constexpr int16_t kProduceVersion = 9;

cluster::NewTopic events_topic() {
  cluster::NewTopic topic;
  topic.name = kEventsTopic;
  topic.internal = true;
  topic.configs = {{"cleanup.policy", "delete"},
                   {"compression.type", "producer"},
                   {"retention.ms", "604800000"}};
  return topic;
}

// Made for each attempt: an append writes its place into it.
Slice batch_of(const std::vector<EventRecord>& records) {
  record::BatchBuilder builder;
  for (const EventRecord& record : records) {
    builder.timestamp(record.at_ms);
    builder.add(record.key, record.value);
  }
  auto batch = builder.build();
  CHECK(batch);  // uncompressed: nothing can fail
  return Slice::copy_of(as_bytes(*batch));
}

std::unexpected<Error> refused(const partition::AppendFailure& failure) {
  const bool too_large = failure.code == KafkaError::message_too_large ||
                         failure.code == KafkaError::record_list_too_large;
  return fail(too_large ? Code::too_large : Code::unavailable,
              fmt::format("{} {}", record::kafka_error_name(failure.code), failure.message));
}

Task<Result<void>> append_here(Node* node, ShardHost* host, StreamId id, Slice batch,
                               env::Instant deadline) {
  const AppendOutcome outcome = co_await append_where_led(
      *node, *host, id, kEventsTopic, std::move(batch), kProduceVersion, deadline, true);
  if (!outcome.result) co_return refused(outcome.result.error());
  co_return Result<void>{};
}

Task<Result<void>> append_there(Node& node, env::Shard& home, StreamId id,
                                const cluster::PartitionImage& led, Slice batch,
                                env::Instant deadline) {
  if (!node.calls() || led.leader.value < 0) co_return fail(Code::unavailable, "nobody leads it");
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - home.now()).count();
  ForwardedAppend append{
      id, led.epoch,       static_cast<uint32_t>(std::max<int64_t>(left, 1)), kProduceVersion,
      -1, std::move(batch)};
  Slice body = encode(PeerRequest(std::move(append)));
  CO_TRY(const Slice answer,
         co_await node.calls()->call(home, led.lane.broker, std::move(body), deadline));
  CO_TRY(const auto told, decode_append_answer(answer));
  if (const auto* failure = std::get_if<partition::AppendFailure>(&told))
    co_return refused(*failure);
  if (std::holds_alternative<Elsewhere>(told))
    co_return fail(Code::unavailable, "it is led by another broker by now");
  co_return Result<void>{};
}

}  // namespace

Task<Result<void>> append_events(Node& node, env::Shard& home, std::vector<EventRecord> records,
                                 env::Instant deadline) {
  const auto topic = co_await node.internal_topic(home, events_topic());
  if (!topic) co_return fail(Code::unavailable, "the topic of events cannot be made yet");
  const StreamId id{topic->id, 0};
  const cluster::PartitionImage led = topic->partitions.front();
  Slice batch = batch_of(records);
  if (led.lane != node.cluster().lane())
    co_return co_await append_there(node, home, id, led, std::move(batch), deadline);
  ShardHost& host = node.home_of(topic->id, 0);
  auto appending = [&node, &host, id, moved = std::move(batch), deadline] {
    return append_here(&node, &host, id, moved, deadline);
  };
  co_return co_await env::call_on(*host.shard, home, appending);
}

}  // namespace paceline::broker
