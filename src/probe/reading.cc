#include "probe/reading.h"

namespace paceline::probe {
namespace {

// The library tells the epoch of a record since 2.1.
int32_t epoch_of(const rd_kafka_message_t& message) {
#if RD_KAFKA_VERSION >= 0x020100ff
  return rd_kafka_message_leader_epoch(&message);
#else
  (void)message;
  return -1;
#endif
}

}  // namespace

std::optional<evidence::LedgerRow> row_of(const Found& found, const std::string& run_id,
                                          evidence::LedgerRow::Kind kind, uint16_t reader,
                                          int64_t at_ns) {
  evidence::LedgerRow row;
  row.kind = kind;
  row.reader = reader;
  row.topic = found.topic;
  row.partition = found.partition;
  row.epoch = found.epoch;
  row.broker = found.broker;
  row.offset = found.offset;
  row.at_ns = at_ns;
  const auto payload = evidence::decode_payload(found.value);
  if (!payload) {
    row.damaged = true;
    row.client = evidence::LedgerRow::kNone;
    return row;
  }
  if (payload->run_id != run_id) return std::nullopt;
  // A record that came to another partition than it was sent to is as good as damaged.
  row.damaged = payload->partition != found.partition;
  row.client = payload->client;
  row.seq = payload->seq;
  row.key = payload->key;
  row.amount = payload->amount;
  row.intended_ns = payload->intended_ns;
  return row;
}

std::optional<Found> found_in(const rd_kafka_message_t& message,
                              const std::vector<evidence::Run::Topic>& topics) {
  const std::string_view name = rd_kafka_topic_name(message.rkt);
  for (size_t topic = 0; topic < topics.size(); ++topic)
    if (topics[topic].name == name)
      return Found{.topic = static_cast<uint16_t>(topic),
                   .partition = message.partition,
                   .offset = message.offset,
                   .epoch = epoch_of(message),
                   .broker = rd_kafka_message_broker_id(&message),
                   .value = {static_cast<const char*>(message.payload), message.len}};
  return std::nullopt;
}

}  // namespace paceline::probe
