#include "base/crc32c.h"
#include "record/records.h"
#include "record/validate.h"

// Any bytes as a run of batches, and as a produced batch with its checksum made right, so that the
// fuzzer gets past it. What validation accepts must be readable to the last record.

using namespace paceline;
using namespace paceline::record;

namespace {

constexpr size_t kOpenedMax = size_t{1} << 20;

void read_everything(Bytes run) {
  BatchCursor cursor(run);
  for (;;) {
    auto batch = cursor.next();
    if (!batch || !*batch) return;
    (void)find_max_timestamp(**batch, kOpenedMax);
    (void)find_by_timestamp(**batch, 1000, kOpenedMax);
    (void)parse_marker(**batch);
    auto reader = RecordReader::open(**batch, kOpenedMax);
    if (!reader) continue;
    for (auto record = reader->next(); record && *record; record = reader->next()) {
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes input(reinterpret_cast<const std::byte*>(data), size);
  read_everything(input);
  if (size < kBatchHeaderBytes) return 0;
  std::string batch = to_string(input);
  auto* bytes = reinterpret_cast<std::byte*>(batch.data());
  store_be<int64_t>(bytes + kBaseOffsetAt, 0);
  store_be<int32_t>(bytes + kBatchLengthAt, static_cast<int32_t>(size - kBatchLengthEnd));
  store_be<int8_t>(bytes + kMagicAt, kMagic);
  store_be<uint32_t>(bytes + kCrcAt, crc32c(as_bytes(batch).subspan(kCrcStart)));
  ValidateOptions options;
  options.timestamp_after_max_ms = std::numeric_limits<int64_t>::max();
  options.decompressed_bytes_max = kOpenedMax;
  auto facts = validate_produced(as_bytes(batch), options);
  if (!facts) return 0;
  auto reader = RecordReader::open(*BatchView::parse(as_bytes(batch)), kOpenedMax);
  CHECK(reader);
  for (int32_t i = 0; i < facts->record_count; ++i) {
    auto record = reader->next();
    CHECK(record && *record && (*record)->offset == Offset(i));
  }
  auto end = reader->next();
  CHECK(end && !*end);
  return 0;
}
