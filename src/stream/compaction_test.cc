#include <gmock/gmock.h>

#include "stream/test_house.h"

namespace paceline::stream {
namespace {

#define ASSERT_OK(...)                                       \
  do {                                                       \
    auto ok_ = (__VA_ARGS__);                                \
    ASSERT_TRUE(ok_.has_value()) << ok_.error().to_string(); \
  } while (false)

std::set<std::string> names(const TestObjects& objects) {
  std::set<std::string> all;
  for (const auto& [key, body] : objects.bodies) all.insert(key);
  return all;
}

// A little of each stream in each of `uploads` objects.
void upload_many(House& house, int uploads, uint32_t streams, int batches = 2) {
  for (int i = 0; i < uploads; ++i) {
    for (uint32_t s = 0; s < streams; ++s) ASSERT_OK(house.append_now(s, batches));
    ASSERT_OK(house.upload());
  }
}

void verify_all(House& house, uint32_t streams) {
  for (uint32_t s = 0; s < streams; ++s) {
    auto verified = house.verify(s);
    ASSERT_TRUE(verified.has_value()) << "stream " << s << ": " << verified.error().to_string();
  }
  const CheckReport report = house.check_now();
  ASSERT_TRUE(report.ok()) << reasons(report);
}

TEST(Compaction, ManySmallExtentsBecomeFew) {
  House house(1);
  house.options.compaction_object_bytes = house.options.compaction_bytes = 64'000;
  ASSERT_OK(house.start());
  for (uint32_t s = 0; s < 6; ++s) ASSERT_OK(house.open(s));
  upload_many(house, 40, 6);
  house.world.run_for(std::chrono::seconds(30));
  EXPECT_GT(house.storage->stats().compactions, 0u);
  EXPECT_GT(house.storage->stats().compacted_bytes, 0u);
  EXPECT_LT(house.objects.bodies.size(), 20u);
  verify_all(house, 6);
  EXPECT_TRUE(house.check_now().orphans.empty());
  // Whoever comes next finds the same, and goes on.
  house.crash();
  ASSERT_OK(house.start());
  for (uint32_t s = 0; s < 6; ++s) ASSERT_OK(house.open(s));
  verify_all(house, 6);
  upload_many(house, 5, 6);
  house.world.run_for(std::chrono::seconds(30));
  verify_all(house, 6);
}

TEST(Compaction, ALongRunGetsAnObjectOfItsOwn) {
  House house(2);
  ASSERT_OK(house.start());
  for (uint32_t s = 0; s < 2; ++s) ASSERT_OK(house.open(s));
  for (int i = 0; i < 30; ++i) {
    ASSERT_OK(house.append_now(0, 8));
    ASSERT_OK(house.append_now(1, 1));
    ASSERT_OK(house.upload());
  }
  house.world.run_for(std::chrono::seconds(30));
  verify_all(house, 2);
  size_t own = 0;
  for (const auto& [key, entry] : house.meta.entries) {
    const auto parsed = meta::parse_lane_key(key);
    if (!parsed || parsed->kind != meta::LaneKey::Kind::object) continue;
    const ObjectId id{parsed->lane, parsed->number};
    const std::string& body = house.objects.bodies.at(body_key(id));
    auto header = decode_header(id, as_bytes(body).first(kHeaderBytes));
    ASSERT_OK(header);
    auto index =
        decode_index(id, as_bytes(body).subspan(header->index_position, header->index_bytes));
    ASSERT_OK(index);
    const bool one_stream = !index->of_stream(stream_id(0)).empty() &&
                            index->of_stream(stream_id(0)).size() == index->blocks.size();
    if (one_stream && header->index_position > house.options.compaction_object_bytes / 4) ++own;
  }
  EXPECT_GT(own, 0u);
}

// Streams that nobody has open, in objects of lanes that are sealed.
TEST(Compaction, ClosedStreamsOfSealedLanesAreCompactedToo) {
  House house(3);
  for (int life = 0; life < 8; ++life) {
    ASSERT_OK(house.start());
    for (uint32_t s = 0; s < 4; ++s) ASSERT_OK(house.open(s));
    house.options.compaction_bytes = 0;  // from the next life on
    upload_many(house, 3, 4);
    house.crash();
  }
  house.options.compaction_bytes = 40'000;
  ASSERT_OK(house.start());
  const size_t before = house.objects.bodies.size();
  EXPECT_GE(before, 20u);
  house.world.run_for(std::chrono::seconds(30));
  EXPECT_LT(house.objects.bodies.size(), before / 2);
  for (uint32_t s = 0; s < 4; ++s) ASSERT_OK(house.open(s));
  verify_all(house, 4);
}

// What was made of extents that are trimmed by now counts for nothing.
TEST(Compaction, AStreamTrimmedOrErasedMeanwhileComesOutRight) {
  House house(4);
  house.options.upload_age_ms = 1'000'000;  // checkpoints when we say so
  ASSERT_OK(house.start());
  for (uint32_t s = 0; s < 4; ++s) ASSERT_OK(house.open(s));
  upload_many(house, 9, 4);
  ASSERT_TRUE(house.world.run_until([&] { return house.storage->stats().compactions > 0; }));
  house.world.run_for(std::chrono::seconds(5));
  // All is put, nothing is committed: one stream goes, one loses its first half, one all it has.
  ASSERT_OK(house.world.wait(0, house.storage->erase(house.world.shard(0), stream_id(0))));
  Stream& half = *house.open_streams[1]->stream;
  Offset middle(0);
  while (middle.value < half.end().value / 2) middle = middle + count_at(middle.value);
  ASSERT_OK(house.world.wait(1, half.trim(middle)));
  Stream& all = *house.open_streams[2]->stream;
  ASSERT_OK(house.world.wait(0, all.trim(all.end())));
  for (int i = 0; i < 4; ++i) {
    ASSERT_OK(house.append_now(1, 2));
    ASSERT_OK(house.append_now(2, 2));
    ASSERT_OK(house.upload());
  }
  house.close(0);
  EXPECT_EQ(half.start(), middle);
  house.world.run_for(std::chrono::seconds(10));
  for (uint32_t s = 1; s < 4; ++s) ASSERT_OK(house.verify(s));
  EXPECT_TRUE(house.check_now().ok()) << reasons(house.check_now());
  house.crash();
  ASSERT_OK(house.start());
  for (uint32_t s = 0; s < 4; ++s) ASSERT_OK(house.open(s));
  EXPECT_EQ(house.open_streams[0]->stream->end(), Offset(0));
  EXPECT_EQ(house.open_streams[1]->stream->start(), middle);
  for (uint32_t s = 1; s < 4; ++s) ASSERT_OK(house.verify(s));
}

// Readers elsewhere may hold extents of the checkpoint before: its objects stay for the grace.
TEST(Compaction, WhatWasReplacedStaysForTheGraceAndThenGoes) {
  House house(5);
  house.options.delete_grace_ms = 60'000;
  house.options.upload_age_ms = 1'000'000;
  ASSERT_OK(house.start());
  for (uint32_t s = 0; s < 4; ++s) ASSERT_OK(house.open(s));
  upload_many(house, 9, 4);
  house.world.run_for(std::chrono::seconds(5));
  const std::set<std::string> before = names(house.objects);
  ASSERT_GT(house.storage->stats().compactions, 0u);
  // Nobody has a checkpoint without them yet.
  EXPECT_EQ(house.events.counts["object.marked"], 0);
  upload_many(house, 4, 4);
  house.world.run_for(std::chrono::seconds(50));
  EXPECT_GT(house.events.counts["object.marked"], 0);
  EXPECT_THAT(names(house.objects), testing::IsSupersetOf(before));
  house.world.run_for(std::chrono::seconds(30));
  EXPECT_THAT(names(house.objects), testing::Not(testing::IsSupersetOf(before)));
  verify_all(house, 4);
}

TEST(Compaction, ADamagedSourceIsLeftAloneAndTold) {
  House house(6);
  house.options.log_cache_bytes = 1'000'000;
  ASSERT_OK(house.start());
  for (uint32_t s = 0; s < 4; ++s) ASSERT_OK(house.open(s));
  ASSERT_OK(house.append_now(0, 2));
  ASSERT_OK(house.upload());
  house.objects.bodies.begin()->second[kHeaderBytes + 5] ^= 1;
  upload_many(house, 9, 4);
  house.world.run_for(std::chrono::seconds(10));
  EXPECT_GT(house.events.counts["compaction.failed"], 0);
  EXPECT_GT(house.storage->stats().compaction_failures, 0u);
  EXPECT_FALSE(house.check_now().ok());
}

// A store that keeps what a crash has left in parts.
class InParts final : public object::Store {
 public:
  explicit InParts(object::Store& store) : store_(store) {}
  std::map<std::string, object::Unfinished> parts;

  Task<Result<void>> put_if_absent(env::Shard& shard, std::string key,
                                   std::vector<Slice> body) override {
    return store_.put_if_absent(shard, std::move(key), std::move(body));
  }
  Task<Result<Slice>> get(env::Shard& shard, std::string key, uint64_t from,
                          uint64_t bytes) override {
    return store_.get(shard, std::move(key), from, bytes);
  }
  Task<Result<uint64_t>> size(env::Shard& shard, std::string key) override {
    return store_.size(shard, std::move(key));
  }
  Task<Result<void>> remove(env::Shard& shard, std::vector<std::string> keys) override {
    return store_.remove(shard, std::move(keys));
  }
  Task<Result<object::ListPage>> list(env::Shard& shard, std::string prefix, std::string after,
                                      size_t count_max) override {
    return store_.list(shard, std::move(prefix), std::move(after), count_max);
  }
  Task<Result<std::vector<object::Unfinished>>> list_unfinished(env::Shard&, std::string prefix,
                                                                size_t) override {
    std::vector<object::Unfinished> some;
    for (const auto& [key, one] : parts)
      if (key.starts_with(prefix)) some.push_back(one);
    co_return some;
  }
  Task<Result<void>> end_unfinished(env::Shard&, object::Unfinished one) override {
    parts.erase(one.key);
    co_return Result<void>{};
  }

 private:
  object::Store& store_;
};

TEST(Collection, UploadsInPartsThatNobodyFinishesEnd) {
  House house(8);
  InParts parts(house.objects);
  house.stores.emplace(parts);
  const int64_t now = house.world.shard(0).wall_ms();
  const std::string prefix = bodies_prefix(House::kBroker);
  for (const auto& [key, age_ms] :
       std::map<std::string, int64_t>{{prefix + "old", 2 * 3600 * 1000},
                                      {prefix + "young", 1000},
                                      {"objects/somebody", 2 * 3600 * 1000}})
    parts.parts[key] = {.key = key, .upload = "u", .began_ms = now - age_ms};
  ASSERT_OK(house.start());
  house.world.run_for(std::chrono::seconds(1));
  EXPECT_FALSE(parts.parts.contains(prefix + "old"));
  EXPECT_TRUE(parts.parts.contains(prefix + "young"));
  EXPECT_TRUE(parts.parts.contains("objects/somebody"));
}

// The first life's lane is sealed, and something of it is kept.
void live_twice(House& house) {
  for (int life = 0; life < 2; ++life) {
    if (life > 0) house.crash();
    ASSERT_OK(house.start());
    ASSERT_OK(house.open(0));
    ASSERT_OK(house.append_now(0, 4));
    ASSERT_OK(house.upload());
  }
}

// A frozen writer's put arrives an hour after its lane was sealed.
TEST(Collection, AnOrphanThatComesLateIsFoundByTheNextSearch) {
  House house(9);
  house.options.orphan_search_ms = 10'000;
  ASSERT_NO_FATAL_FAILURE(live_twice(house));
  house.world.run_for(std::chrono::seconds(5));
  const std::string late = body_key({{House::kBroker, Incarnation(1)}, 77});
  house.objects.bodies[late] = "late";
  house.world.run_for(std::chrono::seconds(15));
  EXPECT_FALSE(house.objects.bodies.contains(late));
  ASSERT_OK(house.verify(0));
}

TEST(Collection, AnotherClustersObjectsAreLeftAlone) {
  House house(10);
  house.options.orphan_search_ms = 5'000;
  ASSERT_NO_FATAL_FAILURE(live_twice(house));
  const ObjectId id{{House::kBroker, Incarnation(1)}, 77};
  const ObjectPlan plan{.cluster_id = Uuid{{9, 9}}, .id = id};
  std::string body;
  for (const Slice& slice : build_object(plan, {}).body) body += as_text(slice.bytes());
  house.objects.bodies[body_key(id)] = body;
  house.world.run_for(std::chrono::seconds(20));
  EXPECT_TRUE(house.objects.bodies.contains(body_key(id)));
}

// Each request goes to the store of its purpose.
class Counted final : public object::Store {
 public:
  explicit Counted(object::Store& store) : store_(store) {}
  int puts = 0;
  int gets = 0;
  int removes = 0;
  int lists = 0;

  Task<Result<void>> put_if_absent(env::Shard& shard, std::string key,
                                   std::vector<Slice> body) override {
    ++puts;
    return store_.put_if_absent(shard, std::move(key), std::move(body));
  }
  Task<Result<Slice>> get(env::Shard& shard, std::string key, uint64_t from,
                          uint64_t bytes) override {
    ++gets;
    return store_.get(shard, std::move(key), from, bytes);
  }
  Task<Result<uint64_t>> size(env::Shard& shard, std::string key) override {
    return store_.size(shard, std::move(key));
  }
  Task<Result<void>> remove(env::Shard& shard, std::vector<std::string> keys) override {
    ++removes;
    return store_.remove(shard, std::move(keys));
  }
  Task<Result<object::ListPage>> list(env::Shard& shard, std::string prefix, std::string after,
                                      size_t count_max) override {
    ++lists;
    return store_.list(shard, std::move(prefix), std::move(after), count_max);
  }

 private:
  object::Store& store_;
};

TEST(Compaction, EachPurposeHasItsStore) {
  House house(7);
  Counted upload(house.objects);
  Counted read(house.objects);
  Counted catch_up(house.objects);
  Counted compaction(house.objects);
  Counted recovery(house.objects);
  Counted collection(house.objects);
  house.stores.emplace(upload, read, catch_up, compaction, recovery, collection);
  ASSERT_OK(house.start());
  for (uint32_t s = 0; s < 4; ++s) ASSERT_OK(house.open(s));
  upload_many(house, 30, 4);
  house.world.run_for(std::chrono::seconds(20));
  house.crash();
  ASSERT_OK(house.start());
  for (uint32_t s = 0; s < 4; ++s) ASSERT_OK(house.open(s));
  for (uint32_t s = 0; s < 4; ++s) ASSERT_OK(house.verify(s));
  house.world.run_for(std::chrono::seconds(20));
  EXPECT_GE(upload.puts, 30);
  EXPECT_EQ(upload.gets + upload.removes + upload.lists, 0);
  EXPECT_GT(compaction.puts, 0);
  EXPECT_GT(compaction.gets, 0);
  EXPECT_EQ(compaction.removes + compaction.lists, 0);
  EXPECT_GT(read.gets, 0);
  EXPECT_GT(catch_up.gets, 0);
  EXPECT_EQ(read.puts + read.removes + read.lists + catch_up.puts + catch_up.removes, 0);
  EXPECT_GT(recovery.gets, 0);
  EXPECT_EQ(recovery.puts + recovery.lists, 0);
  EXPECT_GT(collection.removes, 0);
  EXPECT_GT(collection.lists, 0);
  EXPECT_EQ(collection.puts, 0);
}

}  // namespace
}  // namespace paceline::stream
