#include <benchmark/benchmark.h>

#include "cluster/balance.h"

// A plan for a hundred thousand partitions: a broker that is added, and one whose load cannot be
// leveled, so that all of it is looked through in vain.

namespace paceline::cluster {
namespace {

std::vector<BalanceBroker> brokers_of(int32_t count) {
  std::vector<BalanceBroker> all;
  for (int32_t id = 1; id <= count; ++id) all.push_back({BrokerId(id), "", 1});
  return all;
}

std::vector<BalancePartition> partitions_of(int32_t count, int32_t leaders, bool loaded) {
  std::vector<BalancePartition> all;
  uint64_t state = 3;
  for (int32_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    const BrokerId leader(1 + i % leaders);
    const double load = loaded ? static_cast<double>((state >> 33) % 100'000) : 0;
    all.push_back({{Uuid{}, static_cast<uint32_t>(i)}, leader, {leader}, load});
  }
  return all;
}

void plan(benchmark::State& state, const std::vector<BalanceBroker>& brokers,
          const std::vector<BalancePartition>& partitions) {
  const BalanceBounds bounds{.tolerance = 0.1, .moves_max = 1024, .light_load = 1 << 20};
  size_t moves = 0;
  for (auto _ : state) moves = plan_balance(brokers, partitions, bounds).size();
  state.counters["moves"] = static_cast<double>(moves);
}

void AddedBroker(benchmark::State& state) {
  const auto others = static_cast<int32_t>(state.range(0));
  plan(state, brokers_of(others + 1), partitions_of(100'000, others, state.range(1) != 0));
}
BENCHMARK(AddedBroker)
    ->ArgNames({"brokers", "loaded"})
    ->ArgsProduct({{3, 20}, {0, 1}})
    ->Unit(benchmark::kMillisecond);

void NothingToDo(benchmark::State& state) {
  plan(state, brokers_of(20), partitions_of(100'000, 20, true));
}
BENCHMARK(NothingToDo)->Unit(benchmark::kMillisecond);

void OneTooHeavy(benchmark::State& state) {
  auto partitions = partitions_of(100'000, 20, false);
  partitions[0].load = 1e9;
  plan(state, brokers_of(20), partitions);
}
BENCHMARK(OneTooHeavy)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace paceline::cluster
