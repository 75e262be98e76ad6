#include <set>

#include "stream/test_house.h"

namespace paceline::stream {
namespace {

constexpr uint32_t kStreams = 5;

// What clients were told.
struct Model {
  std::map<uint32_t, Offset> acknowledged;
  std::map<uint32_t, Offset> trimmed;  // told
  std::map<uint32_t, Offset> trying;   // asked for, outcome unknown
  uint32_t victims = 0;                // streams behind the others, one a life, that are erased
  std::set<uint32_t> erased;           // told
};

Task<void> produce(House& house, Model& model, uint32_t index) {
  House::Opened& opened = *house.open_streams.at(index);
  env::Shard& shard = house.world.shard(opened.shard);
  for (;;) {
    auto appended = co_await house.append(index, 1);
    if (!appended) {
      EXPECT_EQ(appended.error().code, Code::unavailable) << appended.error().message;
      co_await env::sleep_for(shard, std::chrono::milliseconds(20));
      continue;
    }
    model.acknowledged[index] = opened.stream->end();
    co_await env::sleep_for(shard, std::chrono::microseconds(shard.random() % 9000));
  }
}

Task<void> retain(House& house, Model& model, uint32_t index) {
  House::Opened& opened = *house.open_streams.at(index);
  env::Shard& shard = house.world.shard(opened.shard);
  for (;;) {
    co_await env::sleep_for(shard, std::chrono::milliseconds(shard.random() % 800));
    RetentionLimits limits{.older_than_ms = {}, .bytes_max = 8000};
    const Offset start = opened.stream->retention_start(limits);
    model.trying[index] = start;
    auto trimmed = co_await opened.stream->trim(start);
    EXPECT_TRUE(trimmed.has_value());
    model.trimmed[index] = opened.stream->start();
  }
}

// Reads what may be read at any moment: never a hole, never more than is durable.
Task<void> consume(House& house, uint32_t index, int& reads) {
  House::Opened& opened = *house.open_streams.at(index);
  env::Shard& shard = house.world.shard(opened.shard);
  Offset at = opened.stream->start();
  for (;;) {
    co_await env::sleep_for(shard, std::chrono::microseconds(shard.random() % 20000));
    if (at < opened.stream->start()) at = opened.stream->start();
    if (shard.random() % 10 == 0) at = opened.stream->start();
    ReadRequest request{.from = at, .bytes_max = 3000};
    auto result = co_await opened.stream->read(request);
    if (!result) {
      EXPECT_EQ(result.error().code, Code::unavailable) << result.error().message;
      continue;
    }
    for (const Batch& batch : result->batches) {
      EXPECT_LE(batch.end(), result->end);
      EXPECT_TRUE(batch.base <= at) << "a hole at " << at.value;
      EXPECT_EQ(as_text(batch.bytes.bytes()), payload_at(index, batch.base.value));
      at = batch.end();
      ++reads;
    }
  }
}

// Writes a stream that is deleted for good while its objects are uploaded and compacted.
Task<void> erase_one(House& house, Model& model, uint32_t index) {
  env::Shard& shard = house.world.shard(house.open_streams.at(index)->shard);
  const uint64_t rounds = shard.random() % 6;
  for (uint64_t i = 0; i < rounds; ++i) {
    auto appended = co_await house.append(index, 3);
    co_await env::sleep_for(shard, std::chrono::milliseconds(shard.random() % 400));
  }
  auto erased = co_await house.storage->erase(shard, stream_id(index));
  if (erased) model.erased.insert(index);
}

void live_and_die(House& house, Model& model, int& reads) {
  for (uint32_t i = 0; i < kStreams; ++i) {
    auto opened = house.open(i);
    ASSERT_TRUE(opened.has_value()) << opened.error().to_string();
    Stream& stream = **opened;
    ASSERT_GE(stream.end(), model.acknowledged[i])
        << "stream " << i << " lost what was acknowledged";
    ASSERT_GE(stream.start(), model.trimmed[i]);
    ASSERT_LE(stream.start(), std::max(model.trying[i], model.trimmed[i]));
    auto whole = house.verify(i);
    ASSERT_TRUE(whole.has_value()) << "stream " << i << ": " << whole.error().to_string();
  }
  for (uint32_t index : model.erased) {
    auto opened = house.open(index);
    ASSERT_TRUE(opened.has_value()) << opened.error().to_string();
    ASSERT_EQ((*opened)->end(), Offset(0)) << "stream " << index << " is back";
    house.close(index);
  }
  env::Random& random = house.world.random;
  const uint32_t victim = kStreams + model.victims++;
  ASSERT_TRUE(house.open(victim).has_value());
  house.world.shard(house.open_streams.at(victim)->shard).spawn(erase_one(house, model, victim));
  house.objects.lost_answers_percent = random.below(3) * 15;
  house.meta.lost_answers_percent = random.below(3) * 15;
  for (uint32_t i = 0; i < kStreams; ++i) {
    env::Shard& shard = house.world.shard(house.open_streams.at(i)->shard);
    if (random.below(4)) shard.spawn(produce(house, model, i));
    if (random.below(2)) shard.spawn(retain(house, model, i));
    shard.spawn(consume(house, i, reads));
  }
  for (uint64_t phase = random.below(4); phase > 0; --phase) {
    house.objects.down = random.below(4) == 0;
    house.world.run_for(std::chrono::milliseconds(random.below(1500)));
  }
  house.world.run_for(std::chrono::microseconds(random.below(20'000)));
  house.crash();
  house.objects.down = false;
}

struct Variant {
  unsigned shards;
  bool object_wal;
};
std::string name_of(const testing::TestParamInfo<Variant>& tested) {
  return fmt::format("{}{}", tested.param.object_wal ? "Objects" : "Files", tested.param.shards);
}

class CrashAtAnyMoment : public testing::TestWithParam<Variant> {
 protected:
  static std::unique_ptr<House> make(uint64_t seed) {
    auto house = std::make_unique<House>(seed, GetParam().shards);
    if (GetParam().object_wal) house->use_object_wal();
    return house;
  }
};

// Of lanes before the last one only what decides a late writer or sealer is left.
void check_logs_left(const House& house) {
  if (!house.slots) {
    EXPECT_EQ(house.wal.lanes.size(), 1u);
    return;
  }
  std::set<std::string> lanes;
  for (const auto& [key, body] : house.objects.bodies)
    if (key.starts_with("wal/") && body.size() > 128) lanes.insert(key.substr(0, key.rfind('/')));
  EXPECT_LE(lanes.size(), 1u) << *lanes.begin();
}

TEST_P(CrashAtAnyMoment, NothingAcknowledgedIsLostOrDoubled) {
  int reads = 0;
  int64_t end = 0;
  int compactions = 0;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const auto made = make(seed);
    House& house = *made;
    // Objects may be deleted under a reader who has just looked them up.
    if (seed % 3 == 0) house.options.delete_grace_ms = 0;
    Model model;
    for (int life = 0; life < 5; ++life) {
      auto started = house.start();
      ASSERT_TRUE(started.has_value()) << started.error().to_string();
      live_and_die(house, model, reads);
      if (testing::Test::HasFailure()) return;
      const CheckReport report = house.check_now();
      ASSERT_TRUE(report.ok()) << reasons(report);
    }
    for (const auto& [index, offset] : model.acknowledged) end += offset.value;
    compactions += house.events.counts["compaction.put"];
  }
  EXPECT_GT(compactions, 60);
  EXPECT_GT(reads, 600);
  EXPECT_GT(end, 3'000);
}

// In the end nothing is left that nobody refers to.
TEST_P(CrashAtAnyMoment, OrphansAndUnreferencedObjectsGo) {
  for (uint64_t seed = 1000; seed < 1010; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const auto made = make(seed);
    House& house = *made;
    Model model;
    int reads = 0;
    for (int life = 0; life < 3; ++life) {
      ASSERT_TRUE(house.start().has_value());
      live_and_die(house, model, reads);
      if (testing::Test::HasFailure()) return;
    }
    house.objects.lost_answers_percent = 0;
    house.meta.lost_answers_percent = 0;
    ASSERT_TRUE(house.start().has_value());
    house.world.run_for(std::chrono::seconds(60));
    const CheckReport report = house.check_now();
    EXPECT_TRUE(report.ok()) << reasons(report);
    EXPECT_TRUE(report.orphans.empty()) << report.orphans.front();
    check_logs_left(house);
  }
}

INSTANTIATE_TEST_SUITE_P(Shards, CrashAtAnyMoment,
                         testing::Values(Variant{1, false}, Variant{2, false}, Variant{1, true},
                                         Variant{2, true}),
                         name_of);

}  // namespace
}  // namespace paceline::stream
