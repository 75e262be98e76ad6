#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "env/real_env.h"
#include "env/sync.h"
#include "wal/block_pool.h"
#include "wal/format.h"
#include "wal/wal.h"

// paceline-walbench [FOLDER]: what the log adds to the disk. Each row compares appends of one size,
// a number of them in flight, with a loop of plain preallocated, direct pwrite + fdatasync of the
// same bytes in one piece, on the same disk in the same run.

namespace paceline::wal {
namespace {

using std::chrono::duration;
using std::chrono::seconds;
constexpr env::Duration kRun = std::chrono::milliseconds(1500);

struct Rate {
  double a_second = 0;  // appends
  double p50_us = 0;
  double p99_us = 0;
};

Rate rate_of(uint64_t count, env::Duration took, std::vector<double>& latencies_us) {
  std::ranges::sort(latencies_us);
  const auto at = [&](double part) {
    return latencies_us.empty() ? 0 : latencies_us[static_cast<size_t>(part * static_cast<double>(latencies_us.size() - 1))];
  };
  return {static_cast<double>(count) / duration<double>(took).count(), at(0.5), at(0.99)};
}

double micros(env::Duration took) { return duration<double, std::micro>(took).count(); }

// The floor: one write of `together` entries at a time. `written` = over bytes written before.
Rate raw_loop(env::Shard& shard, const std::string& folder, uint64_t entry_bytes, uint64_t together, bool written) {
  const std::string path = folder + "/raw";
  const uint64_t piece_bytes = round_to_page(kGroupHeaderBytes + together * (kEntryHeaderBytes + entry_bytes));
  const uint64_t file_bytes = std::max<uint64_t>(1u << 30, 4 * piece_bytes);
  env::OpenMode mode{.create = env::OpenMode::Create::if_missing, .writable = true, .direct = true};
  auto file = std::move(shard.disk().open(path, mode)).value();
  CHECK(file->allocate(file_bytes) && file->sync());
  const Buffer block = allocate_pages(std::max<uint64_t>(piece_bytes, 4u << 20), true);
  if (written)
    for (uint64_t at = 0; at + block.size() <= file_bytes; at += block.size()) CHECK(file->write_at(at, block.bytes()));
  CHECK(file->sync());
  std::vector<double> latencies{};
  uint64_t at = 0;
  const env::Instant start = shard.now();
  while (shard.now() - start < kRun && (written || at + piece_bytes <= file_bytes)) {
    const env::Instant before = shard.now();
    if (at + piece_bytes > file_bytes) at = 0;
    CHECK(file->write_at(at, block.bytes().first(piece_bytes)) && file->sync());
    at += piece_bytes;
    latencies.push_back(micros(shard.now() - before));
  }
  const env::Duration took = shard.now() - start;
  const Rate rate = rate_of(latencies.size() * together, took, latencies);
  CHECK(shard.disk().remove(path));
  return rate;
}

struct Load {
  env::Shard& shard;
  Writer& writer;
  Slice payload;
  env::Instant until;
  uint64_t count = 0;
  std::vector<double> latencies{};
};

Task<void> appender(Load& load, uint32_t index, env::Gate::Pass) {
  for (int64_t base = 0; load.shard.now() < load.until; ++base) {
    std::vector<Entry> entries(1);
    entries[0].header = {.stream = {Uuid{{1}}, index}, .epoch = Epoch(1), .base = Offset(base), .count = 1};
    entries[0].payload = load.payload;
    const env::Instant before = load.shard.now();
    auto written = co_await load.writer.append(load.shard, std::move(entries));
    CHECK(written.has_value());
    ++load.count;
    load.latencies.push_back(micros(load.shard.now() - before));
  }
}

Task<Rate> wal_loop(env::Shard& shard, Wal& wal, Lane lane, uint64_t entry_bytes, uint32_t in_flight) {
  auto made = co_await wal.create(shard, lane);
  CHECK(made.has_value());
  co_await env::sleep_for(shard, std::chrono::milliseconds(100));
  Load load{.shard = shard, .writer = **made, .payload = Slice(Buffer::allocate(entry_bytes)), .until = shard.now() + kRun};
  std::ranges::fill(load.payload.buffer().writable(), std::byte{7});
  const env::Instant start = shard.now();
  env::Gate gate(shard);
  for (uint32_t i = 0; i < in_flight; ++i) shard.spawn(appender(load, i, gate.enter()));
  co_await gate.wait_empty();
  const Rate rate = rate_of(load.count, shard.now() - start, load.latencies);
  co_await load.writer.close(shard);
  auto end = co_await wal.seal(shard, lane);
  CHECK(end.has_value());
  auto removed = co_await wal.remove(shard, lane);
  CHECK(removed.has_value());
  co_return rate;
}

Task<void> bench(env::RealEnv& world, std::string folder) {
  env::Shard& shard = world.shard(0);
  CHECK(shard.disk().make_dirs(folder));
  FileWalOptions options{.folder = folder, .cluster_id = Uuid{{1}}};
  auto wal = make_file_wal(shard.disk(), options);
  fmt::print("{:>8} {:>6} | {:>9} {:>8} {:>7} {:>7} | {:>9} {:>7} {:>7} | {:>9} | {:>6} {:>6}\n", "entry", "flying",
             "appends/s", "MB/s", "p50 us", "p99 us", "raw/s", "p50 us", "p99 us", "rewrite/s", "/raw", "/rewr");
  uint64_t incarnation = 1;
  for (const uint64_t bytes : {1u << 10, 64u << 10, 1u << 20}) {
    for (const uint32_t in_flight : {1u, 64u, 1024u}) {
      if (uint64_t{bytes} * in_flight > 256u << 20) continue;
      const Lane lane{BrokerId(1), Incarnation(incarnation++)};
      const Rate log = co_await wal_loop(shard, *wal, lane, bytes, in_flight);
      // What may go in one commit: the log's own limit holds for the floor as well.
      const uint64_t together = std::max<uint64_t>(1, std::min<uint64_t>(in_flight, options.group_bytes_max / bytes));
      const Rate raw = raw_loop(shard, folder, bytes, together, false);
      const Rate again = raw_loop(shard, folder, bytes, together, true);
      fmt::print("{:>8} {:>6} | {:>9.0f} {:>8.1f} {:>7.0f} {:>7.0f} | {:>9.0f} {:>7.0f} {:>7.0f} | {:>9.0f} | {:>6.2f} {:>6.2f}\n",
                 bytes, in_flight, log.a_second, log.a_second * static_cast<double>(bytes) / 1e6, log.p50_us, log.p99_us,
                 raw.a_second, raw.p50_us, raw.p99_us, again.a_second, log.a_second / raw.a_second,
                 log.a_second / again.a_second);
      std::fflush(stdout);
    }
  }
  world.stop();
}

}  // namespace
}  // namespace paceline::wal

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : fmt::format("/tmp/paceline-walbench.{}", ::getpid());
  paceline::env::RealEnv world({.shards = 1});
  world.shard(0).spawn(paceline::wal::bench(world, folder));
  world.run();
  if (argc <= 1) std::filesystem::remove_all(folder);
  return 0;
}
