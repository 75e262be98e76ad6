#include <gmock/gmock.h>

#include "stream/test_house.h"

namespace paceline::stream {
namespace {

#define ASSERT_OK(...)                                       \
  do {                                                       \
    auto ok_ = (__VA_ARGS__);                                \
    ASSERT_TRUE(ok_.has_value()) << ok_.error().to_string(); \
  } while (false)

TEST(Storage, AStreamNobodyHasWrittenToIsEmptyFromZero) {
  House house(1);
  ASSERT_OK(house.start());
  auto stream = house.open(0);
  ASSERT_OK(stream);
  EXPECT_EQ((*stream)->start(), Offset(0));
  EXPECT_EQ((*stream)->end(), Offset(0));
  ReadRequest request{.from = Offset(0), .bytes_max = 100};
  auto read = house.world.wait(0, (*stream)->read(request));
  ASSERT_OK(read);
  EXPECT_TRUE(read->batches.empty());
  request.from = Offset(1);
  EXPECT_EQ(house.world.wait(0, (*stream)->read(request)).error().code, Code::out_of_range);
}

TEST(Storage, WhatWasAppendedIsReadFromTheCacheAndFromObjects) {
  House house(2);
  ASSERT_OK(house.start());
  for (uint32_t i = 0; i < 4; ++i) ASSERT_OK(house.open(i));
  for (int round = 0; round < 5; ++round) {
    for (uint32_t i = 0; i < 4; ++i) ASSERT_OK(house.append_now(i, 40));
    if (round % 2) ASSERT_OK(house.upload());
    for (uint32_t i = 0; i < 4; ++i) ASSERT_OK(house.verify(i));
  }
  EXPECT_GT(house.storage->stats().cache_misses, 0u);  // the log cache is smaller than the streams
  ASSERT_OK(house.upload());
  EXPECT_EQ(house.storage->stats().unuploaded_bytes, 0u);
  EXPECT_LE(house.storage->stats().log_cache_bytes, 30'000u);
  const CheckReport report = house.check_now();
  EXPECT_TRUE(report.ok()) << reasons(report);
  EXPECT_EQ(report.streams.size(), 4u);
  EXPECT_TRUE(report.orphans.empty());
}

// What a restart has to read is short in requests, too.
TEST(Storage, ManySmallSlotsOfTheLogAreUploadedBeforeTheirAge) {
  House house(20);
  house.use_object_wal();
  house.options.upload_bytes = 1 << 30;
  house.options.upload_age_ms = 3'600'000;
  house.options.upload_slots_max = 16;
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  ASSERT_OK(house.append_now(0, 12));
  house.world.run_for(std::chrono::seconds(10));
  EXPECT_EQ(house.storage->stats().uploads, 0u);
  for (int round = 0; round < 5; ++round) {
    ASSERT_OK(house.append_now(0, 16));
    house.world.run_for(std::chrono::seconds(10));
    EXPECT_EQ(house.storage->stats().uploads, static_cast<uint64_t>(round + 1));
  }
  size_t slots = 0;
  for (const auto& [key, body] : house.objects.bodies) slots += key.starts_with("wal/") ? 1 : 0;
  EXPECT_LT(slots, 32u) << "what is uploaded is trimmed";
  house.crash();
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  ASSERT_OK(house.verify(0));
}

TEST(Storage, AConfirmationChangesNothingAndStaysInTheLogNoLongerThanAnythingElse) {
  House house(21);
  house.use_object_wal();
  house.options.upload_slots_max = 16;
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  ASSERT_OK(house.append_now(0, 12));
  Stream& stream = *house.open_streams[0]->stream;
  for (int i = 0; i < 100; ++i) ASSERT_OK(house.world.wait(0, stream.confirm()));
  ASSERT_OK(house.verify(0));
  size_t slots = 0;
  for (const auto& [key, body] : house.objects.bodies) slots += key.starts_with("wal/") ? 1 : 0;
  EXPECT_LT(slots, 40u);
  house.crash();
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  ASSERT_OK(house.verify(0));
  const Lane lane = house.options.lane;
  EXPECT_TRUE(house.world.wait(0, house.log().seal(house.world.shard(0), lane, Position(0))));
  const auto sealed = house.world.wait(0, house.open_streams[0]->stream->confirm());
  ASSERT_FALSE(sealed);
  EXPECT_EQ(sealed.error().code, Code::sealed);
}

TEST(Storage, ABatchThatDoesNotFollowIsRefused) {
  House house(3);
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  ASSERT_OK(house.append_now(0, 3));
  std::vector<Batch> wrong{batch_at(0, 100, house.epoch)};
  EXPECT_EQ(house.world.wait(0, house.open_streams[0]->stream->append(wrong)).error().code,
            Code::conflict);
  ASSERT_OK(house.append_now(0, 1));
}

TEST(Storage, TheTailOfACrashIsThereAfterTheRestart) {
  House house(4);
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  ASSERT_OK(house.append_now(0, 30));
  const Offset end = house.open_streams[0]->stream->end();
  house.crash();
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  EXPECT_EQ(house.open_streams[0]->stream->end(), end);
  ASSERT_OK(house.verify(0));
  // Nothing is appended, and yet the adopted lane is uploaded, marked and removed.
  house.world.run_for(std::chrono::seconds(2));
  EXPECT_FALSE(house.wal.lanes.contains({House::kBroker, Incarnation(1)}));
  EXPECT_TRUE(house.meta.entries.contains(
      meta::done_key({House::kBroker, Incarnation(1)}, {House::kBroker, Incarnation(2)})));
  house.crash();
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  EXPECT_EQ(house.open_streams[0]->stream->end(), end);
  ASSERT_OK(house.verify(0));
}

// The store does not know yet what was put a moment ago, or damages it on the way.
TEST(Storage, AStartLooksAgainForADirectoryThatIsMissingOrDamaged) {
  House house(4);
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  ASSERT_OK(house.append_now(0, 30));
  house.world.run_for(std::chrono::seconds(30));
  ASSERT_FALSE(house.objects.bodies.empty());
  for (uint32_t TestObjects::* fault : {&TestObjects::unknown_gets, &TestObjects::damaged_gets}) {
    house.crash();
    house.objects.*fault = 3;
    ASSERT_OK(house.start());
    EXPECT_EQ(house.objects.*fault, 0u);
    ASSERT_OK(house.open(0));
    ASSERT_OK(house.verify(0));
  }
  house.crash();
  house.objects.damaged_gets = 1000;
  EXPECT_FALSE(house.start()) << "it is damaged for good";
}

TEST(Storage, AClosedStreamOpensAgainOnAnotherShardWithItsState) {
  House house(5);
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(1));
  ASSERT_OK(house.append_now(1, 50));
  house.close(1);
  ASSERT_OK(house.upload());
  ASSERT_OK(house.open(1));
  ASSERT_OK(house.verify(1));
  EXPECT_EQ(house.open(1).error().code, Code::in_use);
}

TEST(Storage, TrimmedObjectsAreDeletedAfterTheGraceAndTheStartSurvives) {
  House house(6);
  house.options.compaction_bytes = 0;
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  for (int i = 0; i < 4; ++i) {
    ASSERT_OK(house.append_now(0, 40));
    ASSERT_OK(house.upload());
  }
  Stream& stream = *house.open_streams[0]->stream;
  const size_t before = house.objects.bodies.size();
  RetentionLimits limits{.older_than_ms = {}, .bytes_max = stream.bytes() / 3};
  const Offset start = stream.retention_start(limits);
  EXPECT_GT(start, Offset(0));
  EXPECT_LT(start, stream.end());
  ASSERT_OK(house.world.wait(0, stream.trim(start)));
  EXPECT_GE(stream.bytes(), *limits.bytes_max);
  ASSERT_OK(house.append_now(0, 5));
  ASSERT_OK(house.upload());
  EXPECT_GE(house.objects.bodies.size(), before);  // readers may still hold them
  house.world.run_for(std::chrono::seconds(10));
  EXPECT_LT(house.objects.bodies.size(), before);
  EXPECT_GT(house.events.counts["object.deleted"], 0);
  house.crash();
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  EXPECT_EQ(house.open_streams[0]->stream->start(), start);
  ASSERT_OK(house.verify(0));
  const CheckReport report = house.check_now();
  EXPECT_TRUE(report.ok()) << reasons(report);
}

TEST(Storage, AnErasedStreamStaysErasedAndItsObjectsGo) {
  House house(7);
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  ASSERT_OK(house.open(1));
  ASSERT_OK(house.append_now(0, 20));
  ASSERT_OK(house.upload());
  ASSERT_OK(house.append_now(0, 20));
  ASSERT_OK(house.append_now(1, 20));
  ASSERT_OK(house.world.wait(0, house.storage->erase(house.world.shard(0), stream_id(0))));
  EXPECT_EQ(house.append_now(0, 1).error().code, Code::not_found);
  for (bool uploaded : {false, true}) {
    if (uploaded) ASSERT_OK(house.upload());
    house.crash();
    ASSERT_OK(house.start());
    ASSERT_OK(house.open(0));
    EXPECT_EQ(house.open_streams[0]->stream->end(), Offset(0));
    ASSERT_OK(house.open(1));
    ASSERT_OK(house.verify(1));
    house.close(0);
  }
}

TEST(Storage, AStoreThatFailsForAWhileDelaysUploadsAndLosesNothing) {
  House house(8);
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  house.objects.down = true;
  Result<void> appended;
  int batches = 0;
  while (batches < 3000 && (appended = house.append_now(0, 1))) ++batches;
  // Back-pressure at last, and no halt.
  ASSERT_FALSE(appended.has_value());
  EXPECT_EQ(appended.error().code, Code::unavailable);
  EXPECT_GT(house.storage->stats().upload_failures, 0u);
  house.objects.down = false;
  house.world.run_for(std::chrono::seconds(20));
  EXPECT_EQ(house.storage->stats().unuploaded_bytes, 0u);
  ASSERT_OK(house.append_now(0, 5));
  ASSERT_OK(house.verify(0));
}

TEST(Storage, TimeLookupsFindTheFirstBatch) {
  House house(9);
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(house.append_now(0, 30));
    if (i < 2) ASSERT_OK(house.upload());
  }
  Stream& stream = *house.open_streams[0]->stream;
  for (int64_t base = 0; base < stream.end().value; base += count_at(base)) {
    auto found = house.world.wait(0, stream.first_batch_since(5000 + base));
    ASSERT_OK(found);
    ASSERT_TRUE(found->has_value());
    EXPECT_EQ((*found)->base, Offset(base));
  }
  EXPECT_FALSE(house.world.wait(0, stream.first_batch_since(1'000'000))->has_value());
  auto last = house.world.wait(0, stream.batch_of_max_timestamp());
  ASSERT_OK(last);
  EXPECT_EQ((*last)->end(), stream.end());
  ASSERT_OK(house.upload());
  EXPECT_EQ((*house.world.wait(0, stream.batch_of_max_timestamp()))->end(), stream.end());
}

TEST(Storage, ADamagedWalGroupTakesStreamsOfflineInsteadOfShorteningThem) {
  House house(10);
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  ASSERT_OK(house.append_now(0, 20));
  house.crash();
  house.wal.lanes.at({House::kBroker, Incarnation(1)})->damaged.insert(10);
  for (int i = 0; i < 2; ++i) {  // and it stays so
    ASSERT_OK(house.start());
    auto opened = house.open(0);
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code, Code::corrupt);
    EXPECT_THAT(opened.error().message, testing::HasSubstr("3.1"));
    house.world.run_for(std::chrono::seconds(5));
    EXPECT_TRUE(house.wal.lanes.contains({House::kBroker, Incarnation(1)}));
    EXPECT_FALSE(house.check_now().ok());
    house.crash();
  }
}

// While the first batch of a new term is on its way, a trim must not be written as one of the term
// before: recovery would pass it over as stale.
TEST(Storage, ATrimBehindTheFirstBatchOfATermIsNotForgotten) {
  House house(14);
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  ASSERT_OK(house.append_now(0, 5));
  house.crash();
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  int done = 0;
  auto appending = [](House& into, int& count) -> Task<void> {
    auto appended = co_await into.append(0, 1);
    EXPECT_TRUE(appended.has_value());
    ++count;
  };
  auto trimming = [](Stream& stream, int& count) -> Task<void> {
    auto trimmed = co_await stream.trim(Offset(count_at(0)));
    EXPECT_TRUE(trimmed.has_value());
    ++count;
  };
  house.world.shard(0).spawn(appending(house, done));
  house.world.shard(0).spawn(trimming(*house.open_streams[0]->stream, done));
  ASSERT_TRUE(house.world.run_until([&] { return done == 2; }));
  house.crash();
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  EXPECT_EQ(house.open_streams[0]->stream->start(), Offset(count_at(0)));
}

TEST(Storage, ADamagedGroupTakesAlongOnlyTheStreamsThatWereInIt) {
  House house(12);
  ASSERT_OK(house.start());
  for (uint32_t i = 0; i < 3; ++i) ASSERT_OK(house.open(i));
  ASSERT_OK(house.append_now(0, 10));
  ASSERT_OK(house.append_now(1, 10));
  auto trimming = house.open_streams[0]->stream->trim(Offset(count_at(0)));
  ASSERT_OK(house.world.wait(0, std::move(trimming)));
  ASSERT_OK(house.append_now(2, 1));  // nothing else is known of this one
  house.crash();
  auto& log = *house.wal.lanes.at({House::kBroker, Incarnation(1)});
  // The last batch of stream 1, the trim, the only batch of stream 2.
  for (size_t back = 1; back <= 3; ++back) log.marked.insert(log.groups.size() - back);
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(house.start());
    ASSERT_OK(house.open(0));
    EXPECT_EQ(house.open_streams[0]->stream->start(), Offset(count_at(0)));
    EXPECT_EQ(house.open(1).error().code, Code::corrupt);
    EXPECT_THAT(house.open(1).error().message, testing::HasSubstr("a group is damaged"));
    EXPECT_EQ(house.open(2).error().code, Code::corrupt);
    EXPECT_FALSE(house.check_now().ok());
    ASSERT_OK(house.append_now(0, 3));
    if (i > 0) ASSERT_OK(house.upload());  // from then on a directory says it
    house.crash();
  }
  EXPECT_TRUE(house.wal.lanes.contains({House::kBroker, Incarnation(1)})) << "it is the evidence";
}

// What objects hold already is not needed: damage to it harms nobody.
TEST(Storage, DamageBelowWhatIsUploadedHarmsNobody) {
  House house(13);
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  ASSERT_OK(house.append_now(0, 10));
  ASSERT_OK(house.upload());
  ASSERT_OK(house.append_now(0, 10));
  house.crash();
  auto& log = *house.wal.lanes.at({House::kBroker, Incarnation(1)});
  log.marked.insert(3);
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  ASSERT_OK(house.verify(0));
  EXPECT_TRUE(house.check_now().ok());
}

TEST(Storage, AGapInTheWalTakesOneStreamOffline) {
  House house(11);
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  ASSERT_OK(house.open(1));
  ASSERT_OK(house.append_now(0, 10));
  ASSERT_OK(house.append_now(1, 10));
  house.crash();
  auto& groups = house.wal.lanes.at({House::kBroker, Incarnation(1)})->groups;
  groups.erase(groups.begin() + 4);
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(house.start());
    EXPECT_EQ(house.open(0).error().code, Code::corrupt);
    ASSERT_OK(house.open(1));
    ASSERT_OK(house.verify(1));
    ASSERT_OK(house.append_now(1, 3));
    if (i > 0) ASSERT_OK(house.upload());
    EXPECT_TRUE(house.wal.lanes.contains({House::kBroker, Incarnation(1)}));  // evidence
    house.crash();
  }
}

TEST(Storage, AnyFlippedByteOfAnObjectIsDetectedAndNeverServed) {
  House house(12);
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  ASSERT_OK(house.append_now(0, 30));
  ASSERT_OK(house.upload());
  house.crash();
  const std::string key = house.objects.bodies.begin()->first;
  const auto bodies = house.objects.bodies;
  const auto entries = house.meta.entries;
  const std::string& body = bodies.at(key);
  int failed = 0;
  for (size_t at = 0; at < body.size(); at += 1 + at % 7) {
    house.objects.bodies[key][at] = static_cast<char>(body[at] ^ 0x10);
    EXPECT_FALSE(house.check_now().ok()) << "byte " << at;
    auto started = house.start();
    if (!started) {
      EXPECT_EQ(started.error().code, Code::corrupt) << started.error().message;
      ++failed;
    } else {
      auto opened = house.open(0);
      auto verified = opened ? house.verify(0) : Result<void>(fail(opened.error()));
      // The trailer is for audits; everything else is on the way of a reader.
      if (at + 12 < body.size()) {
        ASSERT_FALSE(verified.has_value()) << "byte " << at;
        EXPECT_EQ(verified.error().code, Code::corrupt) << verified.error().message;
        EXPECT_THAT(verified.error().message, testing::Not(testing::HasSubstr("another batch")));
      }
    }
    house.crash();
    house.objects.bodies = bodies;
    house.meta.entries = entries;
    house.wal.lanes.erase(house.options.lane);
    house.epoch = Epoch(1);
  }
  EXPECT_GT(failed, 0);
}

TEST(Storage, TenThousandIdleStreamsAreRecoveredQuickly) {
  House house(13, 1);
  house.options.upload_bytes = 1 << 30;
  house.options.upload_age_ms = 1'000'000;
  ASSERT_OK(house.start());
  const Lane lane{House::kBroker, Incarnation(1)};
  auto log = house.wal.lanes.at(lane);
  for (uint32_t i = 0; i < 10'000; ++i) {
    const Batch batch = batch_at(i, 0, house.epoch);
    wal::Group group;
    group.entries.push_back(
        {{.stream = stream_id(i), .epoch = house.epoch, .base = batch.base, .count = batch.count},
         batch.bytes});
    group.end = Position(i + 1);
    log->groups.push_back(std::move(group));
  }
  house.crash();
  ASSERT_OK(house.start());
  ASSERT_OK(house.upload());
  house.crash();
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_OK(house.start());
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(house.storage->stats().streams, 10'000u);
  EXPECT_LT(took, std::chrono::milliseconds(1000));
  RecordProperty("recover_ms", static_cast<int>(took / std::chrono::milliseconds(1)));
}

// A bite is half a block, and between two bites of a reader all others have theirs.
TEST(Storage, ManyReadersInSmallBitesFetchEachBlockOnce) {
  constexpr uint32_t kStreams = 8;
  House house(23, 1);
  house.options.upload_bytes = 400'000;
  house.options.compaction_bytes = 0;
  house.options.log_cache_bytes = 8'000'000;
  house.options.block_cache_bytes = 400'000;
  ASSERT_OK(house.start());
  for (uint32_t i = 0; i < kStreams; ++i) {
    ASSERT_OK(house.open(i));
    ASSERT_OK(house.append_now(i, 1200));
  }
  ASSERT_OK(house.upload());
  house.crash();
  ASSERT_OK(house.start());
  uint64_t stored = 0;
  for (const auto& [key, body] : house.objects.bodies) stored += body.size();
  for (uint32_t i = 0; i < kStreams; ++i) ASSERT_OK(house.open(i));
  std::vector<Offset> at(kStreams);
  uint64_t read = 0;
  const uint64_t got_before = house.objects.got_bytes;
  for (bool more = true; more;) {
    more = false;
    for (uint32_t i = 0; i < kStreams; ++i) {
      Stream& stream = *house.open_streams[i]->stream;
      if (at[i] == stream.end()) continue;
      more = true;
      const ReadRequest request{.from = at[i], .bytes_max = 1000};
      auto result = house.world.wait(0, stream.read(request));
      ASSERT_OK(result);
      for (const Batch& batch : result->batches) read += batch.bytes.size();
      at[i] = result->batches.back().end();
    }
  }
  EXPECT_GT(read, 6 * house.options.block_cache_bytes);
  EXPECT_LE(house.objects.got_bytes - got_before,
            stored + stored / 4);  // indexes come more than once
}

TEST(Storage, ReadAllVisitsObjectsAndTail) {
  House house(14);
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  ASSERT_OK(house.append_now(0, 20));
  ASSERT_OK(house.upload());
  ASSERT_OK(house.append_now(0, 20));
  Offset next;
  auto visit = [&](const Batch& batch) -> Result<void> {
    EXPECT_EQ(batch.base, next);
    EXPECT_EQ(as_text(batch.bytes.bytes()), payload_at(0, batch.base.value));
    next = batch.end();
    return {};
  };
  ASSERT_OK(house.world.wait(0, read_all(house.inspected(), stream_id(0), visit)));
  EXPECT_EQ(next, house.open_streams[0]->stream->end());
}

TEST(Storage, ASealedLaneEndsTheUploadsAndIsTold) {
  House house(15);
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  ASSERT_OK(house.append_now(0, 5));
  std::optional<Error> told;
  house.storage->on_lost([&](Error error) { told = error; });
  const std::string key = meta::lane_key(house.options.lane);
  meta::LaneRecord sealed;
  sealed.sealed = true;
  house.meta.put(key, meta::encode(sealed));
  house.world.run_for(std::chrono::seconds(2));
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(told->code, Code::fenced);
  EXPECT_EQ(house.storage->stats().uploads, 0u);
}

TEST(Storage, StopUploadsWhatIsLeft) {
  House house(16);
  ASSERT_OK(house.start());
  ASSERT_OK(house.open(0));
  ASSERT_OK(house.append_now(0, 5));
  const env::Instant deadline = house.world.now() + std::chrono::seconds(5);
  house.world.wait_void(0, house.storage->stop(house.world.shard(0), deadline));
  EXPECT_EQ(house.storage->stats().unuploaded_bytes, 0u);
  EXPECT_EQ(house.storage->stats().uploads, 1u);
}

}  // namespace
}  // namespace paceline::stream
