#include "wal/stager.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "base/crc32c.h"

namespace paceline::wal {
namespace {

TEST(wal_stager, a_known_checksum_gives_the_same_group) {
  const std::string text(9000, 'x');
  const EntryHeader header{
      .stream = {Uuid{{9}}, 4}, .epoch = Epoch(1), .base = Offset(0), .count = 1};
  std::array<uint32_t, 2> crcs{};
  for (const bool known : {false, true}) {
    Stager stager(64 << 10, [](uint64_t bytes) { return Buffer::allocate(bytes); });
    const auto crc = known ? std::optional(crc32c(as_bytes(text))) : std::nullopt;
    stager.add(header, as_bytes(text), crc);
    stager.add(header, as_bytes(std::string("without")));
    stager.add(header, as_bytes(text), crc);
    crcs[known] = stager.take_groups().at(0).body_crc;
  }
  EXPECT_EQ(crcs[0], crcs[1]);
}

}  // namespace
}  // namespace paceline::wal
