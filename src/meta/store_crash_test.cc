#include <gtest/gtest.h>

#include "env/sim_world.h"
#include "meta/store.h"

// The whole store, with writers that run side by side, on a simulated host that loses power.

namespace paceline::meta {
namespace {

constexpr int kWriters = 4;

// What the writers know; it outlives the host's processes.
struct Ledger {
  int acknowledged[kWriters] = {};  // the last value each of them was told is written
  int tried[kWriters] = {};
  Revision newest{};
  bool opened = false;
};

std::string key_of(int writer) {
  return "writer/" + std::to_string(writer);
}

Task<void> write(Store& store, env::Shard& shard, int writer, Ledger* ledger) {
  for (;;) {
    const int value = ++ledger->tried[writer];
    Transaction transaction;
    transaction.put(key_of(writer), std::to_string(value));
    transaction.put(key_of(writer) + "/again", std::to_string(value));
    auto done = co_await store.commit(shard, std::move(transaction));
    if (!done) co_return;  // the power is off
    EXPECT_GT(*done, ledger->newest);
    ledger->newest = *done;
    ledger->acknowledged[writer] = value;
  }
}

Task<void> open(env::Shard& shard, std::unique_ptr<Store>* into, Ledger* ledger) {
  auto opened = open_sqlite_store(shard.disk(), shard, "data/meta.db");
  EXPECT_TRUE(opened || opened.error().code == Code::io_error) << opened.error().to_string();
  if (opened) *into = std::move(*opened);
  ledger->opened = true;
  co_return;
}

Task<void> check(Store& store, env::Shard& shard, Ledger* ledger, bool* done) {
  auto range = co_await range_prefix(store, shard, "writer/");
  EXPECT_TRUE(range) << range.error().to_string();
  *done = true;
  if (!range) co_return;
  EXPECT_GE(range->revision, ledger->newest);
  ledger->newest = range->revision;
  std::map<std::string, int> found;
  for (const Entry& entry : range->entries) found[entry.key] = std::stoi(entry.value);
  for (int i = 0; i < kWriters; ++i) {
    const int value = found[key_of(i)];
    EXPECT_EQ(value, found[key_of(i) + "/again"]) << "half of a transaction";
    EXPECT_TRUE(value == ledger->acknowledged[i] || value == ledger->tried[i])
        << value << " after " << ledger->acknowledged[i] << " and " << ledger->tried[i];
    ledger->acknowledged[i] = ledger->tried[i] = value;
  }
}

// Opens the store in a new life of the host; nothing if the power went.
std::unique_ptr<Store> start(env::SimWorld& world, env::SimHost& host, Ledger& ledger) {
  std::unique_ptr<Store> store;
  host.start(2);
  ledger.opened = false;
  host.shard(0).spawn(open(host.shard(0), &store, &ledger));
  EXPECT_TRUE(world.run_until([&] { return ledger.opened; }, std::chrono::seconds(10)));
  return store;
}

uint64_t run_seed(uint64_t seed, int* commits) {
  env::SimWorld world(seed);
  env::SimHost& host = world.add_host("host");
  Ledger ledger;
  for (int round = 0; round < 8; ++round) {
    // The power goes inside of some disk operation, or at some moment.
    if (world.random().chance(0.7)) host.disk().power_off_after(world.random().below(400));
    auto store = start(world, host, ledger);
    if (store) {
      for (int i = 0; i < kWriters; ++i) {
        env::Shard& shard = host.shard(static_cast<size_t>(i) % 2);
        shard.spawn(write(*store, shard, i, &ledger));
      }
      world.run_for(std::chrono::milliseconds(world.random().between(1, 60)));
    }
    host.crash();
    store.reset();
    store = start(world, host, ledger);
    EXPECT_TRUE(store) << "seed " << seed << " round " << round;
    if (!store) break;
    bool done = false;
    host.shard(0).spawn(check(*store, host.shard(0), &ledger, &done));
    EXPECT_TRUE(world.run_until([&] { return done; }, std::chrono::seconds(10)));
    host.crash();
    store.reset();
  }
  *commits += static_cast<int>(ledger.newest.value);
  return world.trace_hash();
}

TEST(StoreCrash, AcknowledgedCommitsOfManyWritersSurviveEveryPowerCut) {
  int commits = 0;
  for (uint64_t seed = 1; seed <= 40 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    run_seed(seed, &commits);
  }
  EXPECT_GT(commits, 1000);
}

TEST(StoreCrash, ASeedRunTwiceIsTheSameRun) {
  int commits = 0;
  for (uint64_t seed = 1; seed <= 3; ++seed)
    EXPECT_EQ(run_seed(seed, &commits), run_seed(seed, &commits));
}

}  // namespace
}  // namespace paceline::meta
