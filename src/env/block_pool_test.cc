#include "env/block_pool.h"

#include <gtest/gtest.h>

#include "env/sim_world.h"

namespace paceline::env {
namespace {

using namespace std::chrono_literals;

class BlockPoolTest : public ::testing::Test {
 protected:
  BlockPoolTest() : world(3), shard(*world.add_host("alpha").start().front()) {}

  SimWorld world;
  Shard& shard;
};

TEST_F(BlockPoolTest, ABlockIsReusedOnlyWhenNobodyRefersToIt) {
  BlockPool pool(shard, 64 << 10, 8);
  Buffer first = pool.take(1);
  const std::byte* where = first.data();
  Slice held(first, first.bytes().first(10));
  first = Buffer();
  EXPECT_NE(pool.take(1).data(), where);
  held = Slice();
  Buffer a = pool.take(1);
  Buffer b = pool.take(1);
  EXPECT_TRUE(a.data() == where || b.data() == where);
  EXPECT_EQ(pool.block_count(), 2u);
}

TEST_F(BlockPoolTest, ABigOneIsNotThePools) {
  BlockPool pool(shard, 4096, 8);
  EXPECT_EQ(pool.take(4097).size(), 8192u);
  EXPECT_EQ(pool.block_count(), 0u);
}

TEST_F(BlockPoolTest, HugeBlocksAreAlignedAndWritable) {
  const Buffer block = allocate_pages(4 << 20, true);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(block.data()) % (2 << 20), 0u);
  for (size_t at = 0; at < block.size(); at += 4096) {
    EXPECT_EQ(block.data()[at], std::byte{0});
    block.data()[at] = std::byte{1};
  }
}

TEST_F(BlockPoolTest, WhoOnlyTriesGetsAtMostTheBound) {
  BlockPool pool(shard, 4096, 3);
  std::vector<Buffer> taken;
  for (int i = 0; i < 20; ++i) {
    if (Buffer block = pool.try_take()) taken.push_back(block);
    world.run_for(1ms);
  }
  EXPECT_EQ(taken.size(), 3u);
  taken.pop_back();
  EXPECT_TRUE(pool.try_take());
}

TEST_F(BlockPoolTest, WhatIsNotNeededForSecondsGoesBackToTheSystem) {
  BlockPool pool(shard, 4096, 100);
  std::vector<Buffer> taken;
  for (int i = 0; i < 50; ++i) taken.push_back(pool.take(1));
  taken.resize(10);
  EXPECT_EQ(pool.block_count(), 50u);
  world.run_for(30s);
  EXPECT_EQ(pool.block_count(), 10u) << "those in use stay";
  taken.clear();
  // In steady use nothing is given back: five blocks at a time, again and again.
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 5; ++i) taken.push_back(pool.take(1));
    world.run_for(1s);
    taken.clear();
  }
  EXPECT_EQ(pool.block_count(), 5u);
  world.run_for(30s);
  EXPECT_EQ(pool.block_count(), 0u);
}

TEST_F(BlockPoolTest, ThePoolMayGoBeforeWhatItStarted) {
  Buffer block;
  {
    BlockPool pool(shard, 4096, 8);
    pool.keep_ready();
    block = pool.take(1);
  }
  world.run_for(30s);
  block.data()[0] = std::byte{1};
}

}  // namespace
}  // namespace paceline::env
