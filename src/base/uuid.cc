#include "base/uuid.h"

namespace paceline {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace

std::string Uuid::to_string() const {
  std::string text;
  text.reserve(22);
  uint32_t window = 0;
  int bits = 0;
  for (uint8_t byte : bytes) {
    window = (window << 8) | byte;
    bits += 8;
    while (bits >= 6) {
      bits -= 6;
      text += kAlphabet[(window >> bits) & 63];
    }
  }
  text += kAlphabet[(window << (6 - bits)) & 63];
  return text;
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  if (text.size() != 22) return std::nullopt;
  Uuid id;
  uint32_t window = 0;
  int bits = 0;
  size_t filled = 0;
  for (char c : text) {
    size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    window = (window << 6) | static_cast<uint32_t>(digit);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      id.bytes[filled++] = static_cast<uint8_t>(window >> bits);
    }
  }
  return id;
}

Uuid Uuid::from_random(uint64_t high, uint64_t low) {
  Uuid id;
  std::memcpy(id.bytes.data(), &high, 8);
  std::memcpy(id.bytes.data() + 8, &low, 8);
  id.bytes[6] = static_cast<uint8_t>((id.bytes[6] & 0x0f) | 0x40);
  id.bytes[8] = static_cast<uint8_t>((id.bytes[8] & 0x3f) | 0x80);
  // 0xf8..0xfb is what encodes to a leading '-'.
  if ((id.bytes[0] & 0xfc) == 0xf8) id.bytes[0] ^= 0x80;
  return id;
}

}  // namespace paceline
