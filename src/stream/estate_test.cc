#include <gmock/gmock.h>

#include "stream/recover.h"
#include "stream/test_town.h"

// What another broker has left, where it is damaged or nothing of it is ours.

namespace paceline::stream {
namespace {

// A and B; what A leaves is B's.
class Estates : public testing::Test {
 protected:
  explicit Estates(size_t count = Town::kBrokers) : town(3, count) {
    for (size_t i = 0; i < count; ++i) EXPECT_EQ(why(town.start(i)), "");
  }
  void kill(size_t broker) {
    town.crash(broker);
    town.fence(broker);
  }
  bool marked(Lane left, Lane heir) {
    return town.meta.entries.contains(meta::done_key(left, heir));
  }
  std::shared_ptr<TestWal::Log> log_of(Lane lane) { return town.files.lanes.at(lane); }
  Town town;
};

TEST_F(Estates, OneOfWhichNothingIsOursGetsOurMarkEvenIfItIsReadLater) {
  town.create(0, kA);
  ASSERT_TRUE(town.append(0, 5));
  kill(kA);
  // Both are heirs; stream 0 goes to one of them.
  const size_t heir = town.leading(0);
  const size_t other = heir == kB ? kC : kB;
  Storage& storage = *town.brokers[other]->storage;
  storage.inherit(town.lane(kA), {});
  storage.inherited(town.lane(kA));  // before it has been read
  ASSERT_EQ(why(town.take_over(heir)), "");
  town.world.run_for(std::chrono::seconds(5));
  EXPECT_TRUE(marked(town.lane(kA), town.lane(other)));
  EXPECT_TRUE(marked(town.lane(kA), town.lane(heir)));
  EXPECT_FALSE(town.files.lanes.contains(town.lane(kA))) << "nobody needs its log";
  EXPECT_EQ(why(town.verify_all()), "");
}

// Whoever says too early that nothing is missing loses the stream from sight, and learns it.
TEST_F(Estates, AStreamThatIsAskedForTooLateIsNotBegunAnew) {
  kill(kC);
  for (const size_t i : {kA, kB}) ASSERT_EQ(why(town.take_over(i)), "");
  town.create(0, kA);
  ASSERT_TRUE(town.append(0, 5));
  kill(kA);
  Storage& storage = *town.brokers[kB]->storage;
  storage.inherit(town.lane(kA), {});
  storage.inherited(town.lane(kA));
  const auto opened = town.open(kB, 0);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::corrupt);
  EXPECT_THAT(opened.error().message, testing::HasSubstr("after its estate was settled"));
}

// It has not heard of it: what it reads now, others serve.
TEST_F(Estates, WhoIsFencedBeforeItHasReadOneServesNothingOfIt) {
  town.create(0, kA);
  ASSERT_TRUE(town.append(0, 5));
  kill(kA);
  const size_t heir = town.leading(0);
  town.brokers[heir]->storage->inherit(town.lane(kA), {});
  town.fence(heir);
  const auto opened = town.open(heir, 0, town.lane(kA));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::fenced);
}

TEST_F(Estates, AStreamThatLostSomethingIsOfflineAndItsLogStays) {
  kill(kC);
  for (const size_t i : {kA, kB}) ASSERT_EQ(why(town.take_over(i)), "");
  town.create(0, kA);
  town.create(2, kA);
  ASSERT_TRUE(town.append(0, 5));
  ASSERT_TRUE(town.append(2, 5));
  const auto log = log_of(town.lane(kA));
  for (size_t i = 0; i < log->groups.size(); ++i)
    if (log->groups[i].entries.front().header.stream == stream_id(0)) log->marked.insert(i);
  const Lane left = town.lane(kA);
  kill(kA);
  const auto taken = town.take_over(kB);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Code::corrupt);
  EXPECT_THAT(taken.error().message, testing::HasSubstr("a group is damaged"));
  EXPECT_EQ(why(town.verify(2)), "");
  town.brokers[kB]->storage->inherited(left);
  for (int life = 0; life < 3; ++life) {
    town.world.run_for(std::chrono::seconds(5));
    ASSERT_TRUE(town.append(2, 3));
    ASSERT_TRUE(town.upload(kB));
    EXPECT_EQ(why(town.verify(2)), "");
    const auto opened = town.open(kB, 0);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::corrupt);
    for (const auto& [key, entry] : town.meta.entries)
      EXPECT_FALSE(key.starts_with(meta::lane_key(left) + "/done/")) << key;
    EXPECT_TRUE(town.files.lanes.contains(left)) << "the evidence is gone";
    town.crash(kB);
    EXPECT_FALSE(town.start(kB)) << "it says which stream is offline";
  }
}

TEST_F(Estates, OneThatIsDamagedNobodyKnowsWhereTakesItsOwnStreamsOfflineAndNoOthers) {
  kill(kC);
  for (const size_t i : {kA, kB}) ASSERT_EQ(why(town.take_over(i)), "");
  town.create(0, kA);
  town.create(1, kB);
  ASSERT_TRUE(town.append(0, 5));
  ASSERT_TRUE(town.upload(kA));
  town.create(2, kA);
  ASSERT_TRUE(town.append(2, 5));
  ASSERT_TRUE(town.append(1, 5));
  const auto log = log_of(town.lane(kA));
  log->damaged.insert(log->groups.size() - 1);
  const Lane left = town.lane(kA);
  kill(kA);
  EXPECT_FALSE(town.take_over(kB));
  town.brokers[kB]->storage->inherited(left);
  for (int life = 0; life < 3; ++life) {
    town.world.run_for(std::chrono::seconds(5));
    ASSERT_TRUE(town.append(1, 3));
    ASSERT_TRUE(town.upload(kB));
    EXPECT_EQ(why(town.verify(1)), "");
    for (const uint32_t index : {0u, 2u}) {
      const auto opened = town.open(kB, index);
      ASSERT_FALSE(opened) << index;
      EXPECT_EQ(opened.error().code, Code::corrupt);
      EXPECT_THAT(opened.error().message, testing::HasSubstr("does not match its checksum"));
    }
    for (const auto& [key, entry] : town.meta.entries)
      EXPECT_FALSE(key.starts_with(meta::lane_key(left) + "/done/")) << key;
    EXPECT_TRUE(town.files.lanes.contains(left));
    town.crash(kB);
    EXPECT_FALSE(town.start(kB));
  }
}

// The adoption counts, and its entry cannot be read: whatever else is known of the stream is older.
TEST_F(Estates, ALostAdoptionTakesItsStreamOfflineWhateverWasKnownBefore) {
  town.create(0, kA);
  ASSERT_TRUE(town.append(0, 5));
  ASSERT_EQ(why(town.move(0, kB)), "");
  ASSERT_TRUE(town.append(0, 5));
  ASSERT_TRUE(town.upload(kB));
  ASSERT_EQ(why(town.move(0, kA)), "");
  ASSERT_TRUE(town.append(0, 5));
  const auto at = town.adopt(kB, 0, *town.passport(kA, 0));
  ASSERT_TRUE(at);
  ASSERT_EQ(why(town.commit(kB, *at, {0})), "");
  const auto log = log_of(town.lane(kB));
  for (size_t i = 0; i < log->groups.size(); ++i)
    for (const wal::Entry& entry : log->groups[i].entries)
      if (entry.header.kind == wal::EntryKind::adopt) log->marked.insert(i);
  town.crash(kB);
  const auto started = town.start(kB);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Code::corrupt);
  EXPECT_THAT(started.error().message, testing::HasSubstr("and that is lost"));
}

// The heirs of A, of which B reads its log and C asks for what is its own.
class SharedEstates : public Estates {
 protected:
  SharedEstates() {
    town.heirs_share = true;
    // Odd ones go to C, even ones to B.
    for (uint32_t index = 0; index < 4; ++index) {
      town.create(index, kA);
      EXPECT_TRUE(town.append(index, 5));
    }
  }
  int reads_of(Lane lane) { return town.files.reads[lane]; }
};

TEST_F(SharedEstates, ALogIsReadOnceForAllHeirs) {
  const Lane left = town.lane(kA);
  kill(kA);
  ASSERT_EQ(why(town.take_over(kB)), "");
  ASSERT_EQ(why(town.take_over(kC)), "");
  EXPECT_EQ(reads_of(left), 1);
  EXPECT_EQ(town.questions, 1);
  EXPECT_EQ(why(town.verify_all()), "");
  EXPECT_THAT(town.brokers[kC]->events.lines,
              testing::Contains(testing::AllOf(testing::HasSubstr("lane.sealed"),
                                               testing::HasSubstr("told_by=1"))));
  // Each has it all: the death of both is survived.
  for (uint32_t index = 0; index < 4; ++index) ASSERT_TRUE(town.append(index, 3));
  town.world.run_for(std::chrono::seconds(5));
  EXPECT_FALSE(town.files.lanes.contains(left)) << "nobody needs its log";
  kill(kC);
  ASSERT_EQ(why(town.take_over(kB)), "");
  EXPECT_EQ(why(town.verify_all()), "");
}

TEST_F(SharedEstates, WhoAsksBeforeItIsReadWaits) {
  const Lane left = town.lane(kA);
  kill(kA);
  // C has heard of the fence, and B has not.
  town.brokers[kC]->storage->inherit(left, town.share(left, kC));
  town.world.run_for(std::chrono::milliseconds(120));
  EXPECT_EQ(town.questions, 2);
  ASSERT_EQ(why(town.take_over(kB)), "");
  ASSERT_EQ(why(town.take_over(kC)), "");
  EXPECT_EQ(reads_of(left), 1);
  EXPECT_EQ(why(town.verify_all()), "");
}

TEST_F(SharedEstates, WhoGetsNoAnswerReadsItHimself) {
  const Lane left = town.lane(kA);
  kill(kA);
  town.crash(kB);
  ASSERT_EQ(why(town.take_over(kC)), "");
  EXPECT_EQ(reads_of(left), 1);
  EXPECT_EQ(town.questions, 0);
  EXPECT_EQ(why(town.verify(1)), "");
}

TEST_F(SharedEstates, WhoIsAskedAndReadsNothingIsWaitedForInVainForHalfASecond) {
  const Lane left = town.lane(kA);
  kill(kA);
  const env::Instant began = town.world.now();
  ASSERT_EQ(why(town.take_over(kC)), "");
  EXPECT_GT(town.world.now() - began, std::chrono::milliseconds(500));
  EXPECT_LT(town.world.now() - began, std::chrono::milliseconds(700));
  EXPECT_EQ(reads_of(left), 1);
  EXPECT_EQ(why(town.verify(1)), "");
  EXPECT_EQ(why(town.verify(3)), "");
}

// A later incarnation of it has read nothing, and never will.
TEST_F(SharedEstates, AnotherIncarnationTellsNothingAtOnce) {
  const Lane left = town.lane(kA);
  kill(kA);
  const LogShare share = town.share(left, kC);
  town.crash(kB);
  ASSERT_TRUE(town.start(kB));
  const int before = reads_of(left);
  const env::Instant began = town.world.now();
  town.brokers[kC]->storage->inherit(left, share);
  ASSERT_EQ(why(town.take_over(kC)), "");
  EXPECT_LT(town.world.now() - began, std::chrono::milliseconds(50));
  EXPECT_EQ(reads_of(left), before + 1);
  EXPECT_EQ(why(town.verify_all()), "");
}

TEST_F(SharedEstates, OfADamagedLogNothingIsTold) {
  const Lane left = town.lane(kA);
  const auto log = log_of(left);
  log->marked.insert(0);
  kill(kA);
  (void)town.take_over(kB);
  (void)town.take_over(kC);
  EXPECT_EQ(reads_of(left), 2);
  EXPECT_EQ(town.questions, 1);
}

// Whoever did not know a stream to be its own when it asked has nothing of it, and reads it now.
TEST_F(SharedEstates, AStreamThatWasNotAskedForIsReadFromTheLog) {
  const Lane left = town.lane(kA);
  kill(kA);
  ASSERT_EQ(why(town.take_over(kB)), "");
  LogShare share = town.share(left, kC);
  share.streams = {stream_id(1)};
  town.brokers[kC]->storage->inherit(left, std::move(share));
  ASSERT_EQ(why(town.take_over(kC)), "");
  EXPECT_EQ(reads_of(left), 2);
  EXPECT_EQ(why(town.verify_all()), "");
}

TEST_F(SharedEstates, ALogInObjectsIsReadOnceToo) {
  for (const size_t i : {kA, kB, kC}) town.crash(i);
  town.use_object_wal();
  for (const size_t i : {kA, kB, kC}) ASSERT_EQ(why(town.start(i)), "");
  town.create(6, kA);
  town.create(7, kA);
  for (const uint32_t index : {6u, 7u}) ASSERT_TRUE(town.append(index, 5));
  kill(kA);
  ASSERT_EQ(why(town.take_over(kB)), "");
  ASSERT_EQ(why(town.take_over(kC)), "");
  EXPECT_EQ(town.questions, 1);
  EXPECT_EQ(why(town.verify(6)), "");
  EXPECT_EQ(why(town.verify(7)), "");
}

// A and B die, B as an heir of A: C and D are heirs of both, and have A's log under B's as well.
class TwoEstates : public Estates {
 protected:
  static constexpr size_t kD = 3;
  TwoEstates() : Estates(4) {
    town.heirs_share = true;
    for (uint32_t index = 0; index < 12; ++index) {
      town.create(index, index % 2 == 0 ? kA : kB);
      EXPECT_TRUE(town.append(index, 5));
    }
    a = town.lane(kA);
    b = town.lane(kB);
  }
  Lane a, b;
};

TEST_F(TwoEstates, EachLogIsReadOnceByTheFirstWhoLives) {
  town.crash(kA);
  town.crash(kB);
  town.fence(kA);
  town.fence(kB);
  ASSERT_EQ(why(town.take_over(kC)), "");
  EXPECT_EQ(town.questions, 0);
  ASSERT_EQ(why(town.take_over(kD)), "");
  EXPECT_EQ(town.files.reads[a], 1) << "B would have, and is dead";
  EXPECT_EQ(town.files.reads[b], 1);
  EXPECT_EQ(town.questions, 3) << "A's, B's, and A's under B's";
  EXPECT_EQ(why(town.verify_all()), "");
  for (uint32_t index = 0; index < 12; ++index) ASSERT_TRUE(town.append(index, 3));
  town.world.run_for(std::chrono::seconds(5));
  EXPECT_FALSE(town.files.lanes.contains(a)) << "nobody needs its log";
  EXPECT_FALSE(town.files.lanes.contains(b));
  kill(kC);
  ASSERT_EQ(why(town.take_over(kD)), "");
  EXPECT_EQ(why(town.verify_all()), "");
}

// B had begun with what it got of A, and had uploaded nothing.
TEST_F(TwoEstates, WhatTheFirstHeirHadBegunIsTold) {
  kill(kA);
  for (const size_t i : {kB, kC, kD}) ASSERT_EQ(why(town.take_over(i, false)), "");
  for (uint32_t index = 0; index < 12; ++index) ASSERT_TRUE(town.append(index, 3));
  kill(kB);
  const int before = town.files.reads[a];
  for (const size_t i : {kC, kD}) ASSERT_EQ(why(town.take_over(i)), "");
  EXPECT_EQ(town.files.reads[b], 1);
  EXPECT_EQ(town.files.reads[a], before + 2) << "who had read it is dead";
  EXPECT_EQ(why(town.verify_all()), "");
}

}  // namespace
}  // namespace paceline::stream
