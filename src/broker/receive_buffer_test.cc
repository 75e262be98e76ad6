#include "broker/receive_buffer.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>

#include "base/endian.h"
#include "env/random.h"
#include "env/sim_world.h"

namespace paceline::broker {
namespace {

constexpr size_t kLength = 4;

class ReceiveBufferTest : public ::testing::Test {
 protected:
  ReceiveBufferTest() : world(7), shard(*world.add_host("alpha").start().front()) {}

  env::SimWorld world;
  env::Shard& shard;
};

std::string frame_of(size_t body, uint8_t seed) {
  std::string text(kLength + body, '\0');
  store_be(reinterpret_cast<std::byte*>(text.data()), static_cast<int32_t>(body));
  for (size_t i = 0; i < body; ++i) text[kLength + i] = static_cast<char>(seed + i * 31 + i / 256);
  return text;
}

// Feeds a stream of frames in pieces, as a connection would, and keeps the last few frames.
struct Feed {
  ReceiveBuffer& buffer;
  std::string stream{};
  size_t sent = 0;
  size_t want = kLength;
  std::deque<std::pair<Slice, std::string>> held{};

  // One read of at most `count` bytes; every whole frame is taken and compared.
  void read(size_t count) {
    const MutableBytes into = buffer.room(want);
    ASSERT_FALSE(into.empty());
    count = std::min({count, into.size(), stream.size() - sent});
    std::memcpy(into.data(), stream.data() + sent, count);
    sent += count;
    buffer.received(count);
    for (;;) {
      const Bytes have = buffer.unread();
      want = kLength;
      if (have.size() < kLength) return;
      want += static_cast<size_t>(load_be<int32_t>(have.data()));
      if (have.size() < want) return;
      const std::string expected = to_string(have.first(want));
      held.emplace_back(buffer.take(want), expected);
      if (held.size() > 20) {
        ASSERT_EQ(as_text(held.front().first.bytes()), held.front().second)
            << "a frame was overwritten while it was held";
        held.pop_front();
      }
    }
  }
};

TEST_F(ReceiveBufferTest, FramesOfAnySizeInAnyPiecesComeOutWholeAndStayAsTheyAre) {
  for (const size_t frame_max : {200u, 20'000u, 300'000u, 3'000'000u}) {
    SCOPED_TRACE(frame_max);
    env::Random random(frame_max);
    env::BlockPool blocks(shard, 1u << 20, 4);
    ReceiveBuffer buffer(blocks);
    Feed feed{buffer};
    std::string all;
    while (all.size() < 8 * frame_max)
      all += frame_of(random.below(frame_max), static_cast<uint8_t>(random.next()));
    feed.stream = all;
    std::string got;
    while (feed.sent < all.size()) {
      feed.read(random.below(3) == 0 ? 1 + random.below(100) : 1 + random.below(2 * frame_max));
      if (HasFatalFailure()) return;
      world.run_for(std::chrono::milliseconds(1));
      if (random.below(10) == 0) buffer.release_idle();
    }
    EXPECT_TRUE(buffer.unread().empty());
    for (const auto& [slice, text] : feed.held) EXPECT_EQ(as_text(slice.bytes()), text);
  }
}

TEST_F(ReceiveBufferTest, AStreamOfBigFramesReusesTheBlocksOfThePool) {
  env::BlockPool blocks(shard, 4u << 20, 16);
  ReceiveBuffer buffer(blocks);
  Feed feed{buffer};
  const std::string frame = frame_of(1'000'000, 1);
  for (int i = 0; i < 200; ++i) feed.stream += frame;
  while (feed.sent < feed.stream.size()) {
    feed.read(300'000);
    if (HasFatalFailure()) return;
    if (feed.held.size() > 5) feed.held.pop_front();
    world.run_for(std::chrono::milliseconds(1));
  }
  EXPECT_GE(blocks.block_count(), 2u);
  EXPECT_LE(blocks.block_count(), 4u);
}

TEST_F(ReceiveBufferTest, ALengthAloneAllocatesNothing) {
  env::BlockPool blocks(shard, 4u << 20, 16);
  ReceiveBuffer buffer(blocks);
  Feed feed{buffer};
  feed.stream = frame_of(100'000'000, 1).substr(0, 100);
  feed.read(100);
  EXPECT_LE(buffer.room(feed.want).size(), 256u << 10);
  EXPECT_EQ(blocks.block_count(), 0u);
}

TEST_F(ReceiveBufferTest, ASilentConnectionHoldsNoBlock) {
  env::BlockPool blocks(shard, 4u << 20, 16);
  ReceiveBuffer buffer(blocks);
  Feed feed{buffer};
  feed.stream = frame_of(100, 1) + frame_of(50, 2).substr(0, 20);
  feed.read(104);
  (void)buffer.room(kLength);
  buffer.release_idle();
  EXPECT_FALSE(buffer.holds_block());
  EXPECT_EQ(as_text(feed.held.front().first.bytes()), feed.held.front().second);
  buffer.received(0);
  feed.read(20);
  (void)buffer.room(feed.want);
  buffer.release_idle();
  EXPECT_TRUE(buffer.holds_block()) << "half a frame is there";
}

}  // namespace
}  // namespace paceline::broker
