#include <gtest/gtest.h>

#include "stream/passport.h"
#include "stream/recover.h"
#include "stream/test_town.h"

namespace paceline::stream {
namespace {

class Moves : public testing::TestWithParam<bool> {
 protected:
  Moves() : town(17) {
    if (GetParam()) town.use_object_wal();
    for (size_t i = 0; i < Town::kBrokers; ++i) EXPECT_EQ(why(town.start(i)), "");
  }
  void restart(size_t broker) {
    town.crash(broker);
    ASSERT_EQ(why(town.start(broker)), "");
  }
  void fail_over(size_t broker) {
    town.crash(broker);
    town.fence(broker);
    for (size_t i = 0; i < Town::kBrokers; ++i)
      if (i != broker && town.registered(i)) ASSERT_EQ(why(town.take_over(i)), "");
  }
  bool in_directories_of(size_t broker, uint32_t index) {
    const Sources sources{&town.shard(broker), &town.meta, &town.objects, &town.log()};
    auto recovery = town.world.wait(
        broker * Town::kShards,
        recover(sources, {.own = {Town::id_of(broker), Incarnation(~0ull)}, .inspect = true},
                [](Event) {}));
    return recovery && recovery->image.streams.contains(stream_id(index));
  }
  Town town;
};

TEST_P(Moves, AStreamGoesWithItsTailAndItsOwnersState) {
  town.create(0, kA);
  ASSERT_TRUE(town.append(0, 20));
  ASSERT_TRUE(town.upload(kA));
  ASSERT_TRUE(town.append(0, 7));
  ASSERT_EQ(why(town.move(0, kB)), "");
  EXPECT_EQ(why(town.verify(0)), "");
  ASSERT_TRUE(town.append(0, 9));
  EXPECT_EQ(why(town.verify(0)), "");
  ASSERT_TRUE(town.upload(kB));
  restart(kB);
  restart(kA);
  EXPECT_EQ(town.leading(0), kB);
  EXPECT_EQ(why(town.verify(0)), "");
  EXPECT_TRUE(town.record(town.lane(kB)).adopted.empty());
}

TEST_P(Moves, AStreamWithoutARecordGoesToo) {
  town.create(0, kA);
  ASSERT_EQ(why(town.move(0, kB)), "");
  ASSERT_TRUE(town.append(0, 3));
  restart(kB);
  EXPECT_EQ(why(town.verify(0)), "");
}

TEST_P(Moves, BackAndForthWithAndWithoutNewRecordsAndDeathsInBetween) {
  town.create(0, kA);
  ASSERT_TRUE(town.append(0, 10));
  for (int round = 0; round < 12; ++round) {
    const size_t from = town.leading(0);
    const size_t to = from == kA ? kB : kA;
    if (round % 3 != 1) ASSERT_TRUE(town.append(0, 4));
    if (round % 4 == 2) ASSERT_TRUE(town.upload(from));
    ASSERT_EQ(why(town.move(0, to)), "") << round;
    ASSERT_EQ(why(town.verify(0)), "") << round;
    if (round % 5 == 1) ASSERT_TRUE(town.upload(to));
    if (round % 2 == 0) restart(round % 3 == 0 ? from : to);
    ASSERT_EQ(why(town.verify(0)), "") << round;
  }
}

TEST_P(Moves, AMoveThatWasGivenUpMeansNothingToWhoeverReadsTheLog) {
  town.create(0, kA);
  ASSERT_TRUE(town.append(0, 10));
  auto passport = town.passport(kA, 0);
  ASSERT_TRUE(passport);
  ASSERT_TRUE(town.adopt(kB, 0, *passport));
  // Given up: nobody tells B, which dies.
  ASSERT_TRUE(town.append(0, 10));
  restart(kB);
  EXPECT_EQ(why(town.verify(0)), "");
  EXPECT_FALSE(in_directories_of(kB, 0));
  // Later B gets it from what A has left, and dies again before its own checkpoint.
  fail_over(kA);
  ASSERT_NE(town.leading(0), kA);
  EXPECT_EQ(why(town.verify(0)), "");
  ASSERT_TRUE(town.append(0, 3));
  restart(town.leading(0));
  EXPECT_EQ(why(town.verify(0)), "");
}

TEST_P(Moves, AnAdoptionThatIsForgottenMakesRoomForTheNext) {
  town.create(0, kA);
  ASSERT_TRUE(town.append(0, 10));
  ASSERT_TRUE(town.adopt(kB, 0, *town.passport(kA, 0)));
  ASSERT_TRUE(town.append(0, 5));
  const auto twice = town.adopt(kB, 0, *town.passport(kA, 0));
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, Code::in_use);
  town.brokers[kB]->storage->forget_adopted(stream_id(0));
  town.world.run_for(std::chrono::milliseconds(100));
  ASSERT_TRUE(town.upload(kB));
  EXPECT_EQ(town.brokers[kB]->storage->stats().streams, 0u);
  EXPECT_EQ(town.brokers[kB]->storage->stats().unuploaded_bytes, 0u);
  ASSERT_EQ(why(town.move(0, kB)), "");
  EXPECT_EQ(why(town.verify(0)), "");
  restart(kB);
  EXPECT_EQ(why(town.verify(0)), "");
}

TEST_P(Moves, TheTargetDiesBetweenTheCommitAndEverythingElse) {
  town.create(0, kA);
  ASSERT_TRUE(town.append(0, 10));
  ASSERT_TRUE(town.upload(kA));
  ASSERT_TRUE(town.append(0, 10));
  auto at = town.adopt(kB, 0, *town.passport(kA, 0));
  ASSERT_TRUE(at);
  ASSERT_EQ(why(town.commit(kB, *at, {0})), "");
  EXPECT_EQ(town.record(town.lane(kB)).adopted.size(), 1u);
  restart(kB);
  EXPECT_EQ(why(town.verify(0)), "");
  town.let_go(kA, 0);
  EXPECT_EQ(town.leading(0), kB);
}

TEST_P(Moves, WhoeverTakesOverFromTheTargetFindsWhatItAdopted) {
  town.create(0, kA);
  ASSERT_TRUE(town.append(0, 10));
  ASSERT_TRUE(town.upload(kA));
  ASSERT_TRUE(town.append(0, 10));
  auto at = town.adopt(kB, 0, *town.passport(kA, 0));
  ASSERT_TRUE(at);
  ASSERT_EQ(why(town.commit(kB, *at, {0})), "");
  town.let_go(kA, 0);
  ASSERT_TRUE(town.upload(kA));
  fail_over(kB);
  EXPECT_NE(town.leading(0), kB);
  EXPECT_EQ(why(town.verify(0)), "");
  ASSERT_TRUE(town.append(0, 4));
  restart(town.leading(0));
  EXPECT_EQ(why(town.verify(0)), "");
}

TEST_P(Moves, TheSourceDiesAfterTheCommitAndKnowsBetterAfterwards) {
  town.create(0, kA);
  town.create(2, kA);
  ASSERT_TRUE(town.append(0, 10));
  ASSERT_TRUE(town.append(2, 10));
  ASSERT_TRUE(town.upload(kA));
  ASSERT_TRUE(town.append(0, 10));
  auto at = town.adopt(kB, 0, *town.passport(kA, 0));
  ASSERT_TRUE(at);
  ASSERT_EQ(why(town.commit(kB, *at, {0})), "");
  ASSERT_TRUE(town.open(kB, 0));
  restart(kA);
  ASSERT_TRUE(town.append(0, 4));
  EXPECT_EQ(why(town.verify_all()), "");
  ASSERT_TRUE(town.upload(kA));
  EXPECT_FALSE(in_directories_of(kA, 0));
  EXPECT_TRUE(in_directories_of(kA, 2));
}

TEST_P(Moves, WhatIsReleasedLeavesTheDirectoriesOfItsSource) {
  town.create(0, kA);
  town.create(2, kA);
  ASSERT_TRUE(town.append(0, 10));
  ASSERT_TRUE(town.append(2, 10));
  ASSERT_EQ(why(town.move(0, kB)), "");
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(town.append(2, 1));
    ASSERT_TRUE(town.upload(kA));
  }
  EXPECT_FALSE(in_directories_of(kA, 0));
  EXPECT_TRUE(in_directories_of(kA, 2));
  EXPECT_EQ(town.brokers[kA]->storage->stats().unuploaded_bytes, 0u);
  EXPECT_EQ(town.brokers[kA]->storage->stats().streams, 1u);
  EXPECT_EQ(why(town.verify_all()), "");
}

// Where the log does not go down together with the objects.
class MovesWithoutObjects : public Moves {};

TEST_P(MovesWithoutObjects, AnUploadThatWasUnderWayDoesNotTouchWhatCameBackMeanwhile) {
  town.create(0, kA);
  ASSERT_TRUE(town.append(0, 10));
  town.objects.down = true;
  bool uploaded = false;
  auto uploading = [](Town& of, bool& done) -> Task<void> {
    done = (co_await of.brokers[kA]->storage->upload_now(of.shard(kA))).has_value();
  };
  town.shard(kA).spawn(uploading(town, uploaded));
  town.world.run_for(std::chrono::milliseconds(50));
  ASSERT_EQ(why(town.move(0, kB)), "");
  ASSERT_TRUE(town.append(0, 3));
  ASSERT_EQ(why(town.move(0, kA)), "");
  ASSERT_TRUE(town.append(0, 3));
  town.objects.down = false;
  ASSERT_TRUE(town.world.run_until([&] { return uploaded; }));
  EXPECT_EQ(why(town.verify(0)), "");
  ASSERT_TRUE(town.upload(kA));
  EXPECT_EQ(town.brokers[kA]->storage->stats().unuploaded_bytes, 0u);
  EXPECT_EQ(town.brokers[kB]->storage->stats().unuploaded_bytes, 0u);
  restart(kA);
  EXPECT_EQ(why(town.verify(0)), "");
}

TEST_P(Moves, AnUndecidedAdoptionIsInNoDirectoryAndStaysInTheLog) {
  town.create(0, kA);
  town.create(1, kB);
  ASSERT_TRUE(town.append(0, 10));
  ASSERT_TRUE(town.append(1, 10));
  auto at = town.adopt(kB, 0, *town.passport(kA, 0));
  ASSERT_TRUE(at);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(town.append(1, 3));
    ASSERT_TRUE(town.upload(kB));
  }
  EXPECT_LT(town.record(town.lane(kB)).uploaded, *at);
  EXPECT_FALSE(in_directories_of(kB, 0));
  ASSERT_EQ(why(town.commit(kB, *at, {0})), "");
  ASSERT_TRUE(town.append(1, 3));
  EXPECT_TRUE(in_directories_of(kB, 0));
  restart(kB);
  town.let_go(kA, 0);
  EXPECT_EQ(why(town.verify_all()), "");
}

// What an upload takes along and how much of it have to be of the same moment: a delta has no room
// for what a stream brought.
TEST_P(Moves, AnUploadThatBeganBeforeAnAdoptionWasCommittedLosesNothingOfIt) {
  town.options.upload_age_ms = 3'600'000;
  auto appending = [](Town& of, uint32_t index, int count, int& running) -> Task<void> {
    Town::Opened& opened = *of.brokers[kB]->open.at(index);
    for (int i = 0; i < count; ++i) {
      const Batch batch = batch_at(index, opened.stream->end().value, of.leader(index).epoch);
      std::vector<Batch> batches{batch};
      if (!co_await opened.stream->append(std::move(batches))) break;
      opened.owner.apply(batch);
      of.acknowledged[index] = batch.end().value;
    }
    --running;
  };
  auto uploading = [](Town& of, int& running) -> Task<void> {
    EXPECT_TRUE(co_await of.brokers[kB]->storage->upload_now(of.shard(kB)));
    --running;
  };
  town.create(0, kB);
  town.create(1, kB);
  for (uint32_t round = 0; round < 40; ++round) {
    const uint32_t moving = 2 + round;
    town.create(moving, kA);
    ASSERT_TRUE(town.append(moving, 10));
    ASSERT_TRUE(town.upload(kA));
    restart(kB);
    ASSERT_TRUE(town.append(0, 1));
    ASSERT_TRUE(town.upload(kB));  // the first is a checkpoint in any case
    auto at = town.adopt(kB, moving, *town.passport(kA, moving));
    ASSERT_TRUE(at);
    int running = 3;
    town.shard(kB, 0).spawn(appending(town, 0, 6, running));
    town.shard(kB, 1).spawn(appending(town, 1, 6, running));
    town.world.run_for(std::chrono::microseconds(town.world.random.below(2000)));
    town.shard(kB).spawn(uploading(town, running));
    ASSERT_EQ(why(town.commit(kB, *at, {moving})), "");
    ASSERT_TRUE(town.open(kB, moving));
    ASSERT_TRUE(town.append(moving, 1));
    ASSERT_TRUE(town.world.run_until([&] { return running == 0; }));
    town.let_go(kA, moving);
    restart(kB);
    ASSERT_EQ(why(town.verify(moving)), "") << round;
  }
}

TEST_P(Moves, ACommitWithoutAnAnswerIsDecidedForGood) {
  town.create(0, kA);
  town.create(1, kB);
  int committed = 0;
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(town.append(0, 2));
    const size_t from = town.leading(0);
    const size_t to = 1 - from;
    auto at = town.adopt(to, 0, *town.passport(from, 0));
    ASSERT_TRUE(at) << at.error().to_string();
    town.meta.lost_answers_percent = 70;
    const auto done = town.commit(to, *at, {0});
    const size_t now = town.leading(0);
    EXPECT_EQ(now, done ? to : from);
    town.meta.lost_answers_percent = 0;
    town.world.run_for(std::chrono::milliseconds(300));
    EXPECT_EQ(town.leading(0), now);
    if (done) {
      ++committed;
      ASSERT_TRUE(town.open(to, 0));
      town.let_go(from, 0);
    } else {
      EXPECT_EQ(done.error().code, Code::conflict);
      town.brokers[to]->storage->forget_adopted(stream_id(0));
    }
    ASSERT_EQ(why(town.verify(0)), "");
    ASSERT_TRUE(town.append(1, 1));
    ASSERT_TRUE(town.upload(kB));
  }
  EXPECT_GT(committed, 5);
  EXPECT_LT(committed, 35);
}

TEST_P(Moves, APageThatChangedMeansNoMove) {
  town.create(0, kA);
  ASSERT_TRUE(town.append(0, 5));
  auto at = town.adopt(kB, 0, *town.passport(kA, 0));
  ASSERT_TRUE(at);
  const Position position = *at;
  Storage::CommitAdoption committing = [&](meta::Transaction&& transaction) {
    const std::string key = Town::page_key(0);
    transaction.if_modified_at(key, town.meta.entries.at(key).modified)
        .put(key, Town::page(Epoch(2), town.lane(kB)));
    town.meta.put(key, std::string(town.meta.entries.at(key).value));
    return town.meta.commit(town.shard(kB), std::move(transaction));
  };
  const auto done = town.world.wait(kB * Town::kShards, town.brokers[kB]->storage->commit_adoption(
                                                            town.shard(kB), position, committing));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::conflict);
  town.brokers[kB]->storage->forget_adopted(stream_id(0));
  ASSERT_TRUE(town.append(0, 5));
  ASSERT_EQ(why(town.move(0, kB)), "");
  EXPECT_EQ(why(town.verify(0)), "");
}

TEST_P(Moves, AFencedTargetCommitsNothing) {
  town.create(0, kA);
  ASSERT_TRUE(town.append(0, 5));
  auto at = town.adopt(kB, 0, *town.passport(kA, 0));
  ASSERT_TRUE(at);
  town.fence(kB);
  const auto done = town.commit(kB, *at, {0});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::fenced);
  EXPECT_EQ(town.leading(0), kA);
  ASSERT_TRUE(town.append(0, 5));
  EXPECT_EQ(why(town.verify(0)), "");
}

TEST_P(Moves, TrimsAfterAMoveStay) {
  town.create(0, kA);
  ASSERT_TRUE(town.append(0, 30));
  ASSERT_TRUE(town.upload(kA));
  ASSERT_TRUE(town.trim(0, 20));
  ASSERT_EQ(why(town.move(0, kB)), "");
  EXPECT_EQ(town.brokers[kB]->open.at(0)->stream->start(), Offset(20));
  ASSERT_TRUE(town.trim(0, 40));
  restart(kB);
  EXPECT_EQ(town.brokers[kB]->open.at(0)->stream->start(), Offset(40));
  ASSERT_EQ(why(town.move(0, kA)), "");
  EXPECT_EQ(town.brokers[kA]->open.at(0)->stream->start(), Offset(40));
  EXPECT_EQ(why(town.verify(0)), "");
}

// What A knew of the stream before it went is in its log and its directories; what B has left of it
// is the truth.
TEST_P(Moves, WhatComesBackByAFailoverIsNotWhatWentByAMove) {
  for (int appended = 0; appended < 4; appended += 3) {
    const auto index = static_cast<uint32_t>(appended);
    town.create(index, kA);
    ASSERT_TRUE(town.append(index, 10));
    ASSERT_TRUE(town.upload(kA));
    ASSERT_TRUE(town.append(index, 10));
    ASSERT_EQ(why(town.move(index, kB)), "");
    if (appended > 0) ASSERT_TRUE(town.append(index, appended));
    ASSERT_TRUE(town.trim(index, 25));
  }
  town.crash(kC);
  town.fence(kC);
  ASSERT_EQ(why(town.take_over(kA)), "");
  fail_over(kB);
  ASSERT_EQ(town.leading(0), kA);
  EXPECT_EQ(why(town.verify_all()), "");
  for (int deaths = 0; deaths < 3; ++deaths) {
    restart(kA);
    EXPECT_EQ(why(town.verify_all()), "");
    for (const uint32_t index : {0u, 3u}) {
      EXPECT_EQ(town.brokers[kA]->open.at(index)->stream->start(), Offset(25));
      ASSERT_TRUE(town.append(index, 2));
    }
  }
}

TEST_P(Moves, ADeltaAboveAnInheritedTailIsReadBack) {
  town.create(0, kA);
  town.create(1, kB);
  ASSERT_TRUE(town.append(0, 10));
  ASSERT_TRUE(town.append(1, 10));
  ASSERT_TRUE(town.upload(kA));
  ASSERT_TRUE(town.upload(kB));
  ASSERT_TRUE(town.append(0, 10));
  town.crash(kC);
  town.fence(kC);
  ASSERT_EQ(why(town.take_over(kB)), "");
  ASSERT_TRUE(town.upload(kB));
  town.crash(kA);
  town.fence(kA);
  ASSERT_EQ(why(town.take_over(kB, false)), "");
  ASSERT_TRUE(town.append(0, 3));
  ASSERT_TRUE(town.upload(kB));  // a delta: not all of the share is here, as far as is known
  restart(kB);
  EXPECT_EQ(why(town.verify_all()), "");
}

TEST_P(Moves, ATopicIsErasedWhereItHasGone) {
  town.create(0, kA);
  ASSERT_TRUE(town.append(0, 10));
  ASSERT_TRUE(town.upload(kA));
  ASSERT_EQ(why(town.move(0, kB)), "");
  ASSERT_TRUE(town.append(0, 10));
  town.erase_topic(0);
  town.close(kB, 0);
  ASSERT_TRUE(town.world.wait(kB * Town::kShards,
                              town.brokers[kB]->storage->erase(town.shard(kB), stream_id(0))));
  ASSERT_TRUE(town.upload(kB));
  EXPECT_FALSE(in_directories_of(kB, 0));
  restart(kB);
  EXPECT_EQ(town.brokers[kB]->storage->stats().streams, 0u);
}

TEST_P(Moves, ManyGoInOneCall) {
  std::vector<Storage::Adoption> all;
  std::vector<uint32_t> indexes;
  for (uint32_t index = 0; index < 20; ++index) {
    town.create(index, kA);
    ASSERT_TRUE(town.append(index, static_cast<int>(index)));
    indexes.push_back(index);
    all.push_back({stream_id(index), *town.passport(kA, index)});
  }
  auto at =
      town.world.wait(kB * Town::kShards, town.brokers[kB]->storage->adopt(town.shard(kB), all));
  ASSERT_TRUE(at);
  ASSERT_EQ(why(town.commit(kB, *at, indexes)), "");
  for (const uint32_t index : indexes) {
    ASSERT_TRUE(town.open(kB, index));
    town.let_go(kA, index);
  }
  EXPECT_EQ(why(town.verify_all()), "");
  restart(kB);
  EXPECT_EQ(why(town.verify_all()), "");
}

TEST_P(Moves, WhatCannotBeAdoptedIsRefused) {
  town.create(0, kA);
  town.create(1, kB);
  ASSERT_TRUE(town.append(0, 5));
  const Slice passport = *town.passport(kA, 0);
  const auto code = [](const Result<Position>& result) {
    return result ? Code::cancelled : result.error().code;
  };
  EXPECT_EQ(code(town.adopt(kB, 2, passport)), Code::corrupt);
  EXPECT_EQ(code(town.adopt(kB, 0, passport.subslice(0, passport.size() - 1))), Code::corrupt);
  EXPECT_EQ(code(town.adopt(kB, 1, *town.passport(kB, 1))), Code::in_use);
  EXPECT_EQ(code(town.adopt(kA, 0, passport)), Code::in_use);
}

INSTANTIATE_TEST_SUITE_P(Logs, Moves, testing::Bool(),
                         [](const auto& of) { return of.param ? "objects" : "model"; });

INSTANTIATE_TEST_SUITE_P(Logs, MovesWithoutObjects, testing::Values(false),
                         [](const auto&) { return "model"; });

Passport sample() {
  Passport passport{.stream = stream_id(4),
                    .start = Offset(7),
                    .uploaded_end = Offset(20),
                    .epoch = Epoch(3),
                    .snapshot_end = Offset(25),
                    .snapshot = "state",
                    .extents = {},
                    .tail = {}};
  const ObjectId object{{BrokerId(1), Incarnation(2)}, 9};
  passport.extents = {{Offset(5), Offset(11), object, 600, 70, 80},
                      {Offset(11), Offset(20), object, 900, 71, 81}};
  for (int64_t base : {20, 22})
    passport.tail.push_back({.base = Offset(base),
                             .count = base == 20 ? 2u : 3u,
                             .epoch = Epoch(3),
                             .append_time_ms = 5,
                             .max_timestamp = 6,
                             .producer_id = 7,
                             .bytes = Slice::copy_of(as_bytes("batch"))});
  return passport;
}

TEST(Passports, ComeBackAsTheyWereAndNoFlippedBitIsAccepted) {
  const auto bytes = encode_passport(sample());
  ASSERT_TRUE(bytes);
  const auto again = decode_passport(*bytes);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->extents, sample().extents);
  EXPECT_EQ(again->snapshot, "state");
  EXPECT_EQ(again->end(), Offset(25));
  ASSERT_EQ(again->tail.size(), 2u);
  EXPECT_EQ(as_text(again->tail[1].bytes.bytes()), "batch");
  EXPECT_EQ(again->tail[1].producer_id, 7u);
  EXPECT_TRUE(again->tail[1].bytes.buffer().same_block(bytes->buffer()));
  for (size_t at = 0; at < bytes->size(); ++at) {
    std::string flipped = to_string(bytes->bytes());
    flipped[at] ^= 4;
    EXPECT_FALSE(decode_passport(Slice::copy_of(as_bytes(flipped)))) << at;
    EXPECT_FALSE(decode_passport(bytes->subslice(0, at))) << at;
  }
}

TEST(Passports, WithAHoleOrTooMuchAreNotMade) {
  const auto code = [](const Passport& passport) {
    const auto made = encode_passport(passport);
    return made ? Code::cancelled : made.error().code;
  };
  Passport hole = sample();
  hole.extents.erase(hole.extents.begin());
  EXPECT_EQ(code(hole), Code::corrupt);
  hole = sample();
  hole.tail.erase(hole.tail.begin());
  EXPECT_EQ(code(hole), Code::corrupt);
  hole = sample();
  hole.uploaded_end = Offset(21);
  EXPECT_EQ(code(hole), Code::corrupt);
  hole = sample();
  hole.snapshot_end = Offset(26);
  EXPECT_EQ(code(hole), Code::corrupt);
  Passport large = sample();
  large.tail.back().bytes = Slice(Buffer::allocate(kPassportTailBytesMax));
  std::memset(large.tail.back().bytes.buffer().data(), 0, kPassportTailBytesMax);
  EXPECT_EQ(code(large), Code::too_large);
  large = sample();
  large.snapshot.resize(kPassportBytesMax);
  EXPECT_EQ(code(large), Code::too_large);
}

}  // namespace
}  // namespace paceline::stream
