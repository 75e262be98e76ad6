#include "partition/test_storage.h"

// A planned move, from the partition's side.

namespace paceline::partition {
namespace {

using enum record::KafkaError;

class PauseTest : public PartitionTest {
 protected:
  using Paused = std::shared_ptr<std::optional<Result<Offset>>>;
  Paused start_pause() {
    auto ended = std::make_shared<std::optional<Result<Offset>>>();
    auto body = [](Partition* on, Paused out) -> Task<void> { out->emplace(co_await on->pause()); };
    shard().spawn(body(partition.get(), ended));
    settle();
    return ended;
  }
  Result<Offset> pause() { return world.wait(0, partition->pause()); }
};

TEST_F(PauseTest, WhatWasCalledBeforeBecomesDurableAndTheRestWaits) {
  stream().hold = true;
  auto before = start(plain(3));
  auto paused = start_pause();
  auto behind = start(plain(2));
  EXPECT_FALSE(*paused);
  stream().release();
  settle();
  ASSERT_TRUE(*before && **before);
  ASSERT_TRUE(*paused && **paused);
  EXPECT_EQ(***paused, Offset(3));
  EXPECT_FALSE(*behind);
  EXPECT_EQ(stream().batches.size(), 1u);
  partition->resume();
  settle();
  ASSERT_TRUE(*behind && **behind);
  EXPECT_EQ((**behind)->base, Offset(3));
}

TEST_F(PauseTest, BatchesThatAreStillPackedGoBeforeThePause) {
  config.codec = record::Codec::zstd;
  partition->set_config(config);
  record::BatchBuilder big;
  big.timestamp(1'700'000'000'000).add("key", std::string(100'000, 'x'));
  auto before = start_now(big);
  auto paused = start_pause();
  for (int i = 0; i < 100 && !*paused; ++i) settle();
  ASSERT_TRUE(*paused && **paused);
  EXPECT_EQ(***paused, Offset(1));
  EXPECT_TRUE(*before && **before);
}

TEST_F(PauseTest, AfterAMoveWhoWaitsIsToldSoInOrderAndSoIsWhoComes) {
  ASSERT_EQ(*pause(), Offset(0));
  std::vector<int> told;
  auto body = [](Partition* on, AppendRequest what, int number,
                 std::vector<int>* out) -> Task<void> {
    auto answer = co_await on->append(std::move(what));
    EXPECT_FALSE(answer);
    EXPECT_TRUE(answer.error().moved);
    EXPECT_EQ(answer.error().code, not_leader_or_follower);
    out->push_back(number);
  };
  for (int i = 0; i < 3; ++i) shard().spawn(body(partition.get(), request(plain()), i, &told));
  settle();
  EXPECT_TRUE(told.empty());
  partition->moved();
  // Called before those who waited have run.
  shard().spawn(body(partition.get(), request(plain()), 3, &told));
  settle();
  EXPECT_EQ(told, (std::vector<int>{0, 1, 2, 3}));
  EXPECT_TRUE(stream().batches.empty());
  FetchRequest fetch;
  EXPECT_EQ(code(world.wait(0, partition->fetch(fetch))), not_leader_or_follower);
  close();
}

TEST_F(PauseTest, AFailureInFlightCallsItOff) {
  stream().hold = true;
  stream().failures = {Code::no_space};
  auto before = start(plain());
  auto paused = start_pause();
  stream().release();
  settle();
  ASSERT_TRUE(*before && *paused);
  EXPECT_FALSE(**before);
  EXPECT_FALSE(**paused);
  EXPECT_TRUE(append(plain()));
}

TEST_F(PauseTest, TrimsWaitToo) {
  ASSERT_TRUE(append(plain(3)));
  ASSERT_TRUE(pause());
  auto trimmed = std::make_shared<std::optional<KafkaResult<Offset>>>();
  auto body = [](Partition* on,
                 std::shared_ptr<std::optional<KafkaResult<Offset>>> out) -> Task<void> {
    out->emplace(co_await on->delete_records(Offset(2)));
  };
  shard().spawn(body(partition.get(), trimmed));
  config.retention_bytes = 1;
  partition->set_config(config);
  stream().retained_from = Offset(1);
  world.wait_void(0, partition->tick(1'700'000'000'000));
  settle();
  EXPECT_EQ(stream().start_at, Offset(0));
  EXPECT_FALSE(*trimmed);
  partition->resume();
  settle();
  EXPECT_EQ(stream().start_at, Offset(2));
}

TEST_F(PauseTest, ReadsGoOnAndASecondPauseIsRefused) {
  ASSERT_TRUE(append(plain(3)));
  ASSERT_TRUE(pause());
  FetchRequest fetch;
  fetch.bytes_max = 1000;
  auto got = world.wait(0, partition->fetch(fetch));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->records.size(), 1u);
  EXPECT_EQ(pause().error().code, Code::in_use);
}

TEST_F(PauseTest, AClosedPartitionLetsNobodyWait) {
  ASSERT_TRUE(pause());
  auto waiting = start(plain());
  close();
  settle();
  ASSERT_TRUE(*waiting);
  EXPECT_EQ(code(**waiting), not_leader_or_follower);
  EXPECT_FALSE((**waiting).error().moved);
}

}  // namespace
}  // namespace paceline::partition
