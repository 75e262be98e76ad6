#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "wal/slot_format.h"
#include "wal/test_store.h"
#include "wal/wal.h"

// A lane in objects, its writer, sealers that race each other, and collection, on a store that does
// whatever stores do: by seed.

namespace paceline::wal {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Lane kLane{BrokerId(3), Incarnation(7)};

// 1000, or as many as PACELINE_WAL_SEEDS says.
int seed_count() {
  const char* asked = std::getenv("PACELINE_WAL_SEEDS");
  return asked ? std::atoi(asked) : 1000;
}
const Uuid kCluster{{1, 2, 3}};

std::string payload_of(uint32_t stream, int64_t base, size_t bytes) {
  std::string text = fmt::format("{}:{}:", stream, base);
  text.resize(std::max(bytes, text.size()), static_cast<char>('a' + base % 26));
  return text;
}

Entry batch(uint32_t stream, int64_t base, uint32_t count, size_t bytes) {
  Entry entry;
  entry.header = {.stream = StreamId{Uuid{{9}}, stream},
                  .epoch = Epoch(1),
                  .base = Offset(base),
                  .count = count};
  entry.payload = Slice::copy_of(as_bytes(payload_of(stream, base, bytes)));
  return entry;
}

struct Sent {
  std::string payload;
  std::optional<Position> acknowledged;  // the log's end just after it
  env::Instant when;
};

// What the metadata would say.
struct Meta {
  bool fenced = false;
  Position trimmed;
};

struct Scene;
Task<void> produce(Scene& scene, env::Shard& shard, uint32_t stream);
Task<void> keep_trimming(Scene& scene, env::Shard& shard);
Task<void> open_writer(Scene& scene, env::Shard& shard);
Task<void> seal_and_read(Scene& scene, size_t sealer, env::Shard& shard);

struct Scene {
  explicit Scene(uint64_t seed) : world(seed), store(world), random(seed * 7 + 1) {
    for (const char* name : {"writer", "b", "c"}) hosts.push_back(&world.add_host(name));
    ObjectWalOptions options{.cluster_id = kCluster};
    options.slot_bytes_max = 8 << 10;
    options.puts_max = random.between(1, 8);
    options.block_bytes = 16 << 10;
    options.request_deadline = seconds(2);
    options.missing_patience = seconds(2);
    options.reads_max = 6;
    for (auto* host : hosts) {
      host->start(2);
      wals.push_back(make_object_wal(store, options));
    }
  }
  ~Scene() {
    for (auto* host : hosts) host->stop();
  }
  void trouble() {
    TestStore::Faults& faults = store.faults;
    const double much = random.below(3) == 0 ? 0 : static_cast<double>(random.below(10)) / 100;
    faults.refuse = much * 2;
    faults.conflict = much;
    faults.lose = much;
    faults.lose_after = much;
    faults.land_late = random.below(2) ? much : 0;
    faults.silent = random.below(4) == 0 ? 0.02 : 0;
    faults.missing = much * 3;
    faults.flip = much / 8;
    faults.foreign = much / 8;
    faults.stale_list = much * 3;
  }

  env::SimWorld world;
  TestStore store;
  env::Random random;  // of the schedule
  std::vector<env::SimHost*> hosts;
  std::vector<std::unique_ptr<Wal>> wals;
  std::unique_ptr<Writer> writer;
  Meta meta;
  std::map<std::pair<uint32_t, int64_t>, Sent> sent;
  int refused = 0;
  int lost = 0;
  bool collects = false;
  bool removing = false;  // once somebody has recovered the lane
  std::optional<std::vector<Entry>> recovered;
  std::vector<std::optional<Position>> ends;
  std::vector<std::string> problems;
};

Task<void> open_writer(Scene& scene, env::Shard& shard) {
  auto made = co_await scene.wals[0]->create(shard, kLane);
  if (!made) co_return;  // sealed before it began
  scene.writer = std::move(*made);
  scene.writer->on_lost([&scene](Error error) {
    ++scene.lost;
    if (error.code != Code::sealed) scene.problems.push_back(error.to_string());
  });
  for (uint32_t stream = 0; stream < 4; ++stream) {
    env::Shard& home = scene.hosts[0]->shard(stream % 2);
    home.spawn(produce(scene, home, stream));
  }
  shard.spawn(keep_trimming(scene, shard));
}

Task<void> produce(Scene& scene, env::Shard& shard, uint32_t stream) {
  int64_t base = 0;
  for (;;) {
    if (scene.random.below(3) == 0)
      co_await env::sleep_for(shard, milliseconds(scene.random.below(40)));
    std::vector<Entry> entries;
    std::vector<int64_t> bases;
    for (size_t i = 0; i <= scene.random.below(2); ++i) {
      const auto count = static_cast<uint32_t>(scene.random.between(1, 5));
      const size_t bytes = scene.random.below(30) == 0 ? 20'000 : scene.random.below(1500);
      entries.push_back(batch(stream, base, count, bytes));
      scene.sent[{stream, base}].payload = to_string(entries.back().payload.bytes());
      bases.push_back(base);
      base += count;
    }
    auto written = co_await scene.writer->append(shard, std::move(entries));
    if (!written) {
      ++scene.refused;
      co_return;
    }
    for (size_t i = 0; i < bases.size(); ++i) {
      Sent& one = scene.sent[{stream, bases[i]}];
      one.acknowledged = written->end;
      one.when = shard.now();
      if (as_text(written->payloads[i].bytes()) != one.payload)
        scene.problems.push_back("another payload");
    }
  }
}

// As an uploader: what is durable is committed to the metadata, while they are ours, and deleted
// some time later.
Task<void> keep_trimming(Scene& scene, env::Shard& shard) {
  for (;;) {
    co_await env::sleep_for(shard, milliseconds(scene.random.below(600)));
    const Position up_to = scene.writer->durable_end();
    if (scene.meta.fenced) co_return;
    scene.meta.trimmed = up_to;
    co_await env::sleep_for(shard, milliseconds(scene.random.below(100)));
    (void)co_await scene.writer->trim(shard, up_to);
  }
}

Task<Result<std::vector<Entry>>> read_lane(Wal& wal, env::Shard& shard, Position from,
                                           Position end) {
  CO_TRY(auto reader, co_await wal.read(shard, kLane, from, end));
  std::vector<Entry> entries;
  for (;;) {
    CO_TRY(auto group, co_await reader->next());
    if (!group) co_return entries;
    if (!group->before.empty()) co_return fail(Code::corrupt, group->before.front().why);
    for (Entry& entry : group->entries) entries.push_back(std::move(entry));
  }
}

// As a successor: after the fence, each by itself. The first one that has read the lane may have it
// removed, as if all shares of it were done; the others are then late, and must agree all the same.
Task<void> seal_and_read(Scene& scene, size_t sealer, env::Shard& shard) {
  Wal& wal = *scene.wals[1 + sealer % 2];
  co_await env::sleep_for(shard,
                          milliseconds(scene.random.below(scene.random.below(2) ? 5 : 3000)));
  for (;;) {
    auto end = co_await wal.seal(shard, kLane, scene.meta.trimmed);
    if (end) {
      scene.ends[sealer] = *end;
      break;
    }
    if (end.error().code != Code::unavailable) scene.problems.push_back(end.error().to_string());
    co_await env::sleep_for(shard, milliseconds(50));
  }
  if (scene.removing) co_return;
  auto entries = co_await read_lane(wal, shard, scene.meta.trimmed, *scene.ends[sealer]);
  if (scene.removing) co_return;  // somebody else's meanwhile
  if (!entries) {
    scene.problems.push_back(entries.error().to_string());
    co_return;
  }
  if (scene.recovered && scene.recovered->size() != entries->size())
    scene.problems.push_back("two readers read different things");
  scene.recovered = std::move(*entries);
  if (!scene.collects) co_return;
  scene.removing = true;
  while (!co_await wal.remove(shard, kLane)) co_await env::sleep_for(shard, milliseconds(50));
}

void check_entries(const Scene& scene, Position end) {
  std::map<uint32_t, int64_t> next;
  std::set<std::pair<uint32_t, int64_t>> seen;
  for (const Entry& entry : *scene.recovered) {
    const uint32_t stream = entry.header.stream.index;
    const int64_t base = entry.header.base.value;
    const auto sent = scene.sent.find({stream, base});
    ASSERT_NE(sent, scene.sent.end()) << "an entry nobody sent";
    ASSERT_EQ(as_text(entry.payload.bytes()), sent->second.payload);
    const auto [row, first] = next.try_emplace(stream, base);
    ASSERT_EQ(row->second, base) << "a hole or a repetition in stream " << stream;
    row->second += entry.header.count;
    ASSERT_TRUE(seen.insert({stream, base}).second);
  }
  for (const auto& [key, sent] : scene.sent) {
    if (!sent.acknowledged) continue;
    ASSERT_LE(*sent.acknowledged, end) << "acknowledged above the seal";
    // What is below the trimmed position is in objects.
    ASSERT_TRUE(*sent.acknowledged <= scene.meta.trimmed || seen.contains(key))
        << "lost: stream " << key.first << " offset " << key.second;
  }
}

void check(Scene& scene) {
  for (const std::string& problem : scene.problems) ADD_FAILURE() << problem;
  ASSERT_EQ(scene.store.broken_rule, "");
  for (const auto& end : scene.ends) {
    ASSERT_TRUE(end) << "a sealer came to no end";
    ASSERT_EQ(*end, *scene.ends[0]) << "two sealers, two ends";
  }
  ASSERT_TRUE(scene.recovered);
  check_entries(scene, *scene.ends[0]);
  const Owner owner{.cluster_id = kCluster, .lane = kLane};
  ASSERT_TRUE(scene.store.objects.contains(slot_key(owner, scene.ends[0]->value)))
      << "the seal has gone";
}

TEST(object_wal_chaos,
     everything_acknowledged_is_read_once_and_nothing_is_acknowledged_above_the_seal) {
  size_t acknowledged = 0;
  size_t recovered = 0;
  int lost = 0;
  const int seeds = seed_count();
  for (int seed = 0; seed < seeds; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Scene scene(static_cast<uint64_t>(seed));
    env::Random& random = scene.random;
    scene.trouble();
    scene.collects = random.below(2) == 0;
    scene.hosts[0]->shard(0).spawn(open_writer(scene, scene.hosts[0]->shard(0)));
    scene.world.run_for(milliseconds(random.below(3000)));
    scene.trouble();
    switch (random.below(4)) {
      case 0:
        break;  // it does not know that it was given up
      case 1:
        scene.hosts[0]->pause(milliseconds(random.below(60'000)));
        break;
      case 2:
        scene.hosts[0]->pause(milliseconds(random.below(1000)));
        break;
      case 3:
        scene.hosts[0]->kill();
        scene.writer.reset();
        break;
    }
    scene.meta.fenced = true;
    const size_t sealers = random.between(1, 3);
    scene.ends.resize(sealers);
    for (size_t i = 0; i < sealers; ++i) {
      env::Shard& shard = scene.hosts[1 + i % 2]->shard(0);
      shard.spawn(seal_and_read(scene, i, shard));
    }
    if (random.below(3) == 0) {
      scene.world.run_for(milliseconds(random.below(300)));
      scene.hosts[1 + random.below(2)]->pause(milliseconds(random.below(20'000)));
    }
    scene.world.run_for(milliseconds(random.below(2000)));
    scene.trouble();
    scene.world.run_for(seconds(40));  // what lands late has landed
    scene.store.faults = TestStore::Faults{};
    scene.world.run_for(seconds(80));  // who slept is awake
    check(scene);
    if (HasFailure()) return;
    for (const auto& [key, sent] : scene.sent) acknowledged += sent.acknowledged ? 1 : 0;
    recovered += scene.recovered->size();
    lost += scene.lost;
  }
  EXPECT_GT(acknowledged, 10u * static_cast<size_t>(seeds));
  EXPECT_GT(recovered, static_cast<size_t>(seeds));
  EXPECT_GT(lost, seeds / 2) << "writers that lived met the seal";
  fmt::print("acknowledged {}, recovered {}, writers that met a seal {}\n", acknowledged, recovered,
             lost);
}

}  // namespace
}  // namespace paceline::wal
