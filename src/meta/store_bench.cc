#include <benchmark/benchmark.h>

#include "env/disk.h"
#include "env/sync.h"
#include "env/test_shards.h"
#include "meta/etcd.h"
#include "meta/etcd_cluster_test.h"
#include "meta/store.h"

// How long a commit takes through the real environment: on this machine's disk (a folder under
// /tmp: what is measured is the disk under it), and on three etcds of this machine, in memory.

namespace paceline::meta {
namespace {

enum Kind { kSqlite, kEtcd };

Task<void> open(env::Shard& shard, Kind kind, std::string where, std::unique_ptr<Store>* into) {
  auto opened = kind == kSqlite ? open_sqlite_store(shard.disk(), shard, where + "/meta.db")
                                : open_etcd_store(shard, *parse_etcd_url(where));
  CHECK(opened.has_value());
  *into = std::move(*opened);
  co_return;
}

// The store goes before its shards.
struct Bench {
  explicit Bench(Kind kind) {
    std::string where = world.dir();
    if (kind == kEtcd) {
      static EtcdCluster cluster;
      where = "etcd://" + cluster.endpoints() + "/bench";
    }
    world.run(0, open(world.shard(0), kind, where, &store));
  }
  env::RealTestShards world;
  std::unique_ptr<Store> store;
};

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

// Argument: the kind of store. On SQLite it is two crossings of threads without a sync.
void get_latency(benchmark::State& state) {
  Bench bench(static_cast<Kind>(state.range(0)));
  env::Shard& shard = bench.world.shard(0);
  std::vector<double> micros;
  for (auto _ : state) bench.world.run(0, gets(*bench.store, shard, 1000, &micros));
  report(state, micros);
}
BENCHMARK(get_latency)->Arg(kSqlite)->Arg(kEtcd)->UseRealTime()->Unit(benchmark::kMillisecond);

// Arguments: the kind of store, writers at once.
void commit_latency(benchmark::State& state) {
  Bench bench(static_cast<Kind>(state.range(0)));
  env::Shard& shard = bench.world.shard(0);
  const int count_writers = static_cast<int>(state.range(1));
  constexpr int kCommits = 100;  // by each
  std::vector<double> micros;
  for (auto _ : state)
    bench.world.run(0, writers(*bench.store, shard, count_writers, kCommits, &micros));
  report(state, micros);
}
BENCHMARK(commit_latency)
    ->ArgsProduct({{kSqlite, kEtcd}, {1, 8, 64}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace paceline::meta
