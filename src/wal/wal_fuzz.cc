#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/crc32c.h"
#include "base/endian.h"
#include "wal/lane_scan.h"
#include "wal/test_world.h"

// Arbitrary bytes as a header, as a body, and as the first segments of a lane that is scanned. One
// input in two gets its checksums repaired first, so that what lies behind them is reached.

namespace paceline::wal {
namespace {

void repair(MutableBytes header) {
  store_be(header.data() + 4, crc32c(header.subspan(8)));
}

void repair_segment(const Owner& owner, std::string& bytes) {
  const MutableBytes all(reinterpret_cast<std::byte*>(bytes.data()), bytes.size());
  encode_segment_header(
      {.owner = owner, .number = 1, .first_position = Position(0), .first_sequence = 1}, all);
  for (size_t at = kPageBytes; at + kPageBytes <= all.size(); at += kPageBytes) {
    const MutableBytes header = all.subspan(at, kGroupHeaderBytes);
    const auto body_bytes = load_be<uint32_t>(header.data() + 48);
    if (body_bytes <= all.size() - at - kGroupHeaderBytes)
      store_be(header.data() + 52, crc32c(all.subspan(at + kGroupHeaderBytes, body_bytes)));
    repair(header);
  }
}

void scan(const Owner& owner, std::string bytes, std::optional<LaneEnd> end) {
  env::Random random(1);
  TestDisk disk(random);
  LaneFiles files{.disk = &disk, .owner = owner, .folder = "/lane"};
  CHECK(disk.make_dirs(files.folder));
  const env::OpenMode mode{.create = env::OpenMode::Create::if_missing, .writable = true};
  const size_t half = bytes.size() / 2 / kPageBytes * kPageBytes;
  const std::string parts[] = {bytes.substr(0, half), bytes.substr(half)};
  for (uint64_t number = 1; number <= 2; ++number) {
    auto file = disk.open(files.segment_path(number), mode);
    CHECK(file && (*file)->write_at(0, as_bytes(parts[number - 1])));
  }
  LaneScan lane_scan(files);
  if (!lane_scan.open(std::nullopt, end)) return;
  while (true) {
    auto group = lane_scan.next();
    if (!group || !*group) break;
  }
}

}  // namespace
}  // namespace paceline::wal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace paceline;
  using namespace paceline::wal;
  if (size < 2) return 0;
  const Owner owner{.cluster_id = Uuid{{1}}, .lane = {BrokerId(3), Incarnation(7)}};
  const Bytes input(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  (void)decode_segment_header(input);
  (void)decode_end(input);
  (void)decode_marks(input);
  const Buffer block = Buffer::copy_of(input);
  GroupHeader header = decode_group_header(input).value_or(GroupHeader{});
  header.body_bytes = static_cast<uint32_t>(input.size());
  header.body_crc = crc32c(input);
  header.entry_count = data[0] % 8;
  (void)decode_body(header, block, block.bytes());

  std::string bytes = to_string(input);
  bytes.resize(std::max<size_t>(round_to_page(bytes.size()), 2 * kPageBytes));
  if (data[0] & 1) repair_segment(owner, bytes);
  std::optional<LaneEnd> end;
  if (data[0] & 2) end = LaneEnd{.owner = owner, .end = Position(data[0] * 4096), .marks = {}};
  scan(owner, bytes, end);
  return 0;
}
