#include <gmock/gmock.h>

#include "stream/recover.h"
#include "stream/test_house.h"

// What an inspection has to find, each fault planted by hand, and what it must not take for one.

namespace paceline::stream {
namespace {

#define ASSERT_OK(...)                                       \
  do {                                                       \
    auto ok_ = (__VA_ARGS__);                                \
    ASSERT_TRUE(ok_.has_value()) << ok_.error().to_string(); \
  } while (false)

// Two lives with some objects each; the second goes on.
void live_twice(House& house) {
  house.options.compaction_bytes = 0;
  for (int life = 0; life < 2; ++life) {
    if (life > 0) house.crash();
    ASSERT_OK(house.start());
    for (uint32_t s = 0; s < 3; ++s) ASSERT_OK(house.open(s));
    for (int i = 0; i < 5; ++i) {
      for (uint32_t s = 0; s < 3; ++s) ASSERT_OK(house.append_now(s, 4));
      ASSERT_OK(house.upload());
    }
    for (uint32_t s = 0; s < 3; ++s) ASSERT_OK(house.append_now(s, 2));
  }
  const CheckReport report = house.check_now();
  ASSERT_TRUE(report.ok()) << reasons(report);
  EXPECT_TRUE(report.orphans.empty());
}

// A body as an upload of stream 0 would have put it, also one that never came to its commit.
std::string plant_body(House& house, ObjectId id, int64_t base, int64_t age_ms) {
  StreamPart part;
  part.record = {.stream = stream_id(0),
                 .erased = false,
                 .start = Offset(0),
                 .end = {},
                 .epoch = house.epoch,
                 .snapshot_end = {},
                 .snapshot = {},
                 .offline = {},
                 .extents = {}};
  part.batches.push_back(batch_at(0, base, house.epoch));
  part.record.end = part.batches.back().end();
  const ObjectPlan plan{.cluster_id = house.options.cluster_id,
                        .id = id,
                        .nonce = 5,
                        .created_ms = house.world.shard(0).wall_ms() - age_ms};
  const BuiltObject built = build_object(plan, {part});
  std::string body;
  for (const Slice& slice : built.body) body += as_text(slice.bytes());
  house.objects.bodies[body_key(id)] = body;
  return body_key(id);
}

TEST(Check, AMissingBodyIsFound) {
  House house(1);
  live_twice(house);
  house.crash();
  house.objects.bodies.erase(std::next(house.objects.bodies.begin(), 2));
  const CheckReport report = house.check_now();
  EXPECT_FALSE(report.ok());
  EXPECT_THAT(reasons(report), testing::HasSubstr("gone or cut"));
  EXPECT_THAT(reasons(report), testing::HasSubstr("not whole or not committed"));
}

TEST(Check, AMissingRecordIsFound) {
  House house(2);
  live_twice(house);
  house.crash();
  std::erase_if(house.meta.entries, [](const auto& entry) {
    return entry.first == meta::object_key({House::kBroker, Incarnation(1)}, 2);
  });
  const CheckReport report = house.check_now();
  EXPECT_FALSE(report.ok());
  EXPECT_THAT(reasons(report), testing::HasSubstr("3.1/2"));
  EXPECT_EQ(report.orphans.size(), 1u) << "and its body belongs to nobody";
}

// Rewrites the checkpoint that a restart would read.
void forge_checkpoint(House& house, std::function<void(std::vector<Extent>&)> change) {
  const Sources sources{&house.world.shard(0), &house.meta, &house.objects, &house.wal};
  auto lanes = house.world.wait(0, read_lanes(sources, House::kBroker));
  ASSERT_OK(lanes);
  const LaneFacts& lane = lanes->back();
  const ObjectId id{lane.lane, lane.record.checkpoint};
  meta::ObjectRecord record = lane.objects.at(id.number);
  auto directory = house.world.wait(0, load_directory(sources, id, record));
  ASSERT_OK(directory);
  for (DirectoryRecord& one : directory->records)
    if (one.stream == stream_id(0)) change(one.extents);
  std::string& body = house.objects.bodies.at(body_key(id));
  const std::string forged = encode_directory(id, *directory);
  ASSERT_EQ(forged.size(), record.directory_bytes);
  body.replace(record.directory_position, forged.size(), forged);
}

TEST(Check, OverlappingExtentsAreFound) {
  House house(3);
  live_twice(house);
  house.crash();
  forge_checkpoint(house, [](std::vector<Extent>& extents) {
    ASSERT_GE(extents.size(), 3u);
    extents[1].base = extents[0].base;
  });
  const CheckReport report = house.check_now();
  EXPECT_FALSE(report.ok());
  EXPECT_THAT(reasons(report), testing::HasSubstr("has a gap in stream"));
}

TEST(Check, AnExtentThatItsObjectDoesNotHoldIsFound) {
  House house(4);
  live_twice(house);
  house.crash();
  forge_checkpoint(house, [](std::vector<Extent>& extents) {
    ASSERT_GE(extents.size(), 3u);
    std::swap(extents[0].object, extents[1].object);
  });
  const CheckReport report = house.check_now();
  EXPECT_FALSE(report.ok());
  EXPECT_THAT(reasons(report), testing::HasSubstr("instead of"));
}

TEST(Check, AnOrphanIsToleratedWhileItIsYoung) {
  House house(5);
  live_twice(house);
  const ObjectId id{{House::kBroker, Incarnation(2)}, 400};
  const std::string key = plant_body(house, id, 0, 60'000);
  CheckReport report = house.check_now();
  EXPECT_TRUE(report.ok()) << reasons(report);
  EXPECT_THAT(report.orphans, testing::ElementsAre(key));
  plant_body(house, id, 0, 2 * 24 * 3600 * 1000);
  report = house.check_now();
  EXPECT_FALSE(report.ok());
  EXPECT_THAT(reasons(report), testing::HasSubstr("never committed"));
}

// Uploads of frozen writers that came late, within and above what the seals covered, in the middle
// of three lanes: present, and worth nothing.
TEST(Check, ZombiesAmongThreeLanesAreNeitherReplayedNorCounted) {
  House house(6);
  live_twice(house);
  house.crash();
  ASSERT_OK(house.start());
  for (uint32_t s = 0; s < 3; ++s) ASSERT_OK(house.open(s));
  const Offset end = house.open_streams[0]->stream->end();
  ASSERT_OK(house.append_now(0, 4));
  ASSERT_OK(house.upload());
  const CheckReport before = house.check_now();
  std::vector<std::string> zombies;
  for (uint64_t incarnation : {1, 2}) {
    const Lane lane{House::kBroker, Incarnation(incarnation)};
    for (int64_t base : {int64_t{0}, end.value})
      zombies.push_back(plant_body(house, {lane, 500 + static_cast<uint64_t>(base)}, base, 1000));
  }
  const CheckReport report = house.check_now();
  EXPECT_TRUE(report.ok()) << reasons(report);
  EXPECT_EQ(report.object_count, before.object_count);
  EXPECT_EQ(report.block_count, before.block_count);
  EXPECT_THAT(report.orphans, testing::UnorderedElementsAreArray(zombies));
  house.crash();
  ASSERT_OK(house.start());
  for (uint32_t s = 0; s < 3; ++s) ASSERT_OK(house.open(s));
  for (uint32_t s = 0; s < 3; ++s) ASSERT_OK(house.verify(s));
  house.world.run_for(std::chrono::seconds(10));
  EXPECT_TRUE(house.check_now().orphans.empty()) << "the collector has found them";
}

Task<void> keep_writing(House& house, uint32_t index) {
  env::Shard& shard = house.world.shard(house.open_streams.at(index)->shard);
  Stream& stream = *house.open_streams.at(index)->stream;
  for (;;) {
    auto appended = co_await house.append(index, 1);
    co_await env::sleep_for(shard, std::chrono::milliseconds(shard.random() % 20));
    if (shard.random() % 40) continue;
    RetentionLimits limits{.older_than_ms = {}, .bytes_max = 10'000};
    auto trimmed = co_await stream.trim(stream.retention_start(limits));
  }
}

// A broker that uploads, compacts, trims and deletes at once under the inspector's eyes.
TEST(Check, ABrokerAtWorkIsFoundWhole) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    House house(seed);
    house.options.delete_grace_ms = seed % 2 ? 300 : 2000;
    house.options.upload_age_ms = 100;
    ASSERT_OK(house.start());
    for (uint32_t s = 0; s < 4; ++s) ASSERT_OK(house.open(s));
    for (uint32_t s = 0; s < 4; ++s)
      house.world.shard(house.open_streams.at(s)->shard).spawn(keep_writing(house, s));
    for (int round = 0; round < 6; ++round) {
      house.world.run_for(std::chrono::milliseconds(500));
      const CheckReport report = house.check_now();
      ASSERT_TRUE(report.ok()) << reasons(report);
    }
    EXPECT_GT(house.events.counts["object.deleted"], 0);
    EXPECT_GT(house.events.counts["compaction.put"], 0);
    // Nobody was fenced, and nothing was sealed.
    EXPECT_FALSE(house.wal.lanes.at(house.options.lane)->sealed);
    const Offset end = house.open_streams.at(0)->stream->end();
    house.world.run_for(std::chrono::milliseconds(500));
    EXPECT_GT(house.open_streams.at(0)->stream->end(), end);
  }
}

}  // namespace
}  // namespace paceline::stream
