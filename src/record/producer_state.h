#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "record/kafka_error.h"
#include "record/validate.h"

namespace paceline::record {

inline constexpr size_t kProducerBatchesKept = 5;  // per producer id, as Kafka
inline constexpr size_t kProducersMax = 10'000;

// What the idempotent producers of one partition have written: lets a retry be told from new data.
// Pure: no clock, no I/O; owned by the partition's shard.
//
// A batch is applied when it is sequenced, before it is durable. So that a snapshot never knows a
// batch that may still be lost (it would acknowledge the retry of that batch), every batch at or
// above the *floor* is kept beside the five that check() looks at, and snapshot(end) gives the
// state of the batches wholly below `end`, for any end from the floor on. The owner raises the
// floor with durable_up_to(), and takes failed appends back with forget_from().
class ProducerState {
 public:
  struct Accept {};
  // The batch is here already, exactly so. The answer is its first write's, and must not be given
  // before `last_offset` is durable.
  struct Duplicate {
    Offset base_offset;
    Offset last_offset;
    int64_t append_time_ms;
  };
  // The refusal follows from the batch that ends at `last_offset`, which may not be durable yet:
  // tell it when that is. -1: it depends on nothing that could be lost.
  struct Refused {
    KafkaFailure failure;
    Offset last_offset{-1};
  };
  using Verdict = std::variant<Accept, Duplicate, Refused>;

  // One producer as DescribeProducers shows it.
  struct Producer {
    ProducerId id;
    int16_t epoch;
    int32_t last_sequence;  // kNoSequence: only markers in this epoch
    Offset last_offset;
    int64_t last_append_ms;
  };

  explicit ProducerState(size_t producers_max = kProducersMax) : producers_max_(producers_max) {}

  // May a client write this batch next? A batch without producer id always may.
  //   INVALID_PRODUCER_EPOCH        an epoch older than the producer's newest
  //   OUT_OF_ORDER_SEQUENCE_NUMBER  a gap, a duplicate older than the batches kept, or a new epoch
  //                                 that does not start at 0
  Verdict check(const BatchFacts& facts) const;

  // The batch took the offsets [base_offset, base_offset + last_offset_delta]. Not judged again:
  // what is in the log is so, hence also the way to replay stored batches and markers, by
  // facts_of(). REQUIRES: base_offset above every batch applied before, and >= end().
  void apply(const BatchFacts& facts, Offset base_offset, int64_t append_time_ms);
  // Takes back every batch that reaches `offset` or above. REQUIRES: offset >= floor().
  void forget_from(Offset offset);
  // The batch was refused for a while and will be sent again. A producer nobody knows may start at
  // any sequence, so what it has in flight behind its first batch must be held to that order: until
  // this one has come, later ones of its epoch are OUT_OF_ORDER_SEQUENCE_NUMBER. The same holds for
  // producers that forget_from() takes back wholly. Not part of snapshots: who loses its connection
  // sends everything again, in order.
  void refused_for_now(const BatchFacts& facts);
  // Nothing below `floor` will be forgotten, and no snapshot asked for below it. May pass end().
  // Also where the bound on the number of producers is kept: the longest idle go. Never goes back.
  void durable_up_to(Offset floor);
  // Drops the producers whose last batch was appended before `time_ms` and lies below the floor.
  // `time_ms` derives from recorded append times, so that every replica of this state agrees.
  void expire(int64_t time_ms);

  // The encoded state of the batches wholly below `end`; a function of those batches alone, but for
  // expiry and the bound on producers. REQUIRES: end >= floor(), and a boundary of batches if the
  // rest is to be replayed onto it. Layout: producer_snapshot.cc.
  std::string snapshot(Offset end) const;
  // Code::corrupt, Code::unsupported (a newer version, or transactions). end() and floor() are the
  // snapshot's end.
  static Result<ProducerState> decode(Bytes snapshot, size_t producers_max = kProducersMax);

  Offset floor() const { return floor_; }
  Offset end() const { return end_; }  // one above what was applied
  size_t producer_count() const { return producers_.size(); }
  std::vector<Producer> producers() const;  // by id
  size_t bytes() const;                     // estimate of the memory held

 private:
  struct Entry {
    int32_t base_sequence;  // kNoSequence: a marker
    int32_t last_sequence;
    Offset base_offset;
    Offset last_offset;
    int64_t append_time_ms;
    int16_t epoch;

    bool marker() const { return base_sequence == kNoSequence; }
  };
  using Entries = std::vector<Entry>;
  struct Undurable {
    Offset last_offset;
    ProducerId producer_id;
  };

  struct Awaited {  // the first batch of a producer nobody knows, refused for now
    int16_t epoch;
    int32_t base_sequence;
  };
  // Beyond it an arbitrary one goes: then that producer may start anywhere, as Kafka lets it.
  static constexpr size_t kAwaitedMax = 10'000;

  static size_t first_relevant(const Entries& entries, size_t count);
  static size_t count_below(const Entries& entries, Offset end);
  static void reduce(Entries& entries, Offset floor);
  Verdict check_sequence(const BatchFacts& facts, const Entries& entries) const;
  Verdict check_unknown(const BatchFacts& facts) const;
  void await(ProducerId id, Awaited first);
  void evict_idle();

  size_t producers_max_;
  std::unordered_map<ProducerId, Entries> producers_;  // no entry list is empty
  std::deque<Undurable> undurable_;                    // entries at or above the floor, by offset
  std::unordered_map<ProducerId, Awaited> awaited_;    // none of them is in producers_
  Offset floor_{0};
  Offset end_{0};
};

}  // namespace paceline::record
