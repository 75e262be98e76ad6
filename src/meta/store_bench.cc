#include <benchmark/benchmark.h>

#include "env/disk.h"
#include "env/sync.h"
#include "env/test_shards.h"
#include "meta/store.h"

// How long a commit takes on this machine's disk, through the real environment. The folder is made
// under /tmp: what is measured is the disk under it.

namespace paceline::meta {
namespace {

Task<void> open(env::Shard& shard, std::string path, std::unique_ptr<Store>* into) {
  auto opened = open_sqlite_store(shard.disk(), shard, std::move(path));
  CHECK(opened.has_value());
  *into = std::move(*opened);
  co_return;
}

Task<void> commits(Store& store, env::Shard& shard, int writer, int count,
                   std::vector<double>* micros) {
  for (int i = 0; i < count; ++i) {
    Transaction transaction;
    transaction.put("bench/" + std::to_string(writer), std::string(200, 'v'));
    const env::Instant begin = shard.now();
    auto done = co_await store.commit(shard, std::move(transaction));
    CHECK(done.has_value());
    micros->push_back(std::chrono::duration<double, std::micro>(shard.now() - begin).count());
  }
}

Task<void> one_writer(Store& store, env::Shard& shard, int writer, int count,
                      std::vector<double>* micros, env::Gate::Pass pass) {
  co_await commits(store, shard, writer, count, micros);
  (void)pass;
}

Task<void> writers(Store& store, env::Shard& shard, int count_writers, int count,
                   std::vector<double>* micros) {
  env::Gate gate(shard);
  for (int i = 0; i < count_writers; ++i)
    shard.spawn(one_writer(store, shard, i, count, micros, gate.enter()));
  co_await gate.wait_empty();
}

Task<void> gets(Store& store, env::Shard& shard, int count, std::vector<double>* micros) {
  for (int i = 0; i < count; ++i) {
    const env::Instant begin = shard.now();
    auto entry = co_await store.get(shard, "bench/0");
    CHECK(entry.has_value());
    micros->push_back(std::chrono::duration<double, std::micro>(shard.now() - begin).count());
  }
}

void report(benchmark::State& state, std::vector<double>& micros) {
  state.SetItemsProcessed(static_cast<int64_t>(micros.size()));
  std::ranges::sort(micros);
  state.counters["p50_us"] = micros[micros.size() / 2];
  state.counters["p99_us"] = micros[micros.size() * 99 / 100];
}

// The two crossings of threads without a sync.
void get_latency(benchmark::State& state) {
  env::RealTestShards world;
  std::unique_ptr<Store> store;
  world.run(0, open(world.shard(0), world.dir() + "/meta.db", &store));
  std::vector<double> micros;
  for (auto _ : state) world.run(0, gets(*store, world.shard(0), 1000, &micros));
  report(state, micros);
}
BENCHMARK(get_latency)->UseRealTime()->Unit(benchmark::kMillisecond);

// Argument: writers at once.
void commit_latency(benchmark::State& state) {
  env::RealTestShards world;
  std::unique_ptr<Store> store;
  world.run(0, open(world.shard(0), world.dir() + "/meta.db", &store));
  const int count_writers = static_cast<int>(state.range(0));
  constexpr int kCommits = 100;  // by each
  std::vector<double> micros;
  for (auto _ : state)
    world.run(0, writers(*store, world.shard(0), count_writers, kCommits, &micros));
  report(state, micros);
}
BENCHMARK(commit_latency)->Arg(1)->Arg(8)->Arg(64)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace paceline::meta
