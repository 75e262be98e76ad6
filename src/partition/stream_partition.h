#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/sync.h"
#include "partition/epochs.h"
#include "partition/partition.h"
#include "partition/subscribers.h"
#include "partition/turns.h"
#include "record/producer_state.h"
#include "record/validate.h"

namespace paceline::partition {

using AppendResult = std::expected<Appended, AppendFailure>;

std::unexpected<AppendFailure> refuse(KafkaError code, std::string message);
// What a reader or an administrator is told when the stream fails.
record::KafkaFailure told(const Error& error);

// The lane of what opens in one piece of up to record::kDecompressedBytesMax, to be judged or
// packed again: one at a time in the process, so that memory has a bound.
inline constexpr uint64_t kOnePieceLane = 0x6f6e650000000000;

// The one implementation. An append goes through admit, repack (where something takes long: a batch
// that opens to much, a topic with a codec),
// sequence, persist, acknowledge, a file each.
class StreamPartition final : public Partition, public stream::StateOwner {
 public:
  explicit StreamPartition(Options options);
  // Takes what the stream gave; corrupt if its snapshot is none, fenced if its epochs are newer.
  Result<void> restore(stream::Storage::Opened opened);

  Task<AppendResult> append(AppendRequest request) override;
  void refused_before(int64_t producer_id, int16_t producer_epoch, int32_t base_sequence) override;
  Task<KafkaResult<Fetched>> fetch(FetchRequest request) override;
  void expect(Offset from) override;
  Task<KafkaResult<TimestampAndOffset>> list_offset(int64_t timestamp_or_query,
                                                    Epoch expected_epoch,
                                                    bool read_committed) override;
  KafkaResult<EpochEnd> epoch_end(Epoch asked, Epoch expected_epoch) override;
  Task<KafkaResult<Offset>> delete_records(Offset before) override;
  Task<void> tick(int64_t now_ms) override;

  Offset log_start() const override { return stream_ ? stream_->start() : closed_start_; }
  Offset high_watermark() const override { return stream_ ? stream_->end() : closed_end_; }
  Epoch epoch() const override { return options_.epoch; }
  uint64_t bytes() const override { return stream_ ? stream_->bytes() : 0; }
  Offset settled() const override { return stream_ ? stream_->settled() : closed_start_; }
  Slice excerpt(Offset from) const override {
    return stream_ && !closing_ && !moved_ ? stream_->excerpt(from) : Slice();
  }
  Task<Result<Offset>> pause() override;
  void resume() override;
  void moved() override;
  void set_config(Config config) override { options_.config = config; }
  std::vector<ProducerImage> producers() const override;
  std::unique_ptr<Subscription> subscribe(std::function<void()> changed) override;
  Task<void> close() override;

  std::string snapshot(Offset end) override;  // of StateOwner

 private:
  // An answer that follows from a batch which may not be durable yet: told once `last_offset` is,
  // and a storage error if it never will be.
  struct Deferred {
    AppendResult answer;
    Offset last_offset;
  };
  struct Sequenced {
    stream::Batch batch;
    int64_t answer_time_ms = -1;
  };

  // What is known of a batch: its facts, why it is refused, or that it opens to more than is opened
  // on the shard.
  using Facts = std::expected<record::BatchFacts, AppendFailure>;
  struct Judged {
    Facts facts;
    bool opens_to_much = false;
  };
  Judged admit(const AppendRequest& request) const;
  std::expected<void, AppendFailure> check_writable(Epoch expected) const;
  record::ValidateOptions judge_options(const AppendRequest& request) const;
  Judged judge(const AppendRequest& request) const;
  Task<Facts> judge_elsewhere(const AppendRequest& request);
  bool needs_packing(const AppendRequest& request, const record::BatchFacts& facts) const;
  Task<std::expected<Turns::Turn, AppendFailure>> repack(AppendRequest& request, Judged& judged);
  // Nothing: the batch is new and next in its producer's order.
  std::optional<Deferred> check_producer(const record::BatchFacts& facts) const;
  Sequenced sequence(const AppendRequest& request, const record::BatchFacts& facts);
  Task<std::expected<void, AppendFailure>> persist(stream::Batch batch);
  std::unexpected<AppendFailure> fail_append(const Error& error);
  std::unexpected<AppendFailure> refuse_for_now(const record::BatchFacts& facts);
  void settle_failure();
  Appended acknowledge(const Sequenced& sequenced);
  Task<AppendResult> refuse_moved();
  Task<void> wait_resumed();
  Task<AppendResult> tell(Deferred deferred);

  KafkaResult<void> check_epoch(Epoch expected) const;
  KafkaResult<void> check_open(Epoch expected) const;
  record::KafkaFailure read_failed(const Error& error, Offset from);
  Task<KafkaResult<TimestampAndOffset>> find_by_time(int64_t timestamp);
  Task<KafkaResult<TimestampAndOffset>> find_max_time();
  Result<void> restore_snapshot(std::string_view snapshot);
  Task<Result<void>> trim(Offset new_start);
  Task<KafkaResult<void>> confirm();

  Options options_;
  env::Shard& shard_;
  stream::Stream* stream_ = nullptr;
  EpochHistory epochs_;
  record::ProducerState producers_;
  Offset next_;                 // of the next batch; above the durable end by what is in flight
  int64_t last_append_ms_ = 0;  // recorded in the log: the clock by which producers expire
  Offset snapshot_end_;
  size_t in_flight_ = 0;
  uint64_t failures_ = 0;  // of appends, as waves: what was in flight at one time counts once
  env::Instant next_read_line_{};     // of the log, for reads that fail
  env::Instant next_refusal_line_{};  // of the log: refusals are told now and then
  bool recovering_ = false;           // a wave is under way: nothing new until all of it is back
  bool lost_ = false;                 // writes of unknown outcome: nothing is appended any more
  bool closing_ = false;
  bool paused_ = false;  // for a move: nothing is added until it is over
  bool moved_ = false;   // another broker leads it
  size_t trims_ = 0;     // under way
  Offset closed_start_;
  Offset closed_end_;
  env::Event settled_;  // the durable end moved, a wave of failures is over, or a pause
  env::Gate calls_;
  Turns turns_;  // of appends that wait for their batches to be opened or packed elsewhere, and of
                 // those behind them
  Turns::Turn pause_turn_;  // what comes behind it waits for the end of the pause
  Subscribers subscribers_;
};

}  // namespace paceline::partition
