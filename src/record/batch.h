#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/endian.h"
#include "base/ids.h"
#include "base/result.h"

namespace paceline::record {

using ProducerId = Strong<struct ProducerIdTag, int64_t>;

inline constexpr ProducerId kNoProducerId{-1};
inline constexpr int16_t kNoProducerEpoch = -1;
inline constexpr int32_t kNoSequence = -1;
inline constexpr int64_t kNoTimestamp = -1;
inline constexpr int32_t kSequenceMax = 0x7fffffff;  // the next one is 0
inline constexpr int8_t kMagic = 2;

// The numbers are the protocol's.
enum class Codec : uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };
enum class TimestampType : uint8_t { create_time = 0, log_append_time = 1 };

std::string_view codec_name(Codec codec);  // as in compression.type: "none", "gzip", ...
std::optional<Codec> parse_codec(std::string_view name);

// RecordBatch v2, big-endian. What lies before kCrcStart is outside of the checksum, so the broker
// writes base_offset and partition_leader_epoch in place.
inline constexpr size_t kBaseOffsetAt = 0;             // int64
inline constexpr size_t kBatchLengthAt = 8;            // int32, bytes after this field
inline constexpr size_t kPartitionLeaderEpochAt = 12;  // int32
inline constexpr size_t kMagicAt = 16;                 // int8
inline constexpr size_t kCrcAt = 17;                   // uint32, CRC32C of [kCrcStart, end)
inline constexpr size_t kAttributesAt = 21;            // int16
inline constexpr size_t kCrcStart = kAttributesAt;
inline constexpr size_t kLastOffsetDeltaAt = 23;  // int32
inline constexpr size_t kBaseTimestampAt = 27;    // int64 ms; the delete horizon if that bit is set
inline constexpr size_t kMaxTimestampAt = 35;     // int64 ms
inline constexpr size_t kProducerIdAt = 43;       // int64
inline constexpr size_t kProducerEpochAt = 51;    // int16
inline constexpr size_t kBaseSequenceAt = 53;     // int32
inline constexpr size_t kRecordCountAt = 57;      // int32
inline constexpr size_t kBatchHeaderBytes = 61;
inline constexpr size_t kBatchLengthEnd = 12;  // whole batch = kBatchLengthEnd + batch_length

inline constexpr int16_t kCodecMask = 0x07;
inline constexpr int16_t kLogAppendTimeBit = 0x08;
inline constexpr int16_t kTransactionalBit = 0x10;
inline constexpr int16_t kControlBit = 0x20;
inline constexpr int16_t kDeleteHorizonBit = 0x40;

// A batch v2 in somebody else's bytes. Cheap to copy; valid as long as the bytes are.
class BatchView {
 public:
  // The batch at the start of `bytes`, which may go on after it. Checks the structure only: magic
  // 2, a length of at least a header and inside `bytes`. Never the checksum: see crc_ok().
  // Code::out_of_range: `bytes` ends before the batch does; Code::corrupt: no batch v2.
  static Result<BatchView> parse(Bytes bytes);

  Offset base_offset() const { return Offset(at<int64_t>(kBaseOffsetAt)); }
  int32_t batch_length() const { return at<int32_t>(kBatchLengthAt); }
  Epoch partition_leader_epoch() const { return Epoch(at<int32_t>(kPartitionLeaderEpochAt)); }
  int8_t magic() const { return at<int8_t>(kMagicAt); }
  uint32_t crc() const { return at<uint32_t>(kCrcAt); }
  int16_t attributes() const { return at<int16_t>(kAttributesAt); }
  int32_t last_offset_delta() const { return at<int32_t>(kLastOffsetDeltaAt); }
  int64_t base_timestamp() const { return at<int64_t>(kBaseTimestampAt); }
  int64_t max_timestamp() const { return at<int64_t>(kMaxTimestampAt); }
  ProducerId producer_id() const { return ProducerId(at<int64_t>(kProducerIdAt)); }
  int16_t producer_epoch() const { return at<int16_t>(kProducerEpochAt); }
  int32_t base_sequence() const { return at<int32_t>(kBaseSequenceAt); }
  int32_t record_count() const { return at<int32_t>(kRecordCountAt); }

  uint8_t codec_number() const { return static_cast<uint8_t>(attributes() & kCodecMask); }
  bool codec_known() const { return codec_number() <= static_cast<uint8_t>(Codec::zstd); }
  Codec codec() const { return static_cast<Codec>(codec_number()); }  // REQUIRES: codec_known()
  TimestampType timestamp_type() const {
    return attributes() & kLogAppendTimeBit ? TimestampType::log_append_time
                                            : TimestampType::create_time;
  }
  bool transactional() const { return attributes() & kTransactionalBit; }
  bool control() const { return attributes() & kControlBit; }
  bool has_delete_horizon() const { return attributes() & kDeleteHorizonBit; }

  Offset last_offset() const { return base_offset() + last_offset_delta(); }
  Offset next_offset() const { return last_offset() + 1; }
  int32_t last_sequence() const;  // kNoSequence if there is no base sequence

  Bytes bytes() const { return bytes_; }  // exactly this batch
  size_t size() const { return bytes_.size(); }
  Bytes payload() const { return bytes_.subspan(kBatchHeaderBytes); }  // the records, as compressed
  bool crc_ok() const;
  // The CRC32C of all its bytes, from its own checksum: the records are not read again.
  // REQUIRES: crc_ok().
  uint32_t whole_crc() const;

 private:
  explicit BatchView(Bytes bytes) : bytes_(bytes) {}
  template <class T>
  T at(size_t position) const {
    return load_be<T>(bytes_.data() + position);
  }

  Bytes bytes_;
};

// `sequence` moved on by `count`, wrapping from kSequenceMax to 0.
int32_t advance_sequence(int32_t sequence, int32_t count);
// Whether a producer sends `sequence` after `other`: less than half the ring of 2^31 ahead of it.
bool is_ahead(int32_t sequence, int32_t other);

// Walks the concatenated batches of a run.
class BatchCursor {
 public:
  explicit BatchCursor(Bytes run) : rest_(run) {}

  // The next batch; nothing at the end of the run; the errors of BatchView::parse, after which the
  // cursor stays where it is (a fetched run may end in a cut batch).
  Result<std::optional<BatchView>> next();
  // What was not walked yet.
  Bytes rest() const { return rest_; }

 private:
  Bytes rest_;
};

// In-place changes. REQUIRES: `batch` starts with a batch that BatchView::parse accepts, and nobody
// else has been given these bytes yet.

// Gives the batch its place in the partition; outside of the checksum.
void set_placement(MutableBytes batch, Offset base_offset, Epoch leader_epoch);
// message.timestamp.type=LogAppendTime: every record of the batch has this time. New checksum.
void set_log_append_time(MutableBytes batch, int64_t time_ms);
// Corrects the header of a CreateTime batch whose writer stated another maximum. New checksum.
void set_max_timestamp(MutableBytes batch, int64_t time_ms);

}  // namespace paceline::record
