#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "group/group.h"
#include "meta/records.h"
#include "partition/partition.h"

namespace paceline::broker {

// What the broker's code reads of its configuration: typed, checked, filled by config.h from the
// keys of Kafka and ours. One value for the whole life of a process; what can change while it runs
// (topic defaults) is looked up through ConfigTable instead.
struct Settings {
  BrokerId broker{1};
  std::string rack;
  bool near_reads = true;  // consumers are sent to brokers of their rack, where that can be
  std::vector<meta::Endpoint> listeners;   // bound addresses
  std::vector<meta::Endpoint> advertised;  // what clients are told, by listener name

  // Limits; every one is finite (defaults: Kafka's where Kafka's is finite).
  uint32_t request_bytes_max = 100u << 20;  // socket.request.max.bytes
  uint32_t fetch_bytes_max = 55u << 20;     // fetch.max.bytes
  int64_t fetch_wait_max_ms = 60'000;
  uint32_t fetch_partitions_max = 50'000;
  uint32_t connections_max = 20'000;         // max.connections
  uint32_t connections_per_ip_max = 2'000;   // max.connections.per.ip
  int64_t connection_idle_max_ms = 600'000;  // connections.max.idle.ms
  int64_t frame_read_max_ms = 30'000;        // of a frame; a big one has a second more a MiB
  uint64_t response_bytes_max = 64u << 20;   // unsent on one connection: then it is not read
  // Produce requests of one connection in flight. A log on objects takes some 10 ms for each round
  // trip: with 256 small ones a connection had to wait for the log, not the log for it.
  uint32_t produce_pipeline_max = 2048;
  // Of produce requests of one connection in flight: several commits' worth. More would only wait
  // here, in memory that was not touched before, instead of at the producer.
  uint64_t produce_pipeline_bytes_max = 32ull << 20;
  uint64_t request_memory_bytes = 512ull << 20;  // of all requests together
  uint64_t answer_memory_bytes = 256ull << 20;   // of all answers that are not sent yet
  // When answers need memory, a connection that did not read for so long is given up.
  int64_t answer_patience_ms = 1'000;
  uint32_t connection_rate_max = 2'000;       // a second; max.connection.creation.rate
  uint32_t connection_rate_per_ip_max = 200;  // a second
  // Above this, with what is on its way to the log, produce requests wait for uploads to catch up;
  // well below where storage refuses them.
  uint64_t unuploaded_bytes_high = 192ull << 20;
  uint32_t partitions_create_max = 10'000;  // of one CreateTopics
  uint32_t auto_create_pending_max = 100;

  bool auto_create_topics = true;
  bool delete_topics = true;
  uint32_t partitions_default = 1;
  int16_t replication_factor_default = 1;
  uint32_t offsets_topic_partitions = 50;
  int64_t retention_check_ms = 300'000;
  // How long requests for a partition that has moved away are sent on to its leader: longer than
  // clients keep what they know of leaders.
  int64_t forward_ms = 360'000;
  int64_t drain_max_ms = 30'000;          // at a planned end
  int64_t drain_forward_max_ms = 10'000;  // after it, while clients still send for what has moved
  bool events_topic = true;               // whether events go to the topic of events
  // Whether leadership is moved by itself, so that all brokers carry their share; how often they
  // are looked at, how far one may be from what is due to it, and how long what has moved stays.
  bool balance = true;
  int64_t balance_interval_ms = 5'000;
  double balance_tolerance = 0.1;
  int64_t balance_hold_ms = 30'000;
  group::Options group;
};

}  // namespace paceline::broker
