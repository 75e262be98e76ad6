#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "env/block_pool.h"
#include "env/real_env.h"
#include "wal/lane_files.h"
#include "wal/wal.h"

namespace paceline::wal {
namespace {

constexpr Lane kLane{BrokerId(1), Incarnation(2)};

struct Folder {
  std::string path = fmt::format("{}wal_real_test.{}", ::testing::TempDir(), ::getpid());
  ~Folder() { std::filesystem::remove_all(path); }
};

Entry batch(uint32_t index, int64_t base, size_t bytes) {
  Entry entry;
  entry.header = {
      .stream = {Uuid{{7}}, index}, .epoch = Epoch(1), .base = Offset(base), .count = 1};
  entry.payload = Slice::copy_of(as_bytes(std::string(bytes, static_cast<char>('a' + base % 26))));
  return entry;
}

Task<void> produce(env::Shard& home, Writer& writer, uint32_t index, int count, int& running) {
  for (int64_t base = 0; base < count; ++base) {
    std::vector<Entry> entries(1, batch(index, base, 100 + static_cast<size_t>(base) * 37));
    auto written = co_await writer.append(home, std::move(entries));
    EXPECT_TRUE(written);
  }
  --running;
}

Task<Result<size_t>> count_entries(env::Shard& shard, Wal& wal) {
  CO_TRY(auto reader, co_await wal.read(shard, kLane, Position(0), std::nullopt));
  size_t count = 0;
  std::map<uint32_t, int64_t> next;
  for (;;) {
    CO_TRY(auto group, co_await reader->next());
    if (!group) co_return count;
    for (const Entry& entry : group->entries) {
      EXPECT_EQ(entry.header.base.value, next[entry.header.stream.index]++);
      const char expected = static_cast<char>('a' + entry.header.base.value % 26);
      EXPECT_TRUE(std::ranges::all_of(as_text(entry.payload.bytes()),
                                      [&](char c) { return c == expected; }));
      ++count;
    }
  }
}

// Appends from two threads, an entry of 100 MiB, a seal under a living writer, then everything is
// read.
Task<void> live(env::RealEnv& world, std::string folder, bool& finished) {
  env::Shard& shard = world.shard(0);
  FileWalOptions options{.folder = folder, .cluster_id = Uuid{{4}}, .segment_bytes = 8 << 20};
  auto wal = make_file_wal(shard.disk(), options);
  auto made = co_await wal->create(shard, kLane);
  EXPECT_TRUE(made);
  Writer& writer = **made;
  int running[2] = {4, 4};
  for (uint32_t i = 0; i < 8; ++i) {
    env::Shard& home = world.shard(i % 2);
    auto start = [&home, &writer, i, left = &running[i % 2]]() -> Task<bool> {
      auto body = [](env::Shard& on, Writer& log, uint32_t index, int* out) -> Task<bool> {
        on.spawn(produce(on, log, index, 500, *out));
        co_return true;
      };
      return body(home, writer, i, left);
    };
    (void)co_await env::call_on(home, shard, std::move(start));
  }
  std::vector<Entry> huge(1, batch(100, 0, 100 << 20));
  auto written = co_await writer.append(shard, std::move(huge));
  EXPECT_TRUE(written);
  for (;;) {
    auto ask = [count = &running[1]]() -> Task<int> {
      auto body = [](int* left) -> Task<int> { co_return *left; };
      return body(count);
    };
    const int other = co_await env::call_on(world.shard(1), shard, std::move(ask));
    if (other == 0 && running[0] == 0) break;
    co_await env::sleep_for(shard, std::chrono::milliseconds(1));
  }
  bool lost = false;
  writer.on_lost([&](Error error) { lost = error.code == Code::sealed; });
  auto end = co_await wal->seal(world.shard(0), kLane, Position{});
  EXPECT_TRUE(end);
  EXPECT_EQ(*end, writer.durable_end());
  std::vector<Entry> late(1, batch(0, 500, 10));
  auto refused = co_await writer.append(shard, std::move(late));
  EXPECT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::sealed);
  co_await env::yield(shard);
  EXPECT_TRUE(lost);
  auto count = co_await count_entries(shard, *wal);
  EXPECT_TRUE(count) << count.error().to_string();
  EXPECT_EQ(*count, 4001u);
  co_await writer.close(shard);
  auto removed = co_await wal->remove(shard, kLane);
  EXPECT_TRUE(removed);
  finished = true;
  made->reset();
  world.stop();
}

TEST(wal_real, two_threads_append_and_everything_is_read_after_the_seal) {
  Folder folder;
  env::RealEnv world({.shards = 2});
  bool finished = false;
  world.shard(0).spawn(live(world, folder.path, finished));
  world.run();
  EXPECT_TRUE(finished);
}

// Whoever seals a lane reads behind its end whatever might prove that something is missing: at 128
// MiB a segment that was once half a second of each failover.
TEST(wal_real, a_segment_that_serves_again_has_nothing_to_read) {
  Folder folder;
  env::RealEnv world({.shards = 1});
  const LaneFiles files{&world.shard(0).disk(), Owner{Uuid{{4}}, kLane}, folder.path};
  ASSERT_TRUE(files.claim());
  const uint64_t bytes = 8 << 20;
  auto first = files.prepare_segment(1, bytes, std::nullopt);
  ASSERT_TRUE(first);
  EXPECT_FALSE(first->written);
  const Buffer full = env::allocate_pages(bytes, true);
  std::ranges::fill(full.writable(), std::byte{'x'});
  ASSERT_TRUE(first->file->write_at(0, full.bytes()));
  ASSERT_TRUE(first->file->sync());
  first->file.reset();
  ASSERT_TRUE(files.retire_segment(1));
  const auto again = files.prepare_segment(2, bytes, 1);
  ASSERT_TRUE(again);
  EXPECT_EQ(*again->file->size(), bytes);
  // Where the file system can: not in memory, where reading is cheap.
  EXPECT_EQ(again->file->next_data(0)->has_value(), again->written);
}

}  // namespace
}  // namespace paceline::wal
