#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "env/block_pool.h"
#include "env/real_env.h"
#include "env/sync.h"
#include "wal/format.h"
#include "wal/wal.h"

// paceline-walbench [FOLDER]: what the log adds to the disk. Each row compares appends of one size,
// a number of them in flight, with a loop of plain preallocated, direct pwrite + fdatasync of the
// same bytes in one piece: once over fresh space, as the log's first segments are, and once over
// bytes written before, as its later ones. The three take turns in short rounds, and medians are
// told, since a shared disk changes its speed from second to second. Last, how long a seal of the
// lane takes.

namespace paceline::wal {
namespace {

using std::chrono::duration;
constexpr env::Duration kRound = std::chrono::milliseconds(250);
constexpr int kRounds = 7;
constexpr uint64_t kRawBytes = 1u << 30;

double micros(env::Duration took) {
  return duration<double, std::micro>(took).count();
}

double at_part(std::vector<double> values, double part) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[static_cast<size_t>(part * static_cast<double>(values.size() - 1))];
}

// Rounds of one contender.
struct Score {
  std::vector<double> rates;  // appends a second, one a round
  std::vector<double> latencies_us;

  double rate() const { return at_part(rates, 0.5); }
  double p50() const { return at_part(latencies_us, 0.5); }
  double p99() const { return at_part(latencies_us, 0.99); }
};

std::unique_ptr<env::File> reserve(env::Shard& shard, const std::string& path) {
  env::OpenMode mode{.create = env::OpenMode::Create::if_missing, .writable = true, .direct = true};
  auto file = std::move(shard.disk().open(path, mode)).value();
  CHECK(file->allocate(kRawBytes) && file->sync());
  return file;
}

// The floor: one write of `together` entries at a time.
struct RawLoop {
  env::Shard& shard;
  std::unique_ptr<env::File> file;
  Buffer block;
  uint64_t together;
  uint64_t piece_bytes;
  bool once;  // stop at the end of the file instead of starting over
  uint64_t at = 0;
  Score score{};

  void run() {
    uint64_t count = 0;
    const env::Instant start = shard.now();
    while (shard.now() - start < kRound) {
      if (at + piece_bytes > kRawBytes) {
        if (once) break;
        at = 0;
      }
      const env::Instant before = shard.now();
      CHECK(file->write_at(at, block.bytes().first(piece_bytes)) && file->sync());
      at += piece_bytes;
      count += together;
      score.latencies_us.push_back(micros(shard.now() - before));
    }
    if (count > 0)
      score.rates.push_back(static_cast<double>(count) /
                            duration<double>(shard.now() - start).count());
  }
};

struct Load {
  env::Shard& shard;
  Writer& writer;
  Slice payload;
  env::Instant until{};
  uint64_t count = 0;
  std::vector<int64_t> bases{};
  Score score{};
};

Task<void> appender(Load& load, uint32_t index, env::Gate::Pass) {
  while (load.shard.now() < load.until) {
    std::vector<Entry> entries(1);
    entries[0].header = {.stream = {Uuid{{1}}, index},
                         .epoch = Epoch(1),
                         .base = Offset(load.bases[index]++),
                         .count = 1};
    entries[0].payload = load.payload;
    const env::Instant before = load.shard.now();
    auto written = co_await load.writer.append(load.shard, std::move(entries));
    CHECK(written.has_value());
    ++load.count;
    load.score.latencies_us.push_back(micros(load.shard.now() - before));
  }
}

Task<void> wal_round(Load& load) {
  load.count = 0;
  const env::Instant start = load.shard.now();
  load.until = start + kRound;
  env::Gate gate(load.shard);
  for (uint32_t i = 0; i < load.bases.size(); ++i)
    load.shard.spawn(appender(load, i, gate.enter()));
  co_await gate.wait_empty();
  load.score.rates.push_back(static_cast<double>(load.count) /
                             duration<double>(load.shard.now() - start).count());
  auto trimmed = co_await load.writer.trim(load.shard, load.writer.durable_end());
  CHECK(trimmed.has_value());
}

Task<void> row(env::Shard& shard, const std::string& folder, Lane lane, uint64_t entry_bytes,
               uint32_t in_flight) {
  FileWalOptions options{.folder = folder, .cluster_id = Uuid{{1}}};
  auto wal = make_file_wal(shard.disk(), options);
  auto made = co_await wal->create(shard, lane);
  CHECK(made.has_value());
  Load load{.shard = shard, .writer = **made, .payload = Slice(Buffer::allocate(entry_bytes))};
  std::ranges::fill(load.payload.buffer().writable(), std::byte{7});
  load.bases.resize(in_flight);

  // What may go in one commit: the log's own limit holds for the floor as well.
  const uint64_t together =
      std::max<uint64_t>(1, std::min<uint64_t>(in_flight, options.group_bytes_max / entry_bytes));
  const uint64_t piece_bytes =
      round_to_page(kGroupHeaderBytes + together * (kEntryHeaderBytes + entry_bytes));
  const Buffer block = env::allocate_pages(piece_bytes, true);
  RawLoop fresh{shard, reserve(shard, folder + "/fresh"), block, together, piece_bytes, true};
  RawLoop again{shard, reserve(shard, folder + "/again"), block, together, piece_bytes, false};
  for (int i = 0; i < kRounds; ++i) {
    co_await wal_round(load);
    fresh.run();
    again.run();
  }
  co_await load.writer.close(shard);
  const env::Instant before = shard.now();
  auto end = co_await wal->seal(shard, lane, Position{});
  CHECK(end.has_value());
  const double seal_ms = micros(shard.now() - before) / 1000;
  auto removed = co_await wal->remove(shard, lane);
  CHECK(removed.has_value());
  CHECK(shard.disk().remove(folder + "/fresh"));

  const double rate = load.score.rate();
  fmt::print(
      "{:>8} {:>6} | {:>9.0f} {:>7.1f} {:>7.0f} {:>7.0f} | {:>9.0f} {:>7.0f} {:>7.0f} | {:>9.0f} | "
      "{:>6.2f} {:>6.2f} | {:>6.1f}\n",
      entry_bytes, in_flight, rate, rate * static_cast<double>(entry_bytes) / 1e6, load.score.p50(),
      load.score.p99(), fresh.score.rate(), fresh.score.p50(), fresh.score.p99(),
      again.score.rate(), rate / fresh.score.rate(), rate / again.score.rate(), seal_ms);
  std::fflush(stdout);
}

Task<void> bench(env::RealEnv& world, std::string folder) {
  env::Shard& shard = world.shard(0);
  CHECK(shard.disk().make_dirs(folder));
  {
    const auto file = reserve(shard, folder + "/again");
    const Buffer block = env::allocate_pages(4u << 20, true);
    for (uint64_t at = 0; at < kRawBytes; at += block.size())
      CHECK(file->write_at(at, block.bytes()));
    CHECK(file->sync());
  }
  fmt::print(
      "{:>8} {:>6} | {:>9} {:>7} {:>7} {:>7} | {:>9} {:>7} {:>7} | {:>9} | {:>6} {:>6} | {:>6}\n",
      "entry", "flying", "appends/s", "MB/s", "p50 us", "p99 us", "fresh/s", "p50 us", "p99 us",
      "again/s", "/fresh", "/again", "seal ms");
  uint64_t incarnation = 1;
  for (const uint64_t bytes : {1u << 10, 64u << 10, 1u << 20})
    for (const uint32_t in_flight : {1u, 64u, 1024u})
      if (bytes * in_flight <= 256u << 20)
        co_await row(shard, folder, Lane{BrokerId(1), Incarnation(incarnation++)}, bytes,
                     in_flight);
  CHECK(shard.disk().remove(folder + "/again"));
  world.stop();
}

}  // namespace
}  // namespace paceline::wal

int main(int argc, char** argv) {
  const std::string folder =
      argc > 1 ? argv[1] : fmt::format("/tmp/paceline-walbench.{}", ::getpid());
  paceline::env::RealEnv world({.shards = 1});
  world.shard(0).spawn(paceline::wal::bench(world, folder));
  world.run();
  if (argc <= 1) std::filesystem::remove_all(folder);
  return 0;
}
