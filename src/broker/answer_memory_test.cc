#include "broker/answer_memory.h"

#include <gtest/gtest.h>

namespace paceline::broker {
namespace {

std::vector<Slice> slices_of(const Buffer& big, const Buffer& small) {
  return {Slice(big).subslice(0, 10), Slice(big).subslice(100, 20), Slice(small)};
}

TEST(AnswerMemory, ASliceKeepsItsWholeBlockAndIsCountedWithIt) {
  const Buffer big = Buffer::allocate(4096), small = Buffer::copy_of(as_bytes("abc"));
  EXPECT_EQ(memory_of(slices_of(big, small)), 4099u);
  EXPECT_EQ(memory_of({}), 0u);
}

TEST(AnswerMemory, SmallPiecesOfBigBlocksLetTheBlocksGo) {
  Buffer big = Buffer::allocate(4096);
  std::memset(big.data(), 'x', big.size());
  std::memset(big.data() + 100, 'y', 20);
  auto slices = slices_of(big, Buffer::copy_of(as_bytes("abc")));
  let_blocks_go(slices);
  std::string all;
  for (const Slice& slice : slices) all += as_text(slice.bytes());
  EXPECT_EQ(all, std::string(10, 'x') + std::string(20, 'y') + "abc");
  EXPECT_EQ(memory_of(slices), 33u);
  EXPECT_TRUE(big.unique());
}

TEST(AnswerMemory, ItIsFullBeforeABatchWouldNotFit) {
  AnswerMemory memory(4u << 20);
  auto held = memory.hold(3u << 20);
  EXPECT_FALSE(memory.full());
  EXPECT_EQ(memory.share_with_a_batch(64u << 10), 1u << 20);
  auto one_byte = memory.hold(1);
  EXPECT_TRUE(memory.full());
}

TEST(AnswerMemory, AnswersGetSmallerAsItFills) {
  AnswerMemory memory(80u << 20);
  EXPECT_EQ(memory.share(100u << 20), 10u << 20);
  EXPECT_EQ(memory.share(1000), 1000u);
  {
    auto held = memory.hold(48u << 20);
    EXPECT_EQ(memory.share(100u << 20), 4u << 20);
    EXPECT_TRUE(memory.crowded());
    EXPECT_EQ(memory.excess(), 0u);
    auto more = memory.hold(100u << 20);
    EXPECT_EQ(memory.share(100u << 20), 64u << 10);
    EXPECT_EQ(memory.excess(), 88u << 20);
  }
  EXPECT_EQ(memory.bytes_held(), 0u);
}

}  // namespace
}  // namespace paceline::broker
