#include <algorithm>

#include "base/codec.h"
#include "base/crc32c.h"
#include "record/records.h"

namespace paceline::record {
namespace {

void put_varlong(std::string& out, int64_t value) {
  uint64_t raw = (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
  for (; raw >= 0x80; raw >>= 7) out.push_back(static_cast<char>(raw | 0x80));
  out.push_back(static_cast<char>(raw));
}

void put_field(std::string& out, std::optional<std::string_view> field) {
  put_varlong(out, field ? static_cast<int64_t>(field->size()) : -1);
  if (field) out += *field;
}

void set_bit(int16_t& attributes, int16_t bit, bool on) {
  attributes = static_cast<int16_t>(on ? attributes | bit : attributes & ~bit);
}

}  // namespace

BatchBuilder& BatchBuilder::codec(Codec codec, int level) {
  attributes_ = static_cast<int16_t>((attributes_ & ~kCodecMask) | static_cast<int16_t>(codec));
  level_ = level;
  return *this;
}

BatchBuilder& BatchBuilder::producer(ProducerId id, int16_t epoch, int32_t base_sequence) {
  producer_id_ = id;
  producer_epoch_ = epoch;
  base_sequence_ = base_sequence;
  return *this;
}

BatchBuilder& BatchBuilder::transactional(bool on) {
  set_bit(attributes_, kTransactionalBit, on);
  return *this;
}

BatchBuilder& BatchBuilder::control(bool on) {
  set_bit(attributes_, kControlBit, on);
  return *this;
}

BatchBuilder& BatchBuilder::timestamp_type(TimestampType type) {
  set_bit(attributes_, kLogAppendTimeBit, type == TimestampType::log_append_time);
  return *this;
}

BatchBuilder& BatchBuilder::place(Offset base_offset, Epoch leader_epoch) {
  base_offset_ = base_offset;
  leader_epoch_ = leader_epoch;
  return *this;
}

BatchBuilder& BatchBuilder::timestamp(int64_t time_ms) {
  timestamp_ = time_ms;
  return *this;
}

BatchBuilder& BatchBuilder::add(std::optional<std::string_view> key,
                                std::optional<std::string_view> value,
                                const std::vector<Header>& headers) {
  return add_at(last_offset_delta_ + 1, key, value, headers);
}

BatchBuilder& BatchBuilder::add_at(int32_t offset_delta, std::optional<std::string_view> key,
                                   std::optional<std::string_view> value,
                                   const std::vector<Header>& headers) {
  CHECK(offset_delta > last_offset_delta_);
  if (record_count_ == 0) base_timestamp_ = max_timestamp_ = timestamp_;
  max_timestamp_ = std::max(max_timestamp_, timestamp_);
  std::string body(1, '\0');  // attributes
  put_varlong(body, timestamp_ - base_timestamp_);
  put_varlong(body, offset_delta);
  put_field(body, key);
  put_field(body, value);
  put_varlong(body, static_cast<int64_t>(headers.size()));
  for (const Header& header : headers) {
    put_field(body, header.key);
    put_field(body, header.value);
  }
  put_varlong(records_, static_cast<int64_t>(body.size()));
  records_ += body;
  last_offset_delta_ = offset_delta;
  ++record_count_;
  return *this;
}

Result<std::string> BatchBuilder::build() const {
  TRY(const std::string payload,
      compress(static_cast<Codec>(attributes_ & kCodecMask), as_bytes(records_), level_));
  const size_t length = kBatchHeaderBytes - kBatchLengthEnd + payload.size();
  if (length > 0x7fffffff) return fail(Code::too_large, "a batch over 2 GiB");
  Encoder out;
  out.put(base_offset_).put(static_cast<int32_t>(length)).put(leader_epoch_).put(kMagic);
  out.put(uint32_t{0});  // the checksum, below
  out.put(attributes_).put(last_offset_delta_).put(base_timestamp_).put(max_timestamp_);
  out.put(producer_id_).put(producer_epoch_).put(base_sequence_).put(record_count_);
  out.raw(as_bytes(payload));
  out.patch_u32(kCrcAt, crc32c(out.bytes().subspan(kCrcStart)));
  return out.take();
}

}  // namespace paceline::record
