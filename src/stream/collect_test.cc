#include <gtest/gtest.h>

#include "stream/references.h"
#include "stream/test_town.h"

// Whose objects may go, when streams go from broker to broker: never what somebody refers to, and
// in the end all that nobody does.

namespace paceline::stream {
namespace {

class CollectionAmongBrokers : public testing::Test {
 protected:
  CollectionAmongBrokers() : town(5) {
    town.options.delete_grace_ms = 300;
    town.options.collection_ms = 1000;
    town.options.orphan_search_ms = 3000;
    town.options.checkpoint_uploads = 2;
    for (size_t i = 0; i < Town::kBrokers; ++i) EXPECT_EQ(why(town.start(i)), "");
  }
  // Some uploads of one stream, so that it has objects of its broker.
  void fill(uint32_t index, int uploads) {
    for (int i = 0; i < uploads; ++i) {
      ASSERT_TRUE(town.append(index, 3));
      ASSERT_TRUE(town.upload(town.leading(index)));
    }
  }
  void rest() { town.world.run_for(std::chrono::seconds(12)); }
  size_t bodies_of(size_t broker) {
    size_t count = 0;
    for (const auto& [key, body] : town.objects.bodies)
      count += key.starts_with(bodies_prefix(Town::id_of(broker)));
    return count;
  }
  size_t marks() {
    size_t count = 0;
    for (const auto& [key, entry] : town.meta.entries) count += key.starts_with("deleted/");
    return count;
  }
  int judged(size_t broker) { return town.brokers[broker]->events.counts["collection.judged"]; }
  Town town;
};

TEST_F(CollectionAmongBrokers, WhatAStreamTookAlongStaysUntilItIsTrimmedThere) {
  town.create(0, kA);
  town.create(2, kA);
  fill(0, 6);
  ASSERT_EQ(why(town.move(0, kB)), "");
  fill(2, 8);
  ASSERT_TRUE(town.upload(kB));
  rest();
  EXPECT_GT(judged(kA), 0);
  EXPECT_EQ(why(town.verify_all()), "");
  const size_t before = bodies_of(kA);
  ASSERT_TRUE(town.trim(0, town.acknowledged[0]));
  fill(0, 4);
  rest();
  EXPECT_LE(bodies_of(kA), before - 5);
  EXPECT_EQ(marks(), 0u);
  EXPECT_EQ(why(town.verify_all()), "");
}

TEST_F(CollectionAmongBrokers, NothingGoesWhileAnAdoptionIsInNoDirectory) {
  town.create(0, kA);
  town.create(2, kA);
  fill(0, 6);
  auto at = town.adopt(kB, 0, *town.passport(kA, 0));
  ASSERT_TRUE(at);
  ASSERT_EQ(why(town.commit(kB, *at, {0})), "");
  town.objects.down = true;  // B cannot upload what it has adopted
  town.let_go(kA, 0);
  town.world.run_for(std::chrono::seconds(1));
  town.crash(kB);  // and dies
  town.objects.down = false;
  fill(2, 8);
  rest();
  EXPECT_EQ(town.record(town.lane(kB)).adopted.size(), 1u);
  ASSERT_EQ(why(town.start(kB)), "");
  EXPECT_EQ(why(town.verify_all()), "");
  rest();
  EXPECT_EQ(why(town.verify_all()), "");
}

TEST_F(CollectionAmongBrokers, APassportThatIsUnderWayKeepsWhatItNames) {
  town.options.compaction_bytes = 40'000;
  for (const size_t broker : {kA, kB}) {
    town.crash(broker);
    ASSERT_EQ(why(town.start(broker)), "");
  }
  town.create(0, kA);
  town.create(2, kA);
  fill(0, 3);
  auto passport = town.passport(kA, 0);
  ASSERT_TRUE(passport);
  fill(2, 12);
  rest();
  auto at = town.adopt(kB, 0, *passport);
  ASSERT_TRUE(at);
  ASSERT_EQ(why(town.commit(kB, *at, {0})), "");
  ASSERT_TRUE(town.open(kB, 0));
  town.let_go(kA, 0);
  fill(2, 6);
  rest();
  EXPECT_EQ(why(town.verify_all()), "");
}

TEST_F(CollectionAmongBrokers, WhatAMoveThatWasGivenUpNamedIsCollectedAndNotLookedFor) {
  town.options.compaction_bytes = 40'000;
  for (const size_t broker : {kA, kB}) {
    town.crash(broker);
    ASSERT_EQ(why(town.start(broker)), "");
  }
  town.create(0, kA);
  fill(0, 3);
  ASSERT_TRUE(town.adopt(kB, 0, *town.passport(kA, 0)));
  fill(0, 12);  // the move is off; compaction puts others in the place of what was named
  rest();
  ASSERT_TRUE(town.trim(0, town.acknowledged[0] - 6));
  fill(0, 6);
  rest();
  town.crash(kC);
  town.fence(kC);
  town.crash(kA);
  town.fence(kA);
  ASSERT_EQ(why(town.take_over(kB)), "");  // what was adopted is undecided still, and of no meaning
  EXPECT_EQ(why(town.verify_all()), "");
  town.crash(kB);
  ASSERT_EQ(why(town.start(kB)), "");
  EXPECT_EQ(why(town.verify_all()), "");
}

TEST_F(CollectionAmongBrokers, WhatTheDeadHaveLeftIsCollectedByTheLivingOneWithTheLowestId) {
  town.create(0, kC);
  fill(0, 6);
  ASSERT_TRUE(town.append(0, 3));
  town.crash(kC);
  town.fence(kC);
  for (const size_t broker : {kA, kB}) ASSERT_EQ(why(town.take_over(broker)), "");
  rest();
  EXPECT_EQ(why(town.verify_all()), "");
  EXPECT_GE(bodies_of(kC), 5u) << "the stream is in them";
  ASSERT_TRUE(town.trim(0, town.acknowledged[0]));
  fill(0, 4);
  rest();
  EXPECT_EQ(bodies_of(kC), 0u);
  EXPECT_EQ(marks(), 0u);
  EXPECT_EQ(why(town.verify_all()), "");
  bool by_a = false;
  for (const std::string& line : town.brokers[kA]->events.lines)
    by_a |= line.starts_with("object.deleted object=2.");
  EXPECT_TRUE(by_a);
}

TEST_F(CollectionAmongBrokers, AnErasedTopicLeavesNothingBehindWhereverItWas) {
  town.create(0, kA);
  town.create(2, kA);
  fill(0, 5);
  ASSERT_EQ(why(town.move(0, kB)), "");
  fill(0, 5);
  ASSERT_EQ(why(town.move(0, kC)), "");
  fill(0, 5);
  town.erase_topic(0);
  town.close(kC, 0);
  ASSERT_TRUE(town.world.wait(kC * Town::kShards,
                              town.brokers[kC]->storage->erase(town.shard(kC), stream_id(0))));
  fill(2, 6);
  for (const size_t broker : {kB, kC}) ASSERT_TRUE(town.upload(broker));
  rest();
  rest();
  // Of each only what its directory is in.
  EXPECT_LE(bodies_of(kB), 3u);
  EXPECT_LE(bodies_of(kC), 3u);
  EXPECT_EQ(why(town.verify_all()), "");
}

TEST_F(CollectionAmongBrokers, ABrokerThatNeverHadAnotherBesideItAsksNobody) {
  Town alone(9);
  alone.options.delete_grace_ms = 300;
  ASSERT_EQ(why(alone.start(kA)), "");
  alone.create(0, kA);
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(alone.append(0, 3));
    ASSERT_TRUE(alone.upload(kA));
  }
  ASSERT_TRUE(alone.trim(0, alone.acknowledged[0]));
  alone.world.run_for(std::chrono::seconds(12));
  EXPECT_LE(alone.objects.bodies.size(), 3u);
  EXPECT_EQ(alone.brokers[kA]->events.counts["collection.judged"], 0);
}

LaneFacts facts(int32_t broker, uint64_t incarnation, std::vector<Lane> successors,
                uint64_t checkpoint, std::set<Lane> marks = {}) {
  LaneFacts lane;
  lane.lane = {BrokerId(broker), Incarnation(incarnation)};
  lane.record.sealed = !successors.empty();
  for (const Lane& one : successors) lane.record.successors.push_back({one, 1, ""});
  lane.record.checkpoint = checkpoint;
  lane.marks = std::move(marks);
  return lane;
}
Lane lane_of(int32_t broker, uint64_t incarnation) {
  return {BrokerId(broker), Incarnation(incarnation)};
}
std::set<Lane> in_force(const std::vector<LaneFacts>& all) {
  std::set<Lane> lanes;
  for (const LaneFacts* lane : lanes_in_force(all)) lanes.insert(lane->lane);
  return lanes;
}

TEST(References, ALaneIsInForceUntilAllWhoTakeOverFromItHaveSaidSo) {
  EXPECT_EQ(in_force({facts(1, 1, {lane_of(2, 1), lane_of(3, 1)}, 4, {lane_of(2, 1)}),
                      facts(2, 1, {}, 7), facts(3, 1, {}, 7)}),
            (std::set<Lane>{lane_of(1, 1), lane_of(2, 1), lane_of(3, 1)}));
  EXPECT_EQ(
      in_force({facts(1, 1, {lane_of(2, 1), lane_of(3, 1)}, 4, {lane_of(2, 1), lane_of(3, 1)}),
                facts(2, 1, {}, 7), facts(3, 1, {}, 7)}),
      (std::set<Lane>{lane_of(2, 1), lane_of(3, 1)}));
}

TEST(References, ARestartCoversAllLanesBeforeItWithItsFirstCheckpoint) {
  EXPECT_EQ(in_force({facts(1, 1, {lane_of(1, 2)}, 4), facts(1, 2, {lane_of(1, 3)}, 0),
                      facts(1, 3, {}, 0)}),
            (std::set<Lane>{lane_of(1, 1), lane_of(1, 2), lane_of(1, 3)}));
  EXPECT_EQ(in_force({facts(1, 1, {lane_of(1, 2)}, 4), facts(1, 2, {lane_of(1, 3)}, 5),
                      facts(1, 3, {}, 0)}),
            (std::set<Lane>{lane_of(1, 2), lane_of(1, 3)}));
  // The restarted one died before its first checkpoint; another broker has everything.
  EXPECT_EQ(in_force({facts(1, 1, {lane_of(1, 2)}, 4), facts(1, 2, {lane_of(2, 1)}, 0),
                      facts(2, 1, {}, 3)}),
            (std::set<Lane>{lane_of(1, 1), lane_of(1, 2), lane_of(2, 1)}));
  EXPECT_EQ(in_force({facts(1, 1, {lane_of(1, 2)}, 4),
                      facts(1, 2, {lane_of(2, 1)}, 0, {lane_of(2, 1)}), facts(2, 1, {}, 3)}),
            (std::set<Lane>{lane_of(2, 1)}));
}

TEST(References, AnHeirThatDiesPassesItsShareOnWithAllItHas) {
  const LaneFacts first = facts(1, 1, {lane_of(2, 1), lane_of(3, 1)}, 4, {lane_of(3, 1)});
  EXPECT_EQ(in_force({first, facts(2, 1, {lane_of(3, 1)}, 7), facts(3, 1, {}, 7)}),
            (std::set<Lane>{lane_of(1, 1), lane_of(2, 1), lane_of(3, 1)}));
  EXPECT_EQ(in_force({first, facts(2, 1, {lane_of(3, 1)}, 7, {lane_of(3, 1)}), facts(3, 1, {}, 7)}),
            (std::set<Lane>{lane_of(3, 1)}));
}

TEST(References, UploadsDoNotMoveThemAdoptionsAndFencesDo) {
  const std::vector<LaneFacts> before{facts(1, 1, {}, 4), facts(2, 1, {}, 5)};
  std::vector<LaneFacts> after = before;
  after[0].record.checkpoint = 9;
  after[0].record.uploaded = Position(900);
  EXPECT_TRUE(same_hands(before, after));
  after[1].record.adopted_count = 1;  // and in a directory by now
  EXPECT_FALSE(same_hands(before, after));
  after = before;
  after[1].record.sealed = true;
  EXPECT_FALSE(same_hands(before, after));
  after = before;
  after[0].marks.insert(lane_of(2, 1));
  EXPECT_FALSE(same_hands(before, after));
  after = before;
  after.push_back(facts(3, 1, {}, 0));
  EXPECT_FALSE(same_hands(before, after));
}

}  // namespace
}  // namespace paceline::stream
