#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "env/shard.h"
#include "record/compress.h"
#include "record/kafka_error.h"
#include "stream/stream.h"

// One Kafka partition over one stream: offsets, terms, producer state, time lookups, retention.
// Owned by one shard, touched only there.

namespace paceline::partition {

using record::KafkaError;
using record::KafkaResult;

// A topic's configuration as far as a partition needs it; the broker fills it from the topic's own
// configs and the defaults.
struct Config {
  uint32_t max_message_bytes = 1'048'588;
  bool log_append_time = false;
  int64_t timestamp_before_max_ms = INT64_MAX;
  int64_t timestamp_after_max_ms = 3'600'000;
  bool compact = false;                // cleanup.policy has "compact": records need keys
  bool delete_old = true;              // cleanup.policy has "delete"
  int64_t retention_ms = 604'800'000;  // -1 = for ever
  int64_t retention_bytes = -1;        // -1 = any size
  int64_t producer_id_expiration_ms = 86'400'000;
  // compression.type; nothing: each batch keeps its producer's codec. The level is the codec's own.
  std::optional<record::Codec> codec;
  int codec_level = record::kLevelDefault;
};

struct AppendRequest {
  // The batch as it came, in memory of ours: base offset and leader epoch are patched in place.
  Slice records;
  int16_t produce_version = 9;
  Epoch expected_epoch{-1};  // -1 = no check
  bool internal = false;     // from a coordinator of ours: control batches are allowed
};
struct RecordError {
  int32_t batch_index = 0;
  std::string message;
};
struct AppendFailure {
  KafkaError code;
  std::string message;
  std::vector<RecordError> records;
  // To another broker: nothing was done with the batch, which may be sent there.
  bool moved = false;
};
struct Appended {
  Offset base;
  int64_t log_append_time_ms = -1;  // -1 with CreateTime
  Offset log_start;
  bool duplicate = false;  // a retry: these are the original offset and time
};

struct FetchRequest {
  Offset from;
  Epoch expected_epoch{-1};
  Epoch last_fetched_epoch{-1};
  size_t bytes_max = 0;
  bool at_least_one = true;
  bool read_committed = false;
};
struct Fetched {
  std::vector<Slice> records;  // whole batches
  size_t bytes = 0;
  Offset high_watermark;
  Offset last_stable_offset;
  Offset log_start;
};

enum class TimestampQuery : int64_t {
  latest = -1,
  earliest = -2,
  max_timestamp = -3,
  local_start = -4,
  tiered_end = -5
};
struct TimestampAndOffset {
  int64_t timestamp = -1;
  Offset offset{-1};
  Epoch epoch{-1};
};
struct EpochEnd {
  Epoch epoch{-1};
  Offset end{-1};
};

// State that lives in a partition's records besides the partition's own: a coordinator. Its
// snapshot is kept with the partition's, and batches are replayed to it after that. On the
// partition's shard.
class Attached {
 public:
  virtual void restore(std::string_view snapshot) = 0;  // empty: none
  virtual void replay(const stream::Batch& batch) = 0;  // batches above the snapshot, in order
  virtual std::string snapshot(Offset end) = 0;         // state made by what is below `end`

 protected:
  ~Attached() = default;
};

class Partition {
 public:
  virtual ~Partition() = default;

  struct Options {
    env::Shard* shard;
    stream::Storage* storage;
    StreamId stream;
    std::string name;  // "topic-3", for logs
    Epoch epoch;
    Config config;
    Attached* attached = nullptr;   // outlives the partition
    std::optional<Lane> from = {};  // of another broker, which led it before us
  };
  // Opens the stream and rebuilds what its records imply, before anything is served.
  static Task<Result<std::unique_ptr<Partition>>> open(Options options);

  // Admit, sequence, persist, acknowledge. Resumes when the batch is durable. Calls may overlap:
  // they are sequenced in the order of calling, before the first suspension.
  virtual Task<std::expected<Appended, AppendFailure>> append(AppendRequest request) = 0;
  // This batch of an idempotent producer was refused before the partition opened here: if nobody
  // knows the producer, what it sent behind that batch has to wait for it.
  virtual void refused_before(int64_t producer_id, int16_t producer_epoch,
                              int32_t base_sequence) = 0;
  virtual Task<KafkaResult<Fetched>> fetch(FetchRequest request) = 0;
  // A fetch from there follows soon: see stream::Stream::expect().
  virtual void expect(Offset from) = 0;
  // By time: the first record at or after it, exact.
  virtual Task<KafkaResult<TimestampAndOffset>> list_offset(int64_t timestamp_or_query,
                                                            Epoch expected_epoch,
                                                            bool read_committed) = 0;
  virtual KafkaResult<EpochEnd> epoch_end(Epoch asked, Epoch expected_epoch) = 0;
  // DeleteRecords; -1 = up to the high watermark. Returns the new log start.
  virtual Task<KafkaResult<Offset>> delete_records(Offset before) = 0;
  // Retention by time and size, expiry of producers. Called now and then; `now_ms` is wall time.
  virtual Task<void> tick(int64_t now_ms) = 0;

  virtual Offset log_start() const = 0;
  virtual Offset high_watermark() const = 0;
  virtual Epoch epoch() const = 0;
  virtual uint64_t bytes() const = 0;
  // For readers on other brokers, as stream::Stream says.
  virtual Offset settled() const = 0;
  virtual Slice excerpt(Offset from) const = 0;

  // A planned move away, seen from here. From the call of pause() on, appends and trims wait
  // inside, in order; reads go on. Resumes when all that was called before has its outcome: the
  // durable end, to which nothing is added until resume(). An error: it has resumed.
  virtual Task<Result<Offset>> pause() = 0;
  virtual void resume() = 0;
  // Instead of resume(): another broker leads it. Who waits, and who comes from now on, is told so,
  // in order.
  virtual void moved() = 0;

  virtual void set_config(Config config) = 0;
  struct ProducerImage {
    int64_t producer_id;
    int16_t epoch;
    int32_t last_sequence;
    int64_t last_timestamp;
  };
  virtual std::vector<ProducerImage> producers() const = 0;

  // Calls `changed` on this shard, never in place, whenever the high watermark, the log start or
  // the state that a fetch sees changes, until the subscription is destroyed (here).
  class Subscription {
   public:
    virtual ~Subscription() = default;
  };
  virtual std::unique_ptr<Subscription> subscribe(std::function<void()> changed) = 0;

  // Refuses new calls with NOT_LEADER_OR_FOLLOWER, waits for those inside, closes the stream.
  virtual Task<void> close() = 0;
};

}  // namespace paceline::partition
