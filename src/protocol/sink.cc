#include "protocol/sink.h"

#include <fmt/format.h>

namespace paceline::protocol {

void Writer::uvarint(uint64_t value) {
  std::byte bytes[10];
  size_t size = 0;
  for (; value >= 0x80; value >>= 7) bytes[size++] = static_cast<std::byte>(value | 0x80);
  bytes[size++] = static_cast<std::byte>(value);
  out_.append(Bytes(bytes, size));
}

std::unexpected<Error> bad_version(const char* name, int16_t version) {
  return fail(Code::unsupported, fmt::format("{} has no version {}", name, version));
}

std::unexpected<Error> bad_bytes(const char* name, int16_t version, const char* why) {
  return fail(Code::corrupt, fmt::format("{} version {} {}", name, version, why));
}

Result<void> begin_message(const char* name, int16_t version, int16_t version_min,
                           int16_t version_max, const Sizer& size, Output& out) {
  if (version < version_min || version > version_max) return bad_version(name, version);
  if (size.refused()) {
    return fail(Code::unsupported,
                fmt::format("{} version {} cannot carry {}", name, version, size.refused()));
  }
  out.reserve(size.own());
  return {};
}

}  // namespace paceline::protocol
