#include "record/compress.h"

// The first byte names the codec and what is tried: opening the rest as a stream, which must stay
// inside its limit, or a round trip.

using namespace paceline;
using namespace paceline::record;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  constexpr size_t kOpenedMax = size_t{4} << 20;
  const auto codec = static_cast<Codec>(data[0] % 5);
  const Bytes rest(reinterpret_cast<const std::byte*>(data + 1), size - 1);
  if (data[0] & 0x80) {
    auto packed = compress(codec, rest);
    CHECK(packed);
    auto opened = decompress(codec, as_bytes(*packed), rest.size());
    CHECK(opened && *opened == as_text(rest));
    return 0;
  }
  auto opened = decompress(codec, rest, kOpenedMax);
  if (opened) {
    CHECK(opened->size() <= kOpenedMax);
  } else {
    CHECK(opened.error().code == Code::corrupt || opened.error().code == Code::too_large);
  }
  return 0;
}
