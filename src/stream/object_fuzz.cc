#include <cstdint>

#include "base/crc32c.h"
#include "stream/object_format.h"

// Headers, indexes and blocks from bytes nobody trusts, with checksums that hold.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace paceline;
  using namespace paceline::stream;
  const Bytes bytes(reinterpret_cast<const std::byte*>(data), size);
  Decoder in(bytes);
  const ObjectId id{Lane{BrokerId(0), Incarnation(0)}, 0};
  Encoder sealed;
  sealed.raw(bytes);
  close_section(sealed);
  (void)decode_header(id, sealed.bytes());
  if (auto index = decode_index(id, sealed.bytes()))
    for (const BlockRef& block : index->blocks)
      CHECK(index->find(block.stream, block.base) != nullptr);
  BlockRef ref;  // as an index would give it: offsets from 0, not empty
  ref.base = in.get<Offset>();
  ref.end = in.get<Offset>();
  ref.batch_count = in.get<uint32_t>();
  if (ref.base.value < 0 || ref.end <= ref.base) return 0;
  const Bytes rest = in.raw(in.remaining());
  ref.bytes = static_cast<uint32_t>(rest.size());
  ref.crc = crc32c(rest);
  const Slice block = Slice::copy_of(rest);
  if (!rest.empty()) ref.raw_bytes = static_cast<uint32_t>(rest[0]) * 16;
  for (uint32_t raw_bytes : {0u, ref.raw_bytes}) {
    ref.raw_bytes = raw_bytes;
    auto batches = decode_block(ref, block);
    if (!batches) continue;
    Offset next = ref.base;
    for (const Batch& batch : *batches) {
      CHECK(batch.base == next);
      next = batch.end();
    }
    CHECK(next == ref.end);
  }
  return 0;
}
