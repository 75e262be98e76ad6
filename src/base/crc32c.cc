#include "base/crc32c.h"

#include <isa-l.h>

#if defined(__SSE4_2__)
#include <nmmintrin.h>
#endif

namespace paceline {

uint32_t crc32c(Bytes bytes, uint32_t seed) {
#if defined(__SSE4_2__)
  if (bytes.size() < 128) {  // below this the call into ISA-L costs more than it saves
    uint64_t crc = ~seed;
    const std::byte* at = bytes.data();
    size_t left = bytes.size();
    for (; left >= 8; at += 8, left -= 8) {
      uint64_t word;
      std::memcpy(&word, at, 8);
      crc = _mm_crc32_u64(crc, word);
    }
    auto crc32 = static_cast<uint32_t>(crc);
    for (; left > 0; ++at, --left) crc32 = _mm_crc32_u8(crc32, static_cast<unsigned char>(*at));
    return ~crc32;
  }
#endif
  // ISA-L takes a mutable pointer and an int length, and changes neither.
  auto* at = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(bytes.data()));
  size_t left = bytes.size();
  uint32_t crc = ~seed;
  while (left > 0) {
    const size_t step = left < (1u << 30) ? left : (1u << 30);
    crc = crc32_iscsi(at, static_cast<int>(step), crc);
    at += step;
    left -= step;
  }
  return ~crc;
}

}  // namespace paceline
