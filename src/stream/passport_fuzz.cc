#include <cstdint>

#include "base/codec.h"
#include "base/crc32c.h"
#include "stream/passport.h"

// Passports from bytes nobody trusts, with a checksum that holds. What is accepted is written as it
// was read.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace paceline;
  using namespace paceline::stream;
  Encoder sealed;
  sealed.raw(Bytes(reinterpret_cast<const std::byte*>(data), size));
  sealed.put(crc32c(sealed.bytes()));
  const Slice bytes = Slice::copy_of(sealed.bytes());
  const auto passport = decode_passport(bytes);
  if (!passport) return 0;
  const auto again = encode_passport(*passport);
  if (!again) {
    CHECK(again.error().code == Code::too_large);
    return 0;
  }
  const auto twice = decode_passport(*again);
  CHECK(twice && twice->tail.size() == passport->tail.size() &&
        twice->extents == passport->extents && twice->end() == passport->end());
  return 0;
}
