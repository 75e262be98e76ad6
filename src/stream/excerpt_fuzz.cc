#include <cstdint>

#include "stream/excerpt.h"

// Excerpts from bytes nobody trusts. What is accepted is written as it was read.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace paceline;
  using namespace paceline::stream;
  const Slice bytes = Slice::copy_of(Bytes(reinterpret_cast<const std::byte*>(data), size));
  const auto excerpt = decode_excerpt(bytes);
  if (!excerpt) return 0;
  const auto again = decode_excerpt(encode_excerpt(*excerpt));
  CHECK(again && again->extents == excerpt->extents && again->start == excerpt->start &&
        again->end == excerpt->end && again->stream == excerpt->stream);
  return 0;
}
