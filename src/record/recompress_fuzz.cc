#include "base/crc32c.h"
#include "record/recompress.h"
#include "record/validate.h"

// Any bytes as a batch whose checksum holds, packed by another codec. What validation accepts says
// the same afterwards; what it does not accept never crashes. The first byte chooses the codec.

using namespace paceline;
using namespace paceline::record;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kOpenedMax = size_t{1} << 20;
  if (size < 1 + kBatchHeaderBytes) return 0;
  std::string batch(reinterpret_cast<const char*>(data) + 1, size - 1);
  auto* bytes = reinterpret_cast<std::byte*>(batch.data());
  store_be<int64_t>(bytes + kBaseOffsetAt, 0);
  store_be<int32_t>(bytes + kBatchLengthAt, static_cast<int32_t>(batch.size() - kBatchLengthEnd));
  store_be<int8_t>(bytes + kMagicAt, kMagic);
  store_be<uint32_t>(bytes + kCrcAt, crc32c(as_bytes(batch).subspan(kCrcStart)));
  const BatchView view = *BatchView::parse(as_bytes(batch));
  if (!view.codec_known()) return 0;

  ValidateOptions options;
  options.timestamp_after_max_ms = std::numeric_limits<int64_t>::max();
  options.max_message_bytes = std::numeric_limits<int32_t>::max();
  options.decompressed_bytes_max = kOpenedMax;
  auto before = validate_produced(as_bytes(batch), options);
  RecompressOptions into;
  into.codec = static_cast<Codec>(data[0] % 5);
  into.bytes_max = 2 * kOpenedMax;
  into.decompressed_bytes_max = kOpenedMax;
  auto packed = recompress(view, into);
  if (!packed) {
    CHECK(!before);
    CHECK(packed.error().code == Code::corrupt || packed.error().code == Code::too_large);
    return 0;
  }
  auto after = validate_produced(packed->bytes(), options);
  CHECK(before.has_value() == after.has_value());
  if (!before) return 0;
  before->codec = into.codec;
  before->bytes = packed->size();
  CHECK(*before == *after);
  return 0;
}
