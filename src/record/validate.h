#pragma once

#include <cstdint>
#include <limits>

#include "record/batch.h"
#include "record/compress.h"
#include "record/kafka_error.h"

namespace paceline::record {

// What the broker goes on to use of a batch: of a client's after validate_produced(), of a stored
// one by facts_of().
struct BatchFacts {
  ProducerId producer_id = kNoProducerId;
  int16_t producer_epoch = kNoProducerEpoch;
  int32_t base_sequence = kNoSequence;
  int32_t last_sequence = kNoSequence;
  int32_t record_count = 0;
  int32_t last_offset_delta = 0;         // a compacted batch may hold fewer records than its range
  int64_t max_timestamp = kNoTimestamp;  // of the records where they were read, else the header's
  int32_t max_timestamp_offset_delta = -1;  // of the first record that has it; -1: not looked at
  // The header states another maximum than the records have: set_max_timestamp() before storing.
  bool max_timestamp_wrong = false;
  Codec codec = Codec::none;
  size_t bytes = 0;
  size_t opened_bytes = 0;  // of the records without their codec; 0: not looked at
  bool transactional = false;
  bool control = false;

  bool has_producer() const { return producer_id.value >= 0; }
  bool operator==(const BatchFacts&) const = default;
};

// From the header alone. REQUIRES: batch.codec_known().
BatchFacts facts_of(const BatchView& batch);

inline constexpr int32_t kMaxMessageBytesDefault = 1'048'588;  // Kafka's: 1 MiB and a log overhead
inline constexpr int16_t kProduceVersionMin = 3;
inline constexpr int16_t kProduceVersionZstd = 7;
inline constexpr size_t kRecordErrorsMax = 10'000;  // told for one batch; the rest is left out

struct ValidateOptions {
  int16_t api_version = kProduceVersionZstd;  // of Produce; REQUIRES: >= kProduceVersionMin
  int32_t max_message_bytes = kMaxMessageBytesDefault;
  bool compacted = false;  // cleanup.policy contains compact: every record needs a key
  TimestampType timestamp_type = TimestampType::create_time;  // the topic's
  int64_t now_ms = 0;
  int64_t timestamp_before_max_ms = std::numeric_limits<int64_t>::max();
  int64_t timestamp_after_max_ms = 3'600'000;
  size_t decompressed_bytes_max = kDecompressedBytesMax;
  // Open compressed batches and check their records. Without it their header is believed, and no
  // key or timestamp in them is looked at.
  bool deep = true;
};

// Judges the `records` field of a Produce request for one partition by the rules of Kafka's broker.
// An absent field is empty bytes. Nothing is kept or changed; memory beyond the input is a window
// of some 64 KiB where the codec streams, and never more than decompressed_bytes_max.
//
//   INVALID_RECORD                  none, or more than one batch; lengths, counts, offsets or
//                                   sequences that disagree; control bit; null key when compacted
//   UNSUPPORTED_FOR_MESSAGE_FORMAT  magic 0 or 1
//   CORRUPT_MESSAGE                 another magic, the checksum, a broken compressed stream
//   MESSAGE_TOO_LARGE               the batch as it came, or as it opens
//   UNSUPPORTED_COMPRESSION_TYPE    unknown, or zstd before Produce v7
//   INVALID_TIMESTAMP               by record index
KafkaResult<BatchFacts> validate_produced(Bytes records, const ValidateOptions& options);

}  // namespace paceline::record
