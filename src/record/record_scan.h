#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "record/batch.h"
#include "record/compress.h"

namespace paceline::record {

// What a pass over a batch learns of a record without keeping its bytes.
struct ScannedRecord {
  int64_t timestamp_delta = 0;
  int32_t offset_delta = 0;
  bool has_key = false;
};

// Parses the records of a batch in one pass, compressed or not, through a small window: keys,
// values and headers are stepped over. Every length is checked against the record that holds it,
// and the record against the batch.
class RecordScan {
 public:
  enum class Step : uint8_t { record, end, failed };

  // `batch` must outlive the scan. REQUIRES: batch.codec_known().
  RecordScan(const BatchView& batch, size_t decompressed_bytes_max);

  // `end` only where the bytes end, too; the caller compares the number of records.
  Step next(ScannedRecord& record);
  // After Step::failed. Code::invalid_argument: the records break the format; else the
  // Decompressor's corrupt or too_large.
  const Error& error() const { return error_; }
  // The position in the record bytes as a whole, over all windows.
  uint64_t position() const { return passed_ + static_cast<uint64_t>(at_ - begin_); }

 private:
  bool refill();
  bool at_end() { return at_ == end_ && !refill(); }
  bool read_byte(uint8_t& byte);
  bool read_varlong(int64_t& value);
  bool read_varint(int32_t& value);
  bool skip(uint64_t count);
  bool skip_field(bool may_be_null, bool& present);
  bool skip_headers();
  Step malformed(std::string_view what);

  const std::byte* begin_ = nullptr;
  const std::byte* at_ = nullptr;
  const std::byte* end_ = nullptr;
  uint64_t passed_ = 0;                   // bytes in the windows before this one
  uint64_t record_end_ = ~0ull;           // of the record being read
  std::unique_ptr<Decompressor> source_;  // none: the payload is the only window
  std::string window_;
  Error error_{Code::invalid_argument, {}};
};

}  // namespace paceline::record
