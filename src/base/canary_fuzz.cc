#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/endian.h"

// The canary: it must die. If it lives, the fuzzers find nothing, or nobody hears of what they
// find.

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr uint32_t kWord = 0x43414e41;
  if (size < sizeof kWord) return 0;
  CHECK(paceline::load_be<uint32_t>(reinterpret_cast<const std::byte*>(data)) != kWord);
  return 0;
}
