#pragma once

#include <librdkafka/rdkafka.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "probe/probe.h"

namespace paceline::probe {

// What a reader found at a place of a topic, as a row of the ledger. Nothing if the record is
// whole, and of another run. Pure.
struct Found {
  uint16_t topic = 0;  // an index into Run::topics
  int32_t partition = 0;
  int64_t offset = -1;
  int32_t epoch = -1;
  int32_t broker = -1;
  std::string_view value;
};
std::optional<evidence::LedgerRow> row_of(const Found& found, const std::string& run_id,
                                          evidence::LedgerRow::Kind kind, uint16_t reader,
                                          int64_t at_ns);

// A message of librdkafka; nothing if its topic is none of the load's.
std::optional<Found> found_in(const rd_kafka_message_t& message,
                              const std::vector<evidence::Run::Topic>& topics);

struct PartitionsEnd {
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
};
using Partitions = std::unique_ptr<rd_kafka_topic_partition_list_t, PartitionsEnd>;

}  // namespace paceline::probe
