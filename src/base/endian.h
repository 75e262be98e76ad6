#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>

namespace paceline {

// Unaligned big-endian loads and stores: the byte order of Kafka and of every format of ours.
template <std::integral T>
inline T load_be(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  if constexpr (sizeof(T) > 1 && std::endian::native == std::endian::little)
    value = std::byteswap(value);
  return value;
}

template <std::integral T>
inline void store_be(std::byte* to, T value) {
  if constexpr (sizeof(T) > 1 && std::endian::native == std::endian::little)
    value = std::byteswap(value);
  std::memcpy(to, &value, sizeof value);
}

}  // namespace paceline
