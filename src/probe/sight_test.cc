#include "probe/sight.h"

#include <gtest/gtest.h>

namespace paceline::probe {
namespace {

const Sight::Partition kPart{"t", 0};

Sight::Answer says(int32_t leader, int32_t epoch) {
  return {{{1, "one:1"}, {2, "two:2"}}, {{kPart, {leader, epoch}}}};
}

TEST(Sight, ANewEpochIsNewsOfEachBrokerThatKnowsIt) {
  Sight sight;
  EXPECT_EQ(sight.told("one:1", says(1, 5)).size(), 1u);
  EXPECT_TRUE(sight.told("one:1", says(1, 5)).empty());
  EXPECT_TRUE(sight.told("two:2", says(1, 5)).empty()) << "its first word, which others have said";
  const auto moved = sight.told("two:2", says(2, 6));
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_EQ(moved[0].leader, (Sight::Leader{2, 6}));
  EXPECT_EQ(sight.told("one:1", says(2, 6)).size(), 1u) << "who learns of it late is seen as well";
  EXPECT_EQ(sight.brokers().at(2), "two:2");
}

TEST(Sight, AStepBackIsNoNewsAndNoLeaderIsNone) {
  Sight sight;
  (void)sight.told("one:1", says(1, 5));
  EXPECT_TRUE(sight.told("one:1", says(2, 4)).empty());
  EXPECT_TRUE(sight.told("one:1", says(-1, 6)).empty());
  EXPECT_EQ(sight.to_ask(1).size(), 1u);
  EXPECT_TRUE(sight.to_ask(2).empty());
}

TEST(Sight, AnotherLeaderUnderTheSameEpochIsNewsWhoeverSaysIt) {
  Sight sight;
  (void)sight.told("one:1", says(1, 5));
  const auto other = sight.told("two:2", says(2, 5));
  ASSERT_EQ(other.size(), 1u);
  EXPECT_EQ(other[0].leader, (Sight::Leader{2, 5}));
}

TEST(Sight, AStaleFirstWordIsNoNews) {
  Sight sight;
  (void)sight.told("one:1", says(1, 5));
  EXPECT_TRUE(sight.told("two:2", says(2, 4)).empty());
  EXPECT_EQ(sight.told("two:2", says(1, 5)).size(), 1u) << "it has caught up";
  ASSERT_EQ(sight.to_ask(1).size(), 1u);
}

TEST(Sight, TheNewLeaderIsAskedUntilItServes) {
  Sight sight;
  (void)sight.told("one:1", says(1, 5));
  EXPECT_TRUE(sight.served(1, kPart, 5));
  EXPECT_FALSE(sight.served(1, kPart, 5)) << "told once";
  EXPECT_TRUE(sight.to_ask(1).empty());
  (void)sight.told("one:1", says(2, 6));
  ASSERT_EQ(sight.to_ask(2).size(), 1u);
  EXPECT_EQ(sight.to_ask(2)[0].leader.epoch, 6);
  EXPECT_FALSE(sight.served(1, kPart, 5)) << "the old leader's answer is late";
  EXPECT_TRUE(sight.served(2, kPart, 6));
  EXPECT_TRUE(sight.to_ask(2).empty());
}

TEST(Sight, WhoLeadsNoMoreIsNotAskedAnyMore) {
  Sight sight;
  (void)sight.told("one:1", says(1, 5));
  (void)sight.told("two:2", says(2, 6));
  EXPECT_TRUE(sight.to_ask(1).empty());
  EXPECT_EQ(sight.to_ask(2).size(), 1u);
}

TEST(Sight, ALeaderThatComesBackIsANewEpoch) {
  Sight sight;
  (void)sight.told("one:1", says(1, 5));
  EXPECT_TRUE(sight.served(1, kPart, 5));
  EXPECT_EQ(sight.told("one:1", says(1, 6)).size(), 1u);
  EXPECT_EQ(sight.to_ask(1).size(), 1u);
}

TEST(Sight, WithoutEpochsTheLeaderItselfTells) {
  Sight sight;
  EXPECT_EQ(sight.told("one:1", says(1, -1)).size(), 1u);
  EXPECT_EQ(sight.told("one:1", says(2, -1)).size(), 1u);
  EXPECT_EQ(sight.to_ask(2).size(), 1u);
  EXPECT_TRUE(sight.served(2, kPart, -1));
}

}  // namespace
}  // namespace paceline::probe
