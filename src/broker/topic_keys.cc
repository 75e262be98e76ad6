#include "broker/config_keys.h"

// The keys of topics, with Kafka's defaults and Kafka's synonyms.

namespace paceline::broker {
namespace {

constexpr std::string_view kLongMax = "9223372036854775807";
constexpr KeyClass kHonour = KeyClass::honoured;
constexpr KeyClass kAccept = KeyClass::accepted;
using enum ConfigType;

constexpr TopicKeySpec kTopicKeys[] = {
    {{"cleanup.policy", list, "delete", kHonour,
      "What happens to old records: delete, compact or both."},
     {{"log.cleanup.policy"}},
     "delete,compact"},
    {{"compression.gzip.level", int32, "-1", kAccept, "The level when the broker compresses."},
     {{"compression.gzip.level"}}},
    {{"compression.lz4.level", int32, "9", kAccept, "The level when the broker compresses."},
     {{"compression.lz4.level"}}},
    {{"compression.type", string, "producer", kHonour,
      "The final codec; producer keeps the sender's."},
     {{"compression.type"}},
     "uncompressed,zstd,lz4,snappy,gzip,producer"},
    {{"compression.zstd.level", int32, "3", kAccept, "The level when the broker compresses."},
     {{"compression.zstd.level"}}},
    {{"delete.retention.ms", int64, "86400000", kHonour, "How long compaction keeps tombstones."},
     {{"log.cleaner.delete.retention.ms"}},
     "",
     0},
    {{"file.delete.delay.ms", int64, "60000", kAccept, "Files are not ours to delay."},
     {{"log.segment.delete.delay.ms"}},
     "",
     0},
    {{"flush.messages", int64, kLongMax, kAccept,
      "Every record is durable before it is acknowledged."},
     {{"log.flush.interval.messages"}},
     "",
     1},
    {{"flush.ms", int64, kLongMax, kAccept, "Every record is durable before it is acknowledged."},
     {{"log.flush.interval.ms"}, {"log.flush.scheduler.interval.ms"}},
     "",
     0},
    {{"follower.replication.throttled.replicas", list, "", kAccept, "There is no replication."},
     {}},
    {{"index.interval.bytes", int32, "4096", kAccept, "Indexes are made by blocks."},
     {{"log.index.interval.bytes"}},
     "",
     0},
    {{"leader.replication.throttled.replicas", list, "", kAccept, "There is no replication."}, {}},
    {{"local.retention.bytes", int64, "-2", kAccept, "All data is in the object store."},
     {{"log.local.retention.bytes"}},
     "",
     -2},
    {{"local.retention.ms", int64, "-2", kAccept, "All data is in the object store."},
     {{"log.local.retention.ms"}},
     "",
     -2},
    {{"max.compaction.lag.ms", int64, kLongMax, kHonour,
      "The latest time for a record to be compacted."},
     {{"log.cleaner.max.compaction.lag.ms"}},
     "",
     1},
    {{"max.message.bytes", int32, "1048588", kHonour, "The largest batch, as compressed."},
     {{"message.max.bytes"}},
     "",
     0},
    {{"message.timestamp.after.max.ms", int64, "3600000", kHonour,
      "How far a timestamp may lie ahead."},
     {{"log.message.timestamp.after.max.ms"}},
     "",
     0},
    {{"message.timestamp.before.max.ms", int64, kLongMax, kHonour,
      "How far a timestamp may lie back."},
     {{"log.message.timestamp.before.max.ms"}},
     "",
     0},
    {{"message.timestamp.type", string, "CreateTime", kHonour,
      "Whose clock a record's time is from."},
     {{"log.message.timestamp.type"}},
     "CreateTime,LogAppendTime"},
    {{"min.cleanable.dirty.ratio", real, "0.5", kHonour,
      "How much must be new before compaction runs."},
     {{"log.cleaner.min.cleanable.ratio"}},
     "",
     0,
     1},
    {{"min.compaction.lag.ms", int64, "0", kHonour,
      "The earliest time for a record to be compacted."},
     {{"log.cleaner.min.compaction.lag.ms"}},
     "",
     0},
    {{"min.insync.replicas", int32, "1", kHonour,
      "Stored and reported; durability is the store's."},
     {{"min.insync.replicas"}},
     "",
     1},
    {{"preallocate", boolean, "false", kAccept, "Files are not ours to preallocate."},
     {{"log.preallocate"}}},
    {{"remote.log.copy.disable", boolean, "false", kAccept, "All data is in the object store."},
     {}},
    {{"remote.log.delete.on.disable", boolean, "false", kAccept,
      "All data is in the object store."},
     {}},
    {{"remote.storage.enable", boolean, "false", kAccept, "All data is in the object store."}, {}},
    {{"retention.bytes", int64, "-1", kHonour,
      "The size of a partition above which old records go."},
     {{"log.retention.bytes"}}},
    {{"retention.ms", int64, "604800000", kHonour,
      "The age above which records go; -1 keeps them."},
     {{"log.retention.ms"}, {"log.retention.minutes", 60'000}, {"log.retention.hours", 3'600'000}},
     "",
     -1},
    {{"segment.bytes", int32, "1073741824", kHonour, "A hint for when old records may go."},
     {{"log.segment.bytes"}},
     "",
     14},
    {{"segment.index.bytes", int32, "10485760", kAccept, "Indexes are made by blocks."},
     {{"log.index.size.max.bytes"}},
     "",
     4},
    {{"segment.jitter.ms", int64, "0", kAccept, "There are no segments to jitter."},
     {{"log.roll.jitter.ms"}, {"log.roll.jitter.hours", 3'600'000}},
     "",
     0},
    {{"segment.ms", int64, "604800000", kHonour, "A hint for when old records may go."},
     {{"log.roll.ms"}, {"log.roll.hours", 3'600'000}},
     "",
     1},
    {{"unclean.leader.election.enable", boolean, "false", kAccept, "A clean leader always exists."},
     {{"unclean.leader.election.enable"}}},
};

}  // namespace

std::span<const TopicKeySpec> topic_keys() {
  return kTopicKeys;
}

const TopicKeySpec* find_topic_key(std::string_view name) {
  for (const TopicKeySpec& spec : kTopicKeys) {
    if (spec.key.name == name) return &spec;
  }
  return nullptr;
}

}  // namespace paceline::broker
