#include "record/record_scan.h"

namespace paceline::record {
namespace {

constexpr int kVarintBytesMax = 5;
constexpr int kVarlongBytesMax = 10;

int64_t unzigzag(uint64_t raw) {
  return static_cast<int64_t>(raw >> 1) ^ -static_cast<int64_t>(raw & 1);
}

}  // namespace

RecordScan::RecordScan(const BatchView& batch, size_t decompressed_bytes_max) {
  const Bytes payload = batch.payload();
  if (batch.codec() == Codec::none) {
    begin_ = at_ = payload.data();
    end_ = payload.data() + payload.size();
  } else {
    source_ = Decompressor::open(batch.codec(), payload, decompressed_bytes_max);
  }
}

RecordScan::Step RecordScan::next(ScannedRecord& record) {
  record_end_ = ~0ull;
  if (at_end()) return error_.message.empty() ? Step::end : Step::failed;
  int32_t size = 0;
  if (!read_varint(size) || size < 0) return malformed("a record has no valid length");
  record_end_ = position() + static_cast<uint64_t>(size);
  uint8_t attributes = 0;
  bool has_value = false;
  if (!read_byte(attributes) || !read_varlong(record.timestamp_delta) ||
      !read_varint(record.offset_delta) || !skip_field(true, record.has_key) ||
      !skip_field(true, has_value) || !skip_headers())
    return malformed("a record's parts do not fit its length");
  if (position() != record_end_) return malformed("a record is longer than its parts");
  return Step::record;
}

RecordScan::Step RecordScan::malformed(std::string_view what) {
  if (error_.message.empty()) error_ = Error{Code::invalid_argument, std::string(what)};
  return Step::failed;
}

bool RecordScan::refill() {
  if (!source_) return false;
  passed_ += static_cast<uint64_t>(end_ - begin_);
  begin_ = at_ = end_ = nullptr;
  Result<bool> more = source_->next(window_);
  if (!more || !*more) {
    if (!more) error_ = std::move(more).error();
    source_.reset();
    return false;
  }
  const Bytes window = as_bytes(window_);
  begin_ = at_ = window.data();
  end_ = window.data() + window.size();
  return true;
}

bool RecordScan::read_byte(uint8_t& byte) {
  if (position() >= record_end_ || at_end()) return false;
  byte = static_cast<uint8_t>(*at_++);
  return true;
}

bool RecordScan::read_varlong(int64_t& value) {
  uint64_t raw = 0;
  for (int i = 0; i < kVarlongBytesMax; ++i) {
    uint8_t byte = 0;
    if (!read_byte(byte)) return false;
    if (i == kVarlongBytesMax - 1 && byte > 1) return false;  // more than 64 bits
    raw |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (!(byte & 0x80)) {
      value = unzigzag(raw);
      return true;
    }
  }
  return false;
}

bool RecordScan::read_varint(int32_t& value) {
  uint32_t raw = 0;
  for (int i = 0; i < kVarintBytesMax; ++i) {
    uint8_t byte = 0;
    if (!read_byte(byte)) return false;
    if (i == kVarintBytesMax - 1 && byte > 0x0f) return false;  // more than 32 bits
    raw |= static_cast<uint32_t>(byte & 0x7f) << (7 * i);
    if (!(byte & 0x80)) {
      value = static_cast<int32_t>(unzigzag(raw));
      return true;
    }
  }
  return false;
}

bool RecordScan::skip(uint64_t count) {
  if (count > record_end_ - position()) return false;
  while (count > 0) {
    if (at_end()) return false;
    const uint64_t step = std::min<uint64_t>(count, static_cast<uint64_t>(end_ - at_));
    at_ += step;
    count -= step;
  }
  return true;
}

bool RecordScan::skip_field(bool may_be_null, bool& present) {
  int32_t size = 0;
  if (!read_varint(size)) return false;
  present = size >= 0;
  return present ? skip(static_cast<uint64_t>(size)) : may_be_null;
}

bool RecordScan::skip_headers() {
  int32_t count = 0;
  if (!read_varint(count) || count < 0) return false;
  // Each header takes a byte or more, so a false count ends at the record's end.
  for (int32_t i = 0; i < count; ++i) {
    bool present = false;
    if (!skip_field(false, present) || !skip_field(true, present)) return false;
  }
  return true;
}

}  // namespace paceline::record
