#include "cluster/balance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace paceline::cluster {
namespace {

BrokerId broker(int32_t id) {
  return BrokerId{id};
}
StreamId stream(uint32_t index) {
  return {Uuid{}, index};
}

struct House {
  std::vector<BalanceBroker> brokers;
  std::vector<BalancePartition> partitions;

  explicit House(int32_t count) {
    for (int32_t id = 1; id <= count; ++id) brokers.push_back({broker(id), "", 1});
  }
  void add(int32_t leader, double load = 0) {
    partitions.push_back(
        {stream(static_cast<uint32_t>(partitions.size())), broker(leader), {broker(leader)}, load});
  }
  // Carries the plan out, and demands that it is one that can be.
  size_t follow(const BalanceBounds& bounds = {}) {
    const auto moves = plan_balance(brokers, partitions, bounds);
    std::set<StreamId> moved;
    for (const BalanceMove& move : moves) {
      auto found = std::ranges::find(partitions, move.stream, &BalancePartition::stream);
      EXPECT_NE(found, partitions.end());
      EXPECT_TRUE(moved.insert(move.stream).second) << "moved twice";
      EXPECT_TRUE(found->may_level || found->preferred.front() == move.to);
      EXPECT_EQ(found->leader, move.from);
      EXPECT_NE(move.from, move.to);
      EXPECT_EQ(move.preferred.front(), move.to);
      EXPECT_FALSE(move.reason.empty());
      found->leader = move.to;
      found->preferred = move.preferred;
    }
    return moves.size();
  }
  double far_off() const {
    double most = 0;
    for (const BalanceShare& one : balance_shares(brokers, partitions, {}))
      most = std::max(most, std::abs(one.share - one.due) / one.due);
    return most;
  }
};

TEST(Balance, AnAddedBrokerGetsItsShareAndNobodyElseMoves) {
  House house(3);
  for (int i = 0; i < 300; ++i) house.add(1 + i % 3);
  house.brokers.push_back({broker(4), "", 1});
  const size_t moves = house.follow({.tolerance = 0.1, .moves_max = 1000});
  EXPECT_LE(house.far_off(), 0.1);
  EXPECT_LE(moves, 76u);
  for (const BalancePartition& partition : house.partitions)
    if (partition.leader != broker(4))
      EXPECT_EQ(partition.leader.value, 1 + static_cast<int32_t>(partition.stream.index % 3));
}

TEST(Balance, WithinTheToleranceNothingMoves) {
  House house(2);
  for (int i = 0; i < 52; ++i) house.add(1);
  for (int i = 0; i < 48; ++i) house.add(2);
  EXPECT_EQ(house.follow(), 0u);
  House few(3);  // one more than another is not worth a move
  few.add(1), few.add(1), few.add(2), few.add(3);
  EXPECT_EQ(few.follow(), 0u);
}

TEST(Balance, OneOfManyBrokersIsMissedThoughNobodyElseIsFarAboveItsShare) {
  House house(20);
  for (int i = 0; i < 400; ++i) house.add(1 + i % 20);
  house.brokers.push_back({broker(21), "", 1});
  EXPECT_GT(house.follow({.tolerance = 0.1, .moves_max = 1000}), 15u);
  EXPECT_LE(house.far_off(), 0.1);
}

TEST(Balance, LoadCountsAndAPartitionTooHeavyForAnybodyStays) {
  House house(2);
  for (int i = 0; i < 10; ++i) house.add(1, 100);
  for (int i = 0; i < 10; ++i) house.add(2, 0);
  EXPECT_GT(house.follow(), 0u);
  EXPECT_LE(house.far_off(), 0.11);
  House heavy(2);
  heavy.add(1, 1000);
  heavy.add(2, 0);
  EXPECT_EQ(heavy.follow(), 0u);
}

TEST(Balance, BothTheNumberAndTheLoadComeToWhatIsDue) {
  House house(4);
  for (int i = 0; i < 400; ++i) house.add(1 + i % 3, i % 10 == 0 ? 1000 : 10);
  house.follow({.tolerance = 0.1, .moves_max = 1000});
  double load = 0;
  for (const BalancePartition& partition : house.partitions) load += partition.load;
  for (const BalanceShare& one : balance_shares(house.brokers, house.partitions, {})) {
    EXPECT_NEAR(static_cast<double>(one.leaders), 100, 10);
    EXPECT_NEAR(one.load, load / 4, load / 40);
  }
}

TEST(Balance, AHandfulOfBytesIsNoLoad) {
  House house(2);
  for (int i = 0; i < 10; ++i) house.add(1 + i % 2, i == 0 ? 100 : 0);
  EXPECT_EQ(house.follow({.tolerance = 0.1, .moves_max = 100, .light_load = 1 << 20}), 0u);
  for (BalancePartition& partition : house.partitions) partition.load *= 1e6;
  house.partitions[2].load = 1e7;
  EXPECT_GT(house.follow({.tolerance = 0.1, .moves_max = 100, .light_load = 1 << 20}), 0u);
}

TEST(Balance, LoadThatChangesALittleMovesNothingAgain) {
  House house(3);
  for (int i = 0; i < 4; ++i) house.add(1 + i % 3, 100);
  uint64_t state = 5;
  for (int round = 0; round < 100; ++round) {
    for (BalancePartition& partition : house.partitions) {
      state = state * 6364136223846793005ull + 1442695040888963407ull;
      partition.load = 95 + static_cast<double>((state >> 33) % 10);
    }
    EXPECT_EQ(house.follow(), 0u) << round;
  }
}

TEST(Balance, APlanIsStableOnceItIsCarriedOut) {
  uint64_t state = 7;
  auto draw = [&](uint64_t below) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (state >> 33) % below;
  };
  for (int round = 0; round < 200; ++round) {
    House house(static_cast<int32_t>(2 + draw(6)));
    const uint64_t count = 1 + draw(200);
    for (uint64_t i = 0; i < count; ++i)
      house.add(static_cast<int32_t>(1 + draw(house.brokers.size())),
                draw(3) ? 0 : static_cast<double>(draw(1000)));
    const double before = house.far_off();
    house.follow({.tolerance = 0.1, .moves_max = 10000});
    EXPECT_LE(house.far_off(), before + 0.1);
    house.follow({.tolerance = 0.1, .moves_max = 10000});
    EXPECT_EQ(house.follow({.tolerance = 0.1, .moves_max = 10000}), 0u) << round;
  }
}

TEST(Balance, WhatHasMovedOfLateOnlyGoesHomeAndAPlanHasAnEnd) {
  House house(2);
  for (int i = 0; i < 100; ++i) house.add(1);
  for (int i = 0; i < 90; ++i) house.partitions[static_cast<size_t>(i)].may_level = false;
  EXPECT_EQ(house.follow({.tolerance = 0.1, .moves_max = 4}), 4u);
  EXPECT_EQ(house.follow({.tolerance = 0.1, .moves_max = 400}), 6u);
  house.partitions[0].preferred = {broker(2)};
  EXPECT_EQ(house.follow({.tolerance = 0.1, .moves_max = 400}), 1u);
}

TEST(Balance, LeadersReturnToWhereTheyArePreferred) {
  House house(3);
  for (int i = 0; i < 30; ++i) house.add(1 + i % 3);
  // Broker 3 was away.
  for (BalancePartition& partition : house.partitions)
    if (partition.leader == broker(3)) partition.leader = broker(1 + partition.stream.index % 2);
  EXPECT_EQ(house.follow(), 10u);
  for (const BalancePartition& partition : house.partitions)
    EXPECT_EQ(partition.leader, partition.preferred.front());
  // Nobody returns to who is not there.
  house.brokers.pop_back();
  for (BalancePartition& partition : house.partitions)
    if (partition.leader == broker(3)) partition.leader = broker(1 + partition.stream.index % 2);
  EXPECT_EQ(house.follow(), 0u);
}

TEST(Balance, WhoIsToLeadNothingGivesEverythingAway) {
  House house(3);
  for (int i = 0; i < 30; ++i) house.add(1 + i % 3);
  house.brokers[0].capacity = 0;
  EXPECT_EQ(house.follow(), 10u);
  for (const BalancePartition& partition : house.partitions) EXPECT_NE(partition.leader, broker(1));
  EXPECT_EQ(house.follow(), 0u);
}

TEST(Balance, ThePreferredListKeepsItsLengthAndItsRacks) {
  const std::vector<BalanceBroker> brokers{
      {broker(1), "a", 1}, {broker(2), "b", 1}, {broker(3), "c", 1}, {broker(4), "a", 1}};
  const std::vector<BrokerId> all{broker(1), broker(2), broker(3)};
  EXPECT_EQ(prefer(broker(2), all, brokers),
            (std::vector<BrokerId>{broker(2), broker(1), broker(3)}));
  EXPECT_EQ(prefer(broker(4), all, brokers),
            (std::vector<BrokerId>{broker(4), broker(2), broker(3)}));
  EXPECT_EQ(prefer(broker(4), {broker(2)}, brokers), std::vector<BrokerId>{broker(4)});
  EXPECT_EQ(prefer(broker(4), {}, brokers), std::vector<BrokerId>{broker(4)});
}

}  // namespace
}  // namespace paceline::cluster
