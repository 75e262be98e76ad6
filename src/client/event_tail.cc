#include "client/event_tail.h"

#include <fmt/format.h>

#include "base/event.h"
#include "protocol/gen/fetch.h"
#include "protocol/gen/list_offsets.h"
#include "protocol/gen/metadata.h"
#include "record/kafka_error.h"
#include "record/records.h"

namespace paceline::client {
namespace {

constexpr env::Duration kPatience = std::chrono::seconds(3);
constexpr int32_t kBytesMax = 4 << 20;
constexpr int64_t kEarliest = -2;

std::unexpected<Error> refused(int16_t code) {
  const auto error = static_cast<record::KafkaError>(code);
  return fail(
      error == record::KafkaError::offset_out_of_range ? Code::out_of_range : Code::unavailable,
      fmt::format("the broker says {}", record::kafka_error_name(error)));
}

}  // namespace

EventTail::EventTail(env::Shard& shard, const std::string& bootstrap)
    : shard_(shard), bootstrap_(addresses_of(bootstrap)) {}

Task<Result<void>> EventTail::find() {
  leader_.reset();
  std::vector<std::string> asked = bootstrap_;
  asked.insert(asked.end(), known_.begin(), known_.end());
  Result<void> outcome = fail(Code::invalid_argument, "there is no broker to ask");
  for (const std::string& address : asked) {
    outcome = co_await find_from(address);
    if (outcome || outcome.error().code == Code::not_found) break;
  }
  co_return outcome;
}

Task<Result<void>> EventTail::find_from(std::string address) {
  CO_TRY(auto client, co_await Client::connect(shard_, address, kPatience));
  protocol::MetadataRequest request;
  request.allow_auto_topic_creation = false;
  protocol::MetadataRequest::Topic wanted;
  wanted.name = kEventsTopic;
  request.topics->push_back(wanted);
  CO_TRY(auto response, co_await client->call<protocol::MetadataResponse>(12, request));
  known_.clear();
  for (const auto& broker : response.brokers)
    known_.push_back(fmt::format("{}:{}", broker.host, broker.port));
  const auto& topic = response.topics.at(0);
  if (topic.error_code == static_cast<int16_t>(record::KafkaError::unknown_topic_or_partition))
    co_return fail(Code::not_found, "nothing has happened yet: there is no topic of events");
  if (topic.error_code != 0) co_return refused(topic.error_code);
  if (topic.partitions.empty()) co_return fail(Code::unavailable, "the topic has no partition");
  for (const auto& broker : response.brokers) {
    if (broker.node_id != topic.partitions[0].leader_id) continue;
    CO_TRY(leader_, co_await Client::connect(shard_, fmt::format("{}:{}", broker.host, broker.port),
                                             kPatience));
    co_return Result<void>{};
  }
  co_return fail(Code::unavailable, "nobody leads the topic of events now");
}

Task<Result<int64_t>> EventTail::offset_since(std::optional<int64_t> time_ms) {
  protocol::ListOffsetsRequest request;
  request.replica_id = -1;
  auto& topic = request.topics.emplace_back();
  topic.name = kEventsTopic;
  auto& asked = topic.partitions.emplace_back();
  asked.partition_index = 0;
  asked.timestamp = time_ms.value_or(kEarliest);
  CO_TRY(auto response, co_await leader_->call<protocol::ListOffsetsResponse>(7, request));
  if (response.topics.empty() || response.topics[0].partitions.empty())
    co_return fail(Code::corrupt, "the broker answered something else");
  const auto& one = response.topics[0].partitions[0];
  if (one.error_code != 0) co_return refused(one.error_code);
  if (one.offset >= 0 || !time_ms) co_return std::max<int64_t>(one.offset, 0);
  // Nothing is as late as that.
  asked.timestamp = -1;
  CO_TRY(auto end, co_await leader_->call<protocol::ListOffsetsResponse>(7, request));
  if (end.topics.empty() || end.topics[0].partitions.empty())
    co_return fail(Code::corrupt, "the broker answered something else");
  co_return std::max<int64_t>(end.topics[0].partitions[0].offset, 0);
}

Task<Result<EventTail::Some>> EventTail::read(int64_t from, int32_t wait_ms) {
  protocol::FetchRequest request;
  request.max_wait_ms = wait_ms;
  request.min_bytes = 1;
  request.max_bytes = kBytesMax;
  auto& topic = request.topics.emplace_back();
  topic.topic = kEventsTopic;
  auto& asked = topic.partitions.emplace_back();
  asked.fetch_offset = from;
  asked.partition_max_bytes = kBytesMax;
  CO_TRY(auto response, co_await leader_->call<protocol::FetchResponse>(11, request));
  if (response.error_code != 0) co_return refused(response.error_code);
  if (response.responses.empty() || response.responses[0].partitions.empty())
    co_return fail(Code::corrupt, "the broker answered something else");
  const auto& one = response.responses[0].partitions[0];
  if (one.error_code != 0) co_return refused(one.error_code);
  const std::string records = protocol::join(one.records);
  CO_TRY(Some some, take(records, from));
  some.at_end = some.next >= one.high_watermark;
  co_return some;
}

Result<EventTail::Some> EventTail::take(const std::string& records, int64_t from) const {
  Some some;
  some.next = from;
  record::BatchCursor cursor(as_bytes(records));
  for (;;) {
    auto batch = cursor.next();
    if (!batch && batch.error().code == Code::out_of_range) return some;  // cut off
    if (!batch) return fail(batch.error());
    if (!*batch) return some;
    if (!(*batch)->crc_ok()) return fail(Code::corrupt, "a batch of events is damaged");
    TRY(auto reader, record::RecordReader::open(**batch));
    for (;;) {
      TRY(const auto record, reader.next());
      if (!record) break;
      if (record->offset.value >= from && record->value) some.values.emplace_back(*record->value);
    }
    some.next = std::max(some.next, (*batch)->next_offset().value);
  }
}

}  // namespace paceline::client
