#include "meta/model.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "env/sim_world.h"

// What the model does wrong, on purpose: by a seed, and never more than etcd does.

namespace paceline::meta {
namespace {

using namespace std::chrono_literals;

constexpr int kWriters = 4;

// Two hosts write, each with an own store, and one of them follows what happens.
struct Scene {
  explicit Scene(uint64_t seed) : world(seed), model(seed) {
    for (int i = 0; i < 2; ++i) {
      env::SimHost& host = world.add_host("host" + std::to_string(i));
      host.start(2);
      stores.push_back(model.connect());
    }
  }
  ~Scene() {
    for (const char* name : {"host0", "host1"}) world.host(name).stop();
  }
  env::Shard& shard(int of) {
    return world.host("host" + std::to_string(of % 2)).shard(static_cast<size_t>(of / 2 % 2));
  }

  env::SimWorld world;
  Model model;
  std::vector<std::unique_ptr<Store>> stores;
  int acknowledged[kWriters] = {};
  int in_doubt[kWriters] = {};
  int running = 0;
  std::map<std::string, std::string> followed;
  int listings = 0;
  int unknown = 0;
  bool stop = false;
};

// Adds one to a counter of its own as often as it can. After an unknown outcome it reads back, as a
// broker does.
Task<void> count_up(Scene* run, int writer) {
  ++run->running;
  env::Shard& shard = run->shard(writer);
  Store& store = *run->stores[static_cast<size_t>(writer % 2)];
  const std::string key = "count/" + std::to_string(writer);
  while (!run->stop) {
    auto entry = co_await store.get(shard, key);
    if (!entry) continue;
    const int value = *entry ? std::stoi((*entry)->value) : 0;
    EXPECT_GE(value, run->acknowledged[writer]);
    EXPECT_LE(value, run->acknowledged[writer] + run->in_doubt[writer]);
    Transaction next;
    if (*entry)
      next.if_modified_at(key, (*entry)->modified);
    else
      next.if_absent(key);
    next.put(key, std::to_string(value + 1));
    run->in_doubt[writer] += 1;
    auto done = co_await store.commit(shard, next);
    if (done) {
      run->acknowledged[writer] = value + 1;
      // Of those in doubt before, none can follow: their compare names a revision that is over.
      run->in_doubt[writer] = 0;
    } else if (done.error().code == Code::unavailable) {
      run->in_doubt[writer] -= 1;
    } else {
      EXPECT_TRUE(done.error().code == Code::maybe_written || done.error().code == Code::conflict);
      run->unknown += done.error().code == Code::maybe_written;
    }
    co_await env::sleep_for(shard, 1ms);
  }
  --run->running;
}

Task<void> follow(Scene* run) {
  env::Shard& shard = run->shard(0);
  Store& store = *run->stores[0];
  std::unique_ptr<Watch> watch;
  for (;;) {
    if (!watch) {
      auto range = co_await range_prefix(store, shard, "count/");
      if (!range) continue;
      ++run->listings;
      run->followed.clear();
      for (const Entry& entry : range->entries) run->followed[entry.key] = entry.value;
      watch = std::move(*store.watch(shard, "count/", range->revision));
    }
    auto changes = co_await watch->next();
    if (!changes) {
      EXPECT_EQ(changes.error().code, Code::compacted);
      watch.reset();
      continue;
    }
    for (const Change& change : *changes) {
      EXPECT_GE(std::stoi(*change.value), std::stoi("0" + run->followed[change.key]));
      run->followed[change.key] = *change.value;
    }
  }
}

Task<void> list(Scene* run, std::map<std::string, std::string>* into) {
  auto range = co_await range_prefix(*run->stores[1], run->shard(1), "count/");
  CHECK(range);
  for (const Entry& entry : range->entries) (*into)[entry.key] = entry.value;
}

// What all seeds of a test came to, so that it is seen to have tried something.
struct Sum {
  int listings = 0;
  int commits = 0;
  int unknown = 0;
};

uint64_t run_seed(uint64_t seed, Sum* sum) {
  Scene run(seed);
  ModelFaults& faults = run.model.faults();
  faults = {.refused = 0.05,
            .lost_request = 0.05,
            .lost_answer = 0.05,
            .late = 0.05,
            .foreign_write = 0.3,
            .watch_cut = 0.2};
  run.shard(0).spawn(follow(&run));
  for (int i = 0; i < kWriters; ++i) run.shard(i).spawn(count_up(&run, i));
  for (int i = 0; i < 10; ++i) {
    run.world.run_for(std::chrono::milliseconds(run.world.random().between(500, 3000)));
    if (run.world.random().chance(0.5)) run.model.cut_watches();
    if (run.world.random().chance(0.5))
      run.model.down_until(run.world.now() +
                           std::chrono::milliseconds(run.world.random().between(10, 8000)));
    if (run.world.random().chance(0.5)) run.model.compact();
  }
  run.stop = true;
  EXPECT_TRUE(run.world.run_until([&] { return run.running == 0; }, 1min));
  faults = {};
  run.world.run_for(10s);
  std::map<std::string, std::string> last;
  run.shard(1).spawn(list(&run, &last));
  EXPECT_TRUE(run.world.run_until([&] { return !last.empty(); }, 1min));
  run.world.run_for(1s);
  EXPECT_EQ(run.followed, last);
  sum->listings += run.listings;
  sum->unknown += run.unknown;
  for (const int acknowledged : run.acknowledged) sum->commits += acknowledged;
  return run.world.trace_hash();
}

TEST(Model, CountersLoseNothingAndWatchesMissNothingWhateverGoesWrong) {
  Sum sum;
  for (uint64_t seed = 1; seed <= 30 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    run_seed(seed, &sum);
  }
  EXPECT_GT(sum.listings, 40);  // some were compacted away
  EXPECT_GT(sum.commits, 3'000);
  EXPECT_GT(sum.unknown, 500);
}

TEST(Model, ASeedRunTwiceIsTheSameRun) {
  Sum sum;
  for (uint64_t seed = 1; seed <= 3; ++seed) EXPECT_EQ(run_seed(seed, &sum), run_seed(seed, &sum));
}

Task<void> commit_once(Scene* run, std::optional<Result<Revision>>* outcome) {
  Transaction transaction;
  transaction.put("late", "x");
  outcome->emplace(co_await run->stores[0]->commit(run->shard(0), std::move(transaction)));
}
Task<void> read_once(Scene* run, std::optional<Result<std::optional<Entry>>>* outcome) {
  outcome->emplace(co_await run->stores[0]->get(run->shard(0), "late"));
}

TEST(Model, ACommitThatWasReadBackAsAbsentMayStillHappen) {
  Scene run(1);
  run.model.faults().late = 1;
  std::optional<Result<Revision>> outcome;
  run.shard(0).spawn(commit_once(&run, &outcome));
  ASSERT_TRUE(run.world.run_until([&] { return outcome.has_value(); }, 1min));
  EXPECT_EQ(outcome->error().code, Code::maybe_written);
  bool absent = false, there = false;
  while (!there) {
    std::optional<Result<std::optional<Entry>>> read;
    run.shard(0).spawn(read_once(&run, &read));
    ASSERT_TRUE(run.world.run_until([&] { return read.has_value(); }, 1min));
    there = (*read)->has_value();
    absent |= !there;
    if (!there) run.world.run_for(50ms);
  }
  EXPECT_TRUE(absent);
}

TEST(Model, WhileAllMembersAreDownACallEndsUnavailable) {
  Scene run(1);
  run.model.down_until(run.world.now() + 1h);
  std::optional<Result<std::optional<Entry>>> read;
  std::optional<Result<Revision>> outcome;
  run.shard(0).spawn(read_once(&run, &read));
  run.shard(0).spawn(commit_once(&run, &outcome));
  ASSERT_TRUE(run.world.run_until([&] { return read && outcome; }, 10s));
  EXPECT_EQ(read->error().code, Code::unavailable);
  EXPECT_EQ(outcome->error().code, Code::unavailable);
}

Task<void> hold_lease(Scene* run, int* state) {
  env::Shard& shard = run->shard(0);
  Store& store = *run->stores[0];
  const auto lease = co_await store.grant(shard, 2s);
  Transaction transaction;
  transaction.put("held", "", lease->id);
  CHECK(co_await store.commit(shard, std::move(transaction)));
  *state = 1;
  while (co_await store.keep_alive(shard, lease->id)) co_await env::sleep_for(shard, 500ms);
  *state = 2;
}

TEST(Model, AllLeasesMayEndAtOnceAndNoneEndsWhileNobodyLeads) {
  Scene run(1);
  int state = 0;
  run.shard(0).spawn(hold_lease(&run, &state));
  ASSERT_TRUE(run.world.run_until([&] { return state == 1; }, 1min));
  run.model.down_until(run.world.now() + 4s);  // longer than it lives
  run.world.run_for(10s);
  EXPECT_EQ(state, 1);
  run.model.end_leases();
  EXPECT_TRUE(run.world.run_until([&] { return state == 2; }, 1min));
}

}  // namespace
}  // namespace paceline::meta
