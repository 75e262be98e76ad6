#include <signal.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

#include "env/sync.h"
#include "env/test_world.h"

namespace paceline::env {
namespace {

using namespace std::chrono_literals;

class ShardContract : public ContractTest {};
INSTANTIATE_TEST_SUITE_P(Worlds, ShardContract, ::testing::Values(WorldKind::real, WorldKind::sim),
                         kind_name);

Task<int> twice(int value) {
  co_return value * 2;
}

Task<void> append(std::string& log, char what, Shard& shard, int yields) {
  for (int i = 0; i < yields; ++i) co_await yield(shard);
  log += what;
}

Task<void> tasks_and_posts(Shard& shard) {
  std::string log;
  shard.post([&log] { log += 'a'; });
  shard.post([&log] { log += 'b'; });
  shard.spawn(append(log, 'c', shard, 0));
  log += '0';
  co_await yield(shard);
  EXPECT_EQ(log, "0abc");
  EXPECT_EQ(co_await twice(21), 42);
}
TEST_P(ShardContract, PostsAndSpawnedTasksRunLaterInOrder) {
  make();
  world->run(tasks_and_posts(world->shard(0)));
}

Task<void> sleeper(Shard& shard, Duration duration, std::string& log, char what) {
  co_await sleep_for(shard, duration);
  log += what;
}
Task<void> timers(Shard& shard) {
  std::string log;
  const Instant start = shard.now();
  shard.spawn(sleeper(shard, 30ms, log, 'c'));
  shard.spawn(sleeper(shard, 10ms, log, 'a'));
  shard.spawn(sleeper(shard, 20ms, log, 'b'));
  const auto cancelled = shard.run_at(start + 15ms, [&log] { log += 'x'; });
  shard.run_at(start + 1h, [&log] { log += 'y'; });
  shard.cancel_timer(cancelled);
  shard.cancel_timer(cancelled);
  co_await sleep_for(shard, 60ms);
  EXPECT_EQ(log, "abc");
  EXPECT_GE(shard.now() - start, 60ms);
  EXPECT_LT(shard.now() - start, 10s);
}
TEST_P(ShardContract, TimersRunInOrderOfTheirInstantsAndNotWhenCancelled) {
  make();
  world->run(timers(world->shard(0)));
}

Task<void> lane_writer(Shard& shard, uint64_t lane, std::vector<int>& order,
                       std::atomic<int>& inside, int id) {
  auto work = [&order, &inside, id] {
    EXPECT_EQ(++inside, 1);
    order.push_back(id);
    --inside;
    return id;
  };
  const int got = co_await offload(shard, work, lane);
  EXPECT_EQ(got, id);
}
Task<void> lanes(Shard& shard) {
  std::vector<int> order;
  std::atomic<int> inside = 0;
  for (int id = 0; id < 50; ++id) shard.spawn(lane_writer(shard, 7, order, inside, id));
  int last = 0;
  auto work = [] {};
  co_await offload(shard, work);
  auto final_work = [&last] { last = 1; };
  co_await offload(shard, final_work, 7);
  EXPECT_EQ(last, 1);
  EXPECT_EQ(order.size(), 50u);
  EXPECT_TRUE(std::ranges::is_sorted(order));
}
TEST_P(ShardContract, WorksOfOneLaneRunOneAfterTheOther) {
  make();
  world->run(lanes(world->shard(0)));
}

Task<std::string> on_other(Shard& shard, std::string text) {
  co_await sleep_for(shard, 1ms);
  co_return text + " at " + std::to_string(shard.index());
}
Task<void> on_other_void(Shard& shard, int& count) {
  co_await yield(shard);
  ++count;
}
Task<void> crossing(Shard& home, Shard& other) {
  for (int i = 0; i < 100; ++i) {
    auto make = [&other, text = std::to_string(i)] { return on_other(other, text); };
    const std::string answer = co_await call_on(other, home, std::move(make));
    EXPECT_EQ(answer, std::to_string(i) + " at " + std::to_string(other.index()));
  }
  int count = 0;
  auto make = [&other, &count] { return on_other_void(other, count); };
  co_await call_on(other, home, make);
  auto here = [&home, &count] { return on_other_void(home, count); };
  co_await call_on(home, home, here);
  EXPECT_EQ(count, 2);
}
TEST_P(ShardContract, CallOnRunsThereAndComesBackWithTheValue) {
  make(2);
  world->run(crossing(world->shard(0), world->shard(1)));
}

Task<void> hop(Shard& home, Shard& other, int& left) {
  for (int i = 0; i < 200; ++i) {
    auto make = [] { return twice(1); };
    EXPECT_EQ(co_await call_on(other, home, make), 2);
  }
  --left;
}
Task<void> many_hops(Shard& home, Shard& other) {
  int left = 20;
  for (int i = 0; i < 20; ++i) home.spawn(hop(home, other, left));
  while (left > 0) co_await sleep_for(home, 1ms);
}
TEST_P(ShardContract, ManyTasksMayCrossAtOnce) {
  make(2);
  world->run(many_hops(world->shard(0), world->shard(1)));
}

struct Counted {
  explicit Counted(int& count) : alive(&count) { ++*alive; }
  Counted(Counted&& other) noexcept : alive(std::exchange(other.alive, nullptr)) {}
  ~Counted() {
    if (alive) --*alive;
  }
  int* alive;
};
Task<void> stuck_below(Shard& shard, Counted) {
  co_await sleep_for(shard, 100h);
}
Task<void> stuck(Shard& shard, Counted, int& count) {
  auto below = stuck_below(shard, Counted(count));
  co_await std::move(below);
}
Task<void> leave_suspended(Shard& shard, int& count) {
  for (int i = 0; i < 10; ++i) shard.spawn(stuck(shard, Counted(count), count));
  co_await yield(shard);
  auto held = std::make_shared<Counted>(count);
  auto slow = [held] {};
  shard.offload(0, slow, [held] {});
  shard.run_at(shard.now() + 100h, [held] {});
  shard.post([held, &shard] { shard.post([held] {}); });
  EXPECT_EQ(count, 21);
}
TEST_P(ShardContract, TheEndOfTheWorldDestroysSuspendedTasksAllTheWayDown) {
  int count = 0;
  make();
  world->run(leave_suspended(world->shard(0), count));
  EXPECT_EQ(count, 0);
  world.reset();
}

Task<void> wait_with_deadline(Shard& shard, Event& event) {
  co_await event.wait_until(shard.now() + 100h);
}
Task<void> keep_event(Shard& shard, std::shared_ptr<Event>) {
  co_await sleep_for(shard, 100h);
}
Task<void> share_event(Shard& home, Shard& other) {
  auto event = std::make_shared<Event>(home);
  home.spawn(wait_with_deadline(home, *event));
  other.post([&other, event] { other.spawn(keep_event(other, event)); });
  co_await sleep_for(home, 20ms);
}
TEST_P(ShardContract, AFrameOfOneShardMayHoldTheLastReferenceToAnothersEvent) {
  make(2);
  world->run(share_event(world->shard(0), world->shard(1)));
}

Task<void> never_runs(Counted) {
  co_return;
}
TEST_P(ShardContract, AShardThatHasEndedDropsWhatItIsGiven) {
  int count = 0;
  make();
  Shard& shard = world->shard(0);
  world->run(tasks_and_posts(shard));
  shard.spawn(never_runs(Counted(count)));
  shard.post([held = Counted(count)] {});
  shard.offload(3, [held = Counted(count)] {}, [held = Counted(count)] {});
  shard.cancel_timer(shard.run_at(shard.now(), [held = Counted(count)] {}));
  EXPECT_EQ(count, 0);
}

Task<void> block_until_both(Shard& shard, std::atomic<int>& arrived, std::atomic<int>& left,
                            RealEnv& env) {
  ++arrived;
  // Only two threads at once can pass here: each blocks its shard until the other has come.
  const Instant limit = shard.now() + 20s;
  while (arrived < 2 && shard.now() < limit) std::this_thread::yield();
  EXPECT_EQ(arrived, 2);
  if (--left == 0) env.stop();
  co_return;
}
TEST(RealEnv, TwoShardsRunInParallel) {
  RealEnv env({.shards = 2});
  std::atomic<int> arrived = 0;
  std::atomic<int> left = 2;
  env.shard(0).spawn(block_until_both(env.shard(0), arrived, left, env));
  env.shard(1).spawn(block_until_both(env.shard(1), arrived, left, env));
  env.run();
  EXPECT_EQ(left, 0);
}

Task<void> raise_signal(Shard& shard) {
  co_await sleep_for(shard, 5ms);
  ::raise(SIGUSR1);
}
TEST(RealEnv, ASignalRunsItsCallbackAndTheWorldStops) {
  RealEnv env({});
  int heard = 0;
  env.on_signal({SIGUSR1, SIGUSR2}, [&] {
    if (++heard == 3) {
      env.stop();
    } else {
      ::raise(SIGUSR2);
    }
  });
  env.shard(0).spawn(raise_signal(env.shard(0)));
  env.run();
  EXPECT_EQ(heard, 3);
}

TEST(RealEnv, StopBeforeRunReturnsAtOnce) {
  RealEnv env({.shards = 2});
  env.stop();
  env.run();
}

Task<void> slow_lane_does_not_block(Shard& shard) {
  std::atomic<bool> release = false;
  auto blocked = [&release] {
    while (!release) std::this_thread::yield();
  };
  for (uint64_t lane = 1; lane <= 3; ++lane) shard.offload(lane, blocked, [] {});
  auto quick = [&release] { return release.load(); };
  const bool was_released = co_await offload(shard, quick, 4);
  EXPECT_FALSE(was_released);
  release = true;
  for (uint64_t lane = 1; lane <= 3; ++lane) co_await offload(shard, quick, lane);
}
TEST(RealEnv, ABlockedLaneHoldsUpNobodyElse) {
  RealTestWorld world(1);
  world.run(slow_lane_does_not_block(world.shard(0)));
}

}  // namespace
}  // namespace paceline::env
