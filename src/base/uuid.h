#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace paceline {

// 128 bits; all zero means "none". Its text is Kafka's: URL-safe base64 without padding, 22
// characters, so that tools show the same name for a topic id or a cluster id.
struct Uuid {
  std::array<uint8_t, 16> bytes{};

  constexpr auto operator<=>(const Uuid&) const = default;
  constexpr bool is_zero() const { return *this == Uuid{}; }
  std::string to_string() const;
  static std::optional<Uuid> parse(std::string_view text);
  // A random (version 4) id from two random words. Never starts with '-' in its text form: Kafka's
  // tools would take it for an option.
  static Uuid from_random(uint64_t high, uint64_t low);
};

}  // namespace paceline

template <>
struct std::hash<paceline::Uuid> {
  size_t operator()(const paceline::Uuid& id) const noexcept {
    uint64_t words[2];
    std::memcpy(words, id.bytes.data(), sizeof words);
    return words[0] ^ (words[1] * 0x9e3779b97f4a7c15ull);
  }
};
