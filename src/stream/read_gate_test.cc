#include "stream/read_gate.h"

#include <gtest/gtest.h>

#include "stream/test_world.h"

namespace paceline::stream {
namespace {

struct Reads {
  TestWorld world{1, 1};
  ReadGate gate{world.shard(0), 100, 4};
  std::vector<uint64_t> order;  // readers, as they were let in
  uint64_t bytes_most = 0;
  uint32_t requests_most = 0;
  int done = 0;

  static Task<void> one(Reads& self, uint64_t reader, uint64_t bytes) {
    const ReadGate::Pass pass = co_await self.gate.enter(reader, bytes);
    self.order.push_back(reader);
    self.bytes_most = std::max(self.bytes_most, self.gate.bytes_in_flight());
    self.requests_most = std::max(self.requests_most, self.gate.requests_in_flight());
    co_await some_time(self.world.shard(0));
    ++self.done;
  }
  void start(uint64_t reader, uint64_t bytes) { world.shard(0).spawn(one(*this, reader, bytes)); }
  void finish(int count) {
    ASSERT_TRUE(world.run_until([&] { return done == count; }));
    EXPECT_EQ(gate.bytes_in_flight(), 0u);
    EXPECT_EQ(gate.requests_in_flight(), 0u);
  }
};

TEST(ReadGate, BytesAndRequestsInFlightAreBounded) {
  Reads reads;
  for (uint64_t i = 0; i < 200; ++i) reads.start(i % 7, 1 + i % 60);
  reads.finish(200);
  EXPECT_LE(reads.bytes_most, 100u);
  EXPECT_LE(reads.requests_most, 4u);
  EXPECT_GT(reads.requests_most, 1u);
}

TEST(ReadGate, AReaderThatAsksForMuchDoesNotHoldUpOthers) {
  Reads reads;
  for (int i = 0; i < 100; ++i) reads.start(1, 50);
  for (int i = 0; i < 3; ++i) reads.start(2, 50);
  reads.finish(103);
  const auto last = std::find(reads.order.rbegin(), reads.order.rend(), 2u);
  EXPECT_LE(reads.order.rend() - last, 9) << "they take turns";
}

TEST(ReadGate, ABigRequestIsNotStarvedAndOneAboveTheBoundComesAlone) {
  Reads reads;
  for (uint64_t i = 0; i < 20; ++i) reads.start(i, 40);
  reads.start(100, 1000);
  for (uint64_t i = 0; i < 20; ++i) reads.start(200 + i, 40);
  reads.finish(41);
  EXPECT_EQ(reads.order[20], 100u);
  EXPECT_EQ(reads.bytes_most, 1000u);
}

TEST(ReadGate, WhatNobodyWaitsForYetTakesOnlyWhatIsSpare) {
  Reads reads;
  EXPECT_TRUE(reads.gate.has_spare(75));
  EXPECT_FALSE(reads.gate.has_spare(76));
  auto first = reads.gate.try_enter(50);
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(reads.gate.try_enter(50).has_value());
  reads.start(1, 60);
  reads.world.run_for(std::chrono::milliseconds(10));
  EXPECT_EQ(reads.done, 0);
  EXPECT_FALSE(reads.gate.try_enter(1).has_value()) << "somebody waits";
  first.reset();
  reads.finish(1);
}

TEST(ReadGate, AReaderThatGoesAwayLeavesItsPlace) {
  Reads reads;
  for (uint64_t i = 0; i < 30; ++i) reads.start(i % 5, 60);
  for (int i = 0; i < 50; ++i) reads.world.step();
  reads.world.crash();
  EXPECT_EQ(reads.gate.bytes_in_flight(), 0u);
  EXPECT_EQ(reads.gate.requests_in_flight(), 0u);
  reads.done = 0;
  reads.start(1, 60);
  reads.finish(1);
}

}  // namespace
}  // namespace paceline::stream
