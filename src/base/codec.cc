#include "base/codec.h"

namespace paceline {

Encoder& Encoder::varint(uint64_t value) {
  while (value >= 0x80) {
    out_.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out_.push_back(static_cast<char>(value));
  return *this;
}

Uuid Decoder::uuid() {
  Uuid id;
  Bytes bytes = raw(id.bytes.size());
  if (ok_) std::memcpy(id.bytes.data(), bytes.data(), bytes.size());
  return id;
}

uint64_t Decoder::varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    const auto byte = get<uint8_t>();
    if (!ok_) return 0;
    if (shift == 63 && byte > 1) break;  // more than 64 bits
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return value;
  }
  invalidate();
  return 0;
}

Bytes Decoder::raw(size_t size) {
  if (rest_.size() < size) {
    invalidate();
    return {};
  }
  Bytes bytes = rest_.first(size);
  rest_ = rest_.subspan(size);
  return bytes;
}

std::string_view Decoder::text() {
  const uint64_t size = varint();
  if (size > rest_.size()) {
    invalidate();
    return {};
  }
  return as_text(raw(size));
}

size_t Decoder::count(size_t element_bytes_min) {
  const uint64_t count = varint();
  if (count > rest_.size() / (element_bytes_min ? element_bytes_min : 1)) {
    invalidate();
    return 0;
  }
  return count;
}

}  // namespace paceline
