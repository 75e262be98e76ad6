#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "record/batch.h"
#include "record/compress.h"

namespace paceline::record {

struct HeaderView {
  std::string_view key;
  std::optional<std::string_view> value;
};

// A record in the bytes of its batch, or of the RecordReader that opened them.
struct RecordView {
  Offset offset;
  int64_t timestamp = kNoTimestamp;  // ms; the batch's maximum if the broker set the time
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  std::vector<HeaderView> headers;
};

// Walks the records of one batch, opening it if it is compressed. The views live as long as the
// reader and the batch's bytes. Errors: Code::corrupt, too_large, unsupported (codec).
class RecordReader {
 public:
  static Result<RecordReader> open(const BatchView& batch,
                                   size_t decompressed_bytes_max = kDecompressedBytesMax);

  // The next record; nothing at the end.
  Result<std::optional<RecordView>> next();

 private:
  RecordReader(const BatchView& batch, std::string opened)
      : batch_(batch), opened_(std::make_unique<std::string>(std::move(opened))) {}

  BatchView batch_;
  std::unique_ptr<std::string> opened_;  // stays where it is when the reader moves
  Bytes rest_;
  int32_t read_count_ = 0;
};

// A record's place and time.
struct TimestampedOffset {
  Offset offset;
  int64_t timestamp;

  bool operator==(const TimestampedOffset&) const = default;
};

// The first record of the batch at or after `timestamp`; nothing if there is none.
Result<std::optional<TimestampedOffset>> find_by_timestamp(
    const BatchView& batch, int64_t timestamp,
    size_t decompressed_bytes_max = kDecompressedBytesMax);
// The first record that has the batch's largest timestamp; nothing in a batch without records.
Result<std::optional<TimestampedOffset>> find_max_timestamp(
    const BatchView& batch, size_t decompressed_bytes_max = kDecompressedBytesMax);

struct Header {
  std::string_view key;
  std::optional<std::string_view> value;
};

// Builds one batch: what a producer sends (base offset 0), or with place() what a log holds.
//
//   BatchBuilder builder;
//   builder.timestamp(now_ms).add("key", "value");
//   std::string batch = *builder.build();
class BatchBuilder {
 public:
  BatchBuilder& codec(Codec codec, int level = kLevelDefault);
  BatchBuilder& producer(ProducerId id, int16_t epoch, int32_t base_sequence);
  BatchBuilder& transactional(bool on = true);
  BatchBuilder& control(bool on = true);
  BatchBuilder& timestamp_type(TimestampType type);
  BatchBuilder& place(Offset base_offset, Epoch leader_epoch);
  // The time of the records added from here on, in ms; kNoTimestamp at first.
  BatchBuilder& timestamp(int64_t time_ms);

  BatchBuilder& add(std::optional<std::string_view> key, std::optional<std::string_view> value,
                    const std::vector<Header>& headers = {});
  // A record whose offset is `offset_delta` after the base: a batch with the gaps of compaction.
  // REQUIRES: more than the delta before it.
  BatchBuilder& add_at(int32_t offset_delta, std::optional<std::string_view> key,
                       std::optional<std::string_view> value,
                       const std::vector<Header>& headers = {});

  int32_t record_count() const { return record_count_; }
  // Bytes of the batch so far, before compression.
  size_t bytes() const { return kBatchHeaderBytes + records_.size(); }
  // Fails only by the codec: too_large, invalid_argument (level). The builder may go on.
  Result<std::string> build() const;

 private:
  std::string records_;
  int32_t record_count_ = 0;
  int32_t last_offset_delta_ = -1;
  int64_t base_timestamp_ = kNoTimestamp;  // of the first record
  int64_t max_timestamp_ = kNoTimestamp;
  int64_t timestamp_ = kNoTimestamp;
  int16_t attributes_ = 0;
  int level_ = kLevelDefault;
  ProducerId producer_id_ = kNoProducerId;
  int16_t producer_epoch_ = kNoProducerEpoch;
  int32_t base_sequence_ = kNoSequence;
  Offset base_offset_{0};
  Epoch leader_epoch_{-1};
};

// The marker that ends a transaction in a partition: a control batch of one record.
enum class MarkerKind : int16_t { abort = 0, commit = 1 };
struct TransactionMarker {
  MarkerKind kind = MarkerKind::abort;
  int32_t coordinator_epoch = 0;

  bool operator==(const TransactionMarker&) const = default;
};
std::string build_marker(const TransactionMarker& marker, ProducerId producer_id,
                         int16_t producer_epoch, int64_t time_ms);
// Code::corrupt: no control batch, or none with a transaction's end; Code::unsupported: a control
// record of another kind.
Result<TransactionMarker> parse_marker(const BatchView& batch);

}  // namespace paceline::record
