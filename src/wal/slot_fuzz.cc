#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/crc32c.h"
#include "wal/slot_fetch.h"

// Arbitrary bytes as a header, an index, a trailer, and as a whole slot. One input in two gets its
// sizes and checksums repaired first, so that what lies behind them is reached.

namespace paceline::wal {
namespace {

constexpr Owner kOwner{.cluster_id = Uuid{{1}}, .lane = {BrokerId(3), Incarnation(7)}};

// A slot whose entries and index are the two parts of `input`, framed as a writer would.
void read_framed(uint32_t entry_count, Bytes input, size_t index_bytes) {
  const Bytes index = input.last(index_bytes);
  const Bytes entries = input.first(input.size() - index_bytes);
  const SlotHeader header{.owner = kOwner,
                          .sequence = 5,
                          .nonce = {},
                          .trimmed = {},
                          .entry_count = entry_count,
                          .entries_bytes = static_cast<uint32_t>(entries.size()),
                          .entries_crc = crc32c(entries),
                          .index_bytes = static_cast<uint32_t>(index.size()),
                          .index_crc = crc32c(index),
                          .sealer = {}};
  const SlotTrailer trailer{
      .sequence = 5, .index_bytes = header.index_bytes, .index_crc = header.index_crc};
  const std::string body = to_string(input) + encode_slot_trailer(trailer);
  const auto decoded = decode_slot_header(as_bytes(encode_slot_header(header)));
  CHECK(decoded && decoded->owner == kOwner && decoded->object_bytes() == header.object_bytes());
  const auto slot = decode_slot_body(*decoded, Slice::copy_of(as_bytes(body)));
  if (!slot) return;
  SlotIndexer indexer;
  for (const Entry& entry : slot->entries) indexer.add(entry.header, 0);
  (void)encode_slot_index(indexer.take());
}

}  // namespace
}  // namespace paceline::wal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace paceline;
  using namespace paceline::wal;
  if (size < 3) return 0;
  const Bytes input(reinterpret_cast<const std::byte*>(data) + 3, size - 3);
  (void)decode_slot_trailer(input);
  // What was read is written as it was.
  if (const auto rows = decode_slot_index(input)) {
    const auto again = decode_slot_index(as_bytes(encode_slot_index(*rows)));
    CHECK(again && again->size() == rows->size());
    (void)marks_of(*rows);
  }
  if (const auto header = decode_slot_header(input)) {
    const Bytes rest = input.subspan(kSlotHeaderBytes);
    (void)decode_slot_body(*header, Slice::copy_of(rest));
  }
  const size_t index_bytes = std::min<size_t>(input.size(), data[1] * 256u + data[2]);
  read_framed(data[0] % 16, input, index_bytes);
  const std::string_view key = as_text(input);
  if (const auto sequence = parse_slot_key(kOwner, key)) CHECK(slot_key(kOwner, *sequence) == key);
  return 0;
}
