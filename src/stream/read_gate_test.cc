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
  int asked = 0;  // ahead

  static Task<void> one(Reads& self, uint64_t reader, uint64_t bytes) {
    const ReadGate::Pass pass = co_await self.gate.enter(reader, bytes);
    co_await enjoy(self, reader);
  }
  static Task<void> enjoy(Reads& self, uint64_t reader) {
    self.order.push_back(reader);
    self.bytes_most = std::max(self.bytes_most, self.gate.bytes_in_flight());
    self.requests_most = std::max(self.requests_most, self.gate.requests_in_flight());
    co_await some_time(self.world.shard(0));
    ++self.done;
  }
  static Task<void> one_ahead(Reads& self, uint64_t reader, uint64_t bytes, uint64_t tag) {
    ++self.asked;
    const ReadGate::Pass pass = co_await self.gate.enter_when_spare(reader, bytes, tag);
    co_await enjoy(self, reader);
  }
  void start(uint64_t reader, uint64_t bytes) { world.shard(0).spawn(one(*this, reader, bytes)); }
  void start_ahead(uint64_t reader, uint64_t bytes, uint64_t tag) {
    world.shard(0).spawn(one_ahead(*this, reader, bytes, tag));
  }
  size_t place_of(uint64_t reader) const {
    return static_cast<size_t>(std::ranges::find(order, reader) - order.begin());
  }
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
  for (uint64_t tag = 1; tag <= 6; ++tag) reads.start_ahead(1, 25, tag);
  while (reads.asked < 6) reads.world.step();
  reads.start(2, 25);
  reads.start(3, 60);
  reads.finish(8);
  EXPECT_EQ(reads.bytes_most, 100u);
  EXPECT_EQ(reads.place_of(2), 3u) << "75 are taken, and there is room for it";
  EXPECT_EQ(reads.place_of(3), 4u) << "nothing goes ahead of who waits";
}

TEST(ReadGate, WhatIsAskedForMeanwhileWaitsLikeAllOthers) {
  Reads reads;
  for (uint64_t tag = 1; tag <= 9; ++tag) reads.start_ahead(tag, 75, tag);
  while (reads.asked < 9) reads.world.step();
  reads.gate.hurry(8);
  reads.gate.hurry(100);  // is not there
  reads.finish(9);
  EXPECT_EQ(reads.place_of(8), 1u);
  EXPECT_EQ(reads.place_of(2), 2u);
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
