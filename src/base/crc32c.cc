#include "base/crc32c.h"

#include <isa-l.h>

#include <array>

#if defined(__SSE4_2__)
#include <immintrin.h>
#endif

namespace paceline {
namespace {

// Polynomials modulo CRC32C's, bit-reversed as the checksum is: the highest bit is x^0.
constexpr uint32_t kPolynomial = 0x82F63B78;
constexpr uint32_t kOne = 1u << 31;
constexpr int kPowers = 64;

constexpr uint32_t times_x(uint32_t a) {
  return (a >> 1) ^ (a & 1 ? kPolynomial : 0);
}

constexpr uint32_t multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (uint32_t bit = kOne; bit != 0; bit >>= 1, b = times_x(b))
    if (a & bit) product ^= b;
  return product;
}

constexpr uint32_t power_of_x(uint64_t exponent) {
  uint32_t result = kOne;
  for (uint32_t square = kOne >> 1; exponent != 0;
       exponent >>= 1, square = multiply(square, square))
    if (exponent & 1) result = multiply(result, square);
  return result;
}

// x^(8 * 2^n - less): a checksum times this has 2^n more bytes behind it. x^(2^31 - 1) is 1.
constexpr std::array<uint32_t, kPowers> shifts(uint64_t less) {
  constexpr uint64_t kOrder = (1u << 31) - 1;
  std::array<uint32_t, kPowers> table{};
  uint64_t exponent = 8;
  for (uint32_t& entry : table) {
    entry = power_of_x((exponent + kOrder - less) % kOrder);
    exponent = exponent * 2 % kOrder;
  }
  return table;
}

uint32_t shift_by_table(uint32_t crc, uint64_t bytes) {
  static constexpr std::array<uint32_t, kPowers> kShifts = shifts(0);
  for (int n = 0; bytes != 0; ++n, bytes >>= 1)
    if (bytes & 1) crc = multiply(kShifts[static_cast<size_t>(n)], crc);
  return crc;
}

#if defined(__SSE4_2__)
// The carry-less product is the polynomials' one times x, and the CPU's checksum of it is that
// times x^32 modulo the polynomial: hence the 33 that the factors lack.
__attribute__((target("pclmul,sse4.2"))) uint32_t shift_by_product(uint32_t crc, uint64_t bytes) {
  static constexpr std::array<uint32_t, kPowers> kShifts = shifts(33);
  for (int n = 0; bytes != 0; ++n, bytes >>= 1) {
    if (!(bytes & 1)) continue;
    const __m128i a = _mm_cvtsi32_si128(static_cast<int>(crc));
    const __m128i b = _mm_cvtsi32_si128(static_cast<int>(kShifts[static_cast<size_t>(n)]));
    const auto product = static_cast<uint64_t>(_mm_cvtsi128_si64(_mm_clmulepi64_si128(a, b, 0)));
    crc = static_cast<uint32_t>(_mm_crc32_u64(0, product));
  }
  return crc;
}
#endif

}  // namespace

uint32_t crc32c_combine(uint32_t a, uint32_t b, uint64_t b_bytes) {
#if defined(__SSE4_2__)
  static const bool has_product = __builtin_cpu_supports("pclmul");
  if (has_product) return shift_by_product(a, b_bytes) ^ b;
#endif
  return shift_by_table(a, b_bytes) ^ b;
}

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
