#include "stream/compaction_plan.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "env/random.h"

namespace paceline::stream {
namespace {

constexpr uint64_t kKib = 1024;
constexpr uint64_t kMib = 1024 * kKib;

StreamId stream_at(uint32_t index) {
  return {Uuid{{7}}, index};
}
ObjectId object_at(uint64_t number) {
  return {{BrokerId(1), Incarnation(1)}, number};
}

// A broker's checkpoint in small: uploads come, plans are carried out.
class Fleet {
 public:
  CompactionLimits limits;
  CompactionInput input;
  uint64_t moved_bytes = 0;
  uint64_t uploaded_bytes = 0;

  // One object with so many bytes of each stream.
  void upload(const std::map<uint32_t, uint64_t>& bytes) {
    const ObjectId id = object_at(next_object_++);
    for (const auto& [index, count] : bytes) add(index, count, id);
  }
  void add(uint32_t index, uint64_t bytes, ObjectId id) {
    CompactionInput::Stream& stream = at(index);
    const Offset base = stream.extents.empty() ? Offset(0) : stream.extents.back().end;
    stream.extents.push_back(
        {.base = base, .end = base + static_cast<int64_t>(bytes), .object = id, .bytes = bytes});
    input.made_bytes[id] += bytes;
    uploaded_bytes += bytes;
  }
  CompactionInput::Stream& at(uint32_t index) {
    const auto place =
        std::ranges::lower_bound(input.streams, stream_at(index), {}, &CompactionInput::Stream::id);
    if (place != input.streams.end() && place->id == stream_at(index)) return *place;
    CompactionInput::Stream stream;
    stream.id = stream_at(index);
    return *input.streams.insert(place, stream);
  }
  void carry_out(const std::vector<CompactionItem>& items) {
    for (const CompactionItem& item : items) {
      const ObjectId id = object_at(next_object_++);
      for (const CompactionRun& run : item.runs) {
        ASSERT_FALSE(run.extents.empty());
        std::vector<Extent>& extents = at(run.stream.index).extents;
        const auto from = std::ranges::find(extents, run.extents.front());
        ASSERT_LE(run.extents.size(), static_cast<size_t>(extents.end() - from));
        ASSERT_TRUE(std::equal(run.extents.begin(), run.extents.end(), from))
            << "neighbours only, each once";
        Extent merged = run.extents.front();
        merged.end = run.extents.back().end;
        merged.bytes = run.bytes;
        merged.object = id;
        extents.insert(extents.erase(from, from + static_cast<ptrdiff_t>(run.extents.size())),
                       merged);
        input.made_bytes[id] += run.bytes;
        moved_bytes += run.bytes;
      }
      EXPECT_LE(item.bytes, limits.object_bytes_max);
    }
  }
  // Plans until nothing is left to do; the number of rounds.
  int settle() {
    for (int round = 0;; ++round) {
      const auto items = plan_compaction(input, limits);
      if (items.empty()) return round;
      carry_out(items);
      if (testing::Test::HasFatalFailure() || round > 50) return -1;
    }
  }
  size_t object_count() const {
    std::set<ObjectId> live;
    for (const auto& stream : input.streams)
      for (const Extent& extent : stream.extents) live.insert(extent.object);
    return live.size();
  }
  uint64_t live_bytes() const {
    uint64_t bytes = 0;
    for (const auto& stream : input.streams)
      for (const Extent& extent : stream.extents) bytes += extent.bytes;
    return bytes;
  }
  uint64_t kept_bytes() const {
    std::set<ObjectId> live;
    for (const auto& stream : input.streams)
      for (const Extent& extent : stream.extents) live.insert(extent.object);
    uint64_t bytes = 0;
    for (const ObjectId& id : live) bytes += input.made_bytes.at(id);
    return bytes;
  }

 private:
  uint64_t next_object_ = 1;
};

TEST(CompactionPlan, FewExtentsAreLeftAlone) {
  Fleet fleet;
  EXPECT_TRUE(plan_compaction(fleet.input, fleet.limits).empty());
  for (int i = 0; i < 20; ++i) fleet.upload({{1, 64 * kKib}, {2, kKib}});
  EXPECT_TRUE(plan_compaction(fleet.input, fleet.limits).empty());
}

TEST(CompactionPlan, OneBusyStreamsObjectsAreLongAlready) {
  Fleet fleet;
  for (int i = 0; i < 300; ++i) fleet.upload({{1, 64 * kMib}});
  EXPECT_TRUE(plan_compaction(fleet.input, fleet.limits).empty());
}

TEST(CompactionPlan, LongRunsBecomeStreamObjectsAndTheRestSharesOne) {
  Fleet fleet;
  for (int i = 0; i < 64; ++i)
    fleet.upload({{1, kMib}, {2, 100 * kKib}, {3, 100 * kKib}, {4, kKib}});
  const auto items = plan_compaction(fleet.input, fleet.limits);
  ASSERT_EQ(items.size(), 2u);
  const auto own = std::ranges::find(items, 1u, [](const auto& item) { return item.runs.size(); });
  ASSERT_NE(own, items.end());
  EXPECT_EQ(own->runs.front().stream, stream_at(1));
  EXPECT_EQ(own->bytes, 64 * kMib);
  const auto shared =
      std::ranges::find(items, 3u, [](const auto& item) { return item.runs.size(); });
  ASSERT_NE(shared, items.end());
  EXPECT_EQ(shared->runs.front().extents.size(), 64u);
  EXPECT_EQ(fleet.settle(), 1);
  EXPECT_EQ(fleet.object_count(), 2u);
}

// A stream that wrote once long ago would keep a whole object.
TEST(CompactionPlan, WhatIsLeftInAnObjectThatLosesMostMovesOut) {
  Fleet fleet;
  for (int i = 0; i < 64; ++i)
    fleet.upload({{1, kMib}, {static_cast<uint32_t>(100 + i), 10 * kKib}});
  EXPECT_GT(fleet.settle(), 0);
  EXPECT_LE(fleet.object_count(), 2u);
}

TEST(CompactionPlan, AnObjectWhoseTopicsAreDeletedIsLeft) {
  Fleet fleet;
  fleet.upload({{1, 40 * kMib}, {2, 20 * kMib}});
  fleet.at(1).extents.clear();
  const auto items = plan_compaction(fleet.input, fleet.limits);
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].bytes, 20 * kMib);
  EXPECT_EQ(fleet.settle(), 1);
}

TEST(CompactionPlan, ManySmallObjectsBecomeOne) {
  Fleet fleet;
  for (uint32_t i = 0; i < 64; ++i) fleet.upload({{i, kKib}});
  EXPECT_EQ(fleet.settle(), 1);
  EXPECT_EQ(fleet.object_count(), 1u);
}

TEST(CompactionPlan, AnOfflineStreamStaysWhereItIs) {
  Fleet fleet;
  for (int i = 0; i < 64; ++i) fleet.upload({{1, kMib}, {2, kMib}});
  fleet.at(1).movable = false;
  const std::vector<Extent> before = fleet.at(1).extents;
  EXPECT_GT(fleet.settle(), 0);
  EXPECT_EQ(fleet.at(1).extents, before);
}

// Neighbours with a gap between them: the middle was moved before, or is long.
TEST(CompactionPlan, RunsAreOfNeighboursOnly) {
  Fleet fleet;
  fleet.limits.fan_in = 4;
  for (int i = 0; i < 4; ++i) fleet.upload({{1, kKib}});
  fleet.upload({{1, 30 * kMib}});
  for (int i = 0; i < 4; ++i) fleet.upload({{1, kKib}});
  const auto items = plan_compaction(fleet.input, fleet.limits);
  ASSERT_EQ(items.size(), 1u);
  ASSERT_EQ(items[0].runs.size(), 2u);
  EXPECT_LT(items[0].runs[0].extents.back().end, items[0].runs[1].extents.front().base);
}

// What a long life costs: bytes moved, extents and objects left, space held.
TEST(CompactionPlan, ALongLifeMovesEachByteAFewTimes) {
  for (uint32_t streams : {1u, 8u, 100u, 1000u}) {
    Fleet fleet;
    for (int i = 0; i < 1200; ++i) {
      std::map<uint32_t, uint64_t> bytes;
      for (uint32_t s = 0; s < streams; ++s) bytes[s] = 64 * kMib / streams;
      fleet.upload(bytes);
      if (i % 16 == 0) {
        fleet.carry_out(plan_compaction(fleet.input, fleet.limits));
        ASSERT_FALSE(HasFatalFailure());
      }
    }
    ASSERT_GE(fleet.settle(), 0);
    EXPECT_LE(fleet.moved_bytes, fleet.uploaded_bytes * 11 / 10) << streams;
    size_t extents = 0;
    for (const auto& stream : fleet.input.streams) extents += stream.extents.size();
    // Long ones, and what waits for its neighbours.
    EXPECT_LE(extents, fleet.uploaded_bytes / fleet.limits.long_bytes() + 70 * streams) << streams;
    EXPECT_LE(fleet.object_count(), 1200u * 4) << streams;
    EXPECT_LE(fleet.kept_bytes(), fleet.live_bytes() * 2);
  }
}

// Streams of all speeds, trims and deletions: planning ends, and space and extents stay bounded.
TEST(CompactionPlan, AnyLifeSettles) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    env::Random random(seed);
    Fleet fleet;
    fleet.limits = {.object_bytes_max = 64 * kKib, .fan_in = 4};
    const auto streams = static_cast<uint32_t>(1 + random.below(30));
    for (int i = 0; i < 400; ++i) {
      std::map<uint32_t, uint64_t> bytes;
      for (uint32_t s = 0; s < streams; ++s)
        if (random.below(s + 1) == 0) bytes[s] = 1 + random.below(10'000 / (s + 1));
      fleet.upload(bytes);
      std::vector<Extent>& trimmed = fleet.at(static_cast<uint32_t>(random.below(streams))).extents;
      trimmed.erase(trimmed.begin(),
                    trimmed.begin() + static_cast<ptrdiff_t>(random.below(trimmed.size() + 1) / 4));
      if (random.below(100) == 0)
        fleet.at(static_cast<uint32_t>(random.below(streams))).extents.clear();
      if (random.below(8) == 0) fleet.carry_out(plan_compaction(fleet.input, fleet.limits));
      ASSERT_FALSE(HasFatalFailure());
    }
    ASSERT_GE(fleet.settle(), 0) << "it never ends";
    EXPECT_LE(fleet.kept_bytes(), fleet.live_bytes() * 2 + 64 * kKib);
    for (const auto& stream : fleet.input.streams) {
      for (size_t i = 1; i < stream.extents.size(); ++i)
        ASSERT_EQ(stream.extents[i].base, stream.extents[i - 1].end);
    }
  }
}

}  // namespace
}  // namespace paceline::stream
