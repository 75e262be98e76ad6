#pragma once

#include <map>

#include "env/sync.h"
#include "partition/partition.h"
#include "record/producer_state.h"

namespace paceline::partition {

// The epochs that a partition has had and where each one starts: what OffsetForLeaderEpoch answers
// from. Kafka's rules.
class EpochHistory {
 public:
  void begin(Epoch epoch, Offset start);  // ignored unless it is newer
  EpochEnd end_of(Epoch asked, Offset log_end) const;
  Epoch epoch_at(Offset offset) const;  // -1 before the first
  // The part that belongs to what is below `end`.
  std::vector<std::pair<Epoch, Offset>> up_to(Offset end) const;

 private:
  std::vector<std::pair<Epoch, Offset>> starts_;
};

// The one implementation of Partition. A produce passes four phases: admit, sequence, persist,
// acknowledge (append.cc); the rest is reading (fetch.cc, offsets.cc) and state (state.cc).
class Log final : public Partition, public stream::StateOwner {
 public:
  explicit Log(Options options);

  Task<KafkaResult<void>> restore();

  Task<std::expected<Appended, AppendFailure>> append(AppendRequest request) override;
  Task<KafkaResult<Fetched>> fetch(FetchRequest request) override;
  Task<KafkaResult<TimestampAndOffset>> list_offset(int64_t query, Epoch expected_epoch,
                                                    bool read_committed) override;
  KafkaResult<EpochEnd> epoch_end(Epoch asked, Epoch expected_epoch) override;
  Task<KafkaResult<Offset>> delete_records(Offset before) override;
  Task<void> tick(int64_t now_ms) override;
  Offset log_start() const override { return stream_->start(); }
  Offset high_watermark() const override { return stream_->end(); }
  Epoch epoch() const override { return options_.epoch; }
  uint64_t bytes() const override { return stream_->bytes(); }
  void set_config(Config config) override { options_.config = std::move(config); }
  std::vector<ProducerImage> producers() const override;
  std::unique_ptr<Subscription> subscribe(std::function<void()> changed) override;
  Task<void> close() override;

  std::string snapshot(Offset end) override;

 private:
  using AppendResult = std::expected<Appended, AppendFailure>;
  // A batch that may be written: what is known of it, and its bytes, which are ours to patch.
  struct Admitted {
    record::BatchFacts facts;
    Slice records;
  };
  std::expected<Admitted, AppendFailure> admit(const AppendRequest& request) const;
  stream::Batch sequence(const Admitted& admitted, int64_t now_ms);
  Task<AppendResult> persist(stream::Batch batch, const Admitted& admitted, int64_t now_ms);
  Task<AppendResult> answer_duplicate(record::ProducerState::Duplicate duplicate);
  Task<AppendResult> answer_refused(record::ProducerState::Refused refused);
  // Waits until what ends at `last` is durable, or taken back. True if it is durable.
  Task<bool> wait_durable(Offset last);
  void settle_failure(const Error& error);

  KafkaResult<void> check_epoch(Epoch expected) const;
  Result<void> decode_snapshot(std::string_view bytes, std::string_view& attached);
  void notify();

  struct Watcher {
    std::function<void()> changed;
    bool alive = true;
  };
  class Watching;

  Options options_;
  stream::Stream* stream_ = nullptr;
  record::ProducerState producers_;
  EpochHistory epochs_;
  Offset next_;            // the offset of the next batch; above end() while batches are in flight
  size_t in_flight_ = 0;
  bool failing_ = false;   // one in flight was refused: all of them are let go, then next_ goes back
  bool lost_ = false;      // nothing can be appended in this term any more
  bool closed_ = false;
  env::Event settled_;     // something became durable, or a failure was settled
  env::Gate inside_;
  std::vector<std::shared_ptr<Watcher>> watchers_;
};

}  // namespace paceline::partition
