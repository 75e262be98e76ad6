#include "env/sync.h"

#include <atomic>

#include "env/budget.h"
#include "env/test_world.h"

namespace paceline::env {
namespace {

using namespace std::chrono_literals;

class SyncContract : public ContractTest {};
INSTANTIATE_TEST_SUITE_P(Worlds, SyncContract, ::testing::Values(WorldKind::real, WorldKind::sim),
                         kind_name);

Task<void> wait_for(Event& event, Instant deadline, int& notified, int& late) {
  const bool got = co_await event.wait_until(deadline);
  ++(got ? notified : late);
}
Task<void> events(Shard& shard) {
  Event event(shard);
  int notified = 0;
  int late = 0;
  const Instant start = shard.now();
  for (int i = 0; i < 3; ++i) shard.spawn(wait_for(event, start + 1h, notified, late));
  for (int i = 0; i < 2; ++i) shard.spawn(wait_for(event, start + 5ms, notified, late));
  shard.spawn(wait_for(event, Instant::never(), notified, late));
  co_await sleep_for(shard, 20ms);
  EXPECT_EQ(late, 2);
  EXPECT_EQ(notified, 0);
  event.notify_all();
  EXPECT_EQ(notified, 0);  // never in place
  EXPECT_FALSE(event.has_waiters());
  co_await yield(shard);
  EXPECT_EQ(notified, 4);
  {
    Event gone(shard);
    shard.spawn(wait_for(gone, Instant::never(), notified, late));
    co_await yield(shard);
  }
  co_await yield(shard);
  EXPECT_EQ(notified, 5);  // the end of the event wakes its waiters
}
TEST_P(SyncContract, EventWakesWaitersOrTheirDeadlineDoes) {
  make();
  world->run(events(world->shard(0)));
}

Task<void> leave_waiting(Shard& shard, Event& event, int& notified, int& late) {
  shard.spawn(wait_for(event, shard.now() + 1h, notified, late));
  shard.spawn(wait_for(event, Instant::never(), notified, late));
  co_await yield(shard);
  EXPECT_TRUE(event.has_waiters());
  event.notify_all();
  shard.spawn(wait_for(event, Instant::never(), notified, late));
}
TEST_P(SyncContract, WaitersMayBeDestroyedWaitingOrJustNotified) {
  make();
  int notified = 0;
  int late = 0;
  Event event(world->shard(0));
  world->run(leave_waiting(world->shard(0), event, notified, late));
  EXPECT_FALSE(event.has_waiters());
}

Task<void> consume(Mailbox<std::unique_ptr<int>>& box, std::vector<int>& got, bool& ended) {
  for (;;) {
    auto item = co_await box.next();
    if (!item) break;
    got.push_back(**item);
  }
  ended = true;
}
Task<void> mailboxes(Shard& shard) {
  Mailbox<std::unique_ptr<int>> box(shard);
  std::vector<int> got;
  bool ended = false;
  shard.spawn(consume(box, got, ended));
  co_await yield(shard);
  for (int i = 0; i < 5; ++i) {
    box.put(std::make_unique<int>(i));
    if (i == 2) co_await sleep_for(shard, 1ms);
  }
  box.close();
  EXPECT_FALSE(ended);
  co_await sleep_for(shard, 1ms);
  EXPECT_EQ(got, (std::vector<int>{0, 1, 2, 3, 4}));
  EXPECT_TRUE(ended);
  EXPECT_FALSE(box.try_next());
}
TEST_P(SyncContract, MailboxIsDrainedInOrderBeforeItsEnd) {
  make();
  world->run(mailboxes(world->shard(0)));
}

Task<void> pass_through(Shard& shard, Gate::Pass, Duration stay) {
  co_await sleep_for(shard, stay);
}
Task<void> gates(Shard& shard) {
  Gate gate(shard);
  const Instant start = shard.now();
  for (int i = 1; i <= 3; ++i) {
    auto pass = gate.enter();
    shard.spawn(pass_through(shard, std::move(pass), i * 5ms));
  }
  EXPECT_EQ(gate.inside(), 3u);
  co_await gate.wait_empty();
  EXPECT_EQ(gate.inside(), 0u);
  EXPECT_GE(shard.now() - start, 15ms);
  co_await gate.wait_empty();
}
TEST_P(SyncContract, GateWaitsForAllInside) {
  make();
  world->run(gates(world->shard(0)));
}

Task<void> hold(Shard& shard, Budget& budget, uint64_t bytes, std::string& log, char what) {
  auto permit = co_await budget.acquire(shard, bytes);
  EXPECT_EQ(permit.bytes(), bytes);
  log += what;
  co_await sleep_for(shard, 2ms);
}
Task<void> budgets(Shard& shard) {
  Budget budget(100);
  std::string log;
  auto first = budget.try_acquire(60);
  EXPECT_TRUE(first);
  EXPECT_FALSE(budget.try_acquire(50));
  shard.spawn(hold(shard, budget, 50, log, 'a'));
  shard.spawn(hold(shard, budget, 30, log, 'b'));   // would fit, but 'a' came first
  shard.spawn(hold(shard, budget, 500, log, 'c'));  // above the whole: alone
  shard.spawn(hold(shard, budget, 1, log, 'd'));
  co_await sleep_for(shard, 1ms);
  EXPECT_EQ(log, "");
  EXPECT_FALSE(budget.try_acquire(1));  // somebody waits
  EXPECT_EQ(budget.bytes_held(), 60u);
  first.reset();
  co_await sleep_for(shard, 1ms);
  EXPECT_EQ(log, "ab");
  co_await sleep_for(shard, 30ms);
  EXPECT_EQ(log, "abcd");
  EXPECT_EQ(budget.bytes_held(), 0u);
}
TEST_P(SyncContract, BudgetGrantsInOrderOfArrivalAndTheTooBigAlone) {
  make();
  world->run(budgets(world->shard(0)));
}

Task<void> abandon(Shard& shard, Budget& budget, std::string& log) {
  auto all = co_await budget.acquire(shard, 100);
  shard.spawn(hold(shard, budget, 80, log, 'a'));
  shard.spawn(hold(shard, budget, 20, log, 'b'));
  shard.spawn(hold(shard, budget, 20, log, 'c'));
  co_await yield(shard);
  all.release();  // 'a' and 'b' are granted, but the world ends before they wake
}
TEST_P(SyncContract, BudgetGetsBackWhatDestroyedWaitersWereGranted) {
  Budget budget(100);
  std::string log;
  make();
  world->run(abandon(world->shard(0), budget, log));
  EXPECT_EQ(budget.bytes_held(), 0u);
  EXPECT_EQ(log, "");
  EXPECT_TRUE(budget.try_acquire(100));
}

Task<void> contend(Shard& shard, Budget& budget, std::atomic<int>& inside, int& left) {
  for (int i = 0; i < 200; ++i) {
    auto permit = co_await budget.acquire(shard, 40);
    EXPECT_LE(++inside, 2);
    co_await yield(shard);
    --inside;
  }
  --left;
}
Task<void> contend_all(Shard& shard, Budget& budget, std::atomic<int>& inside) {
  int left = 4;
  for (int i = 0; i < 4; ++i) shard.spawn(contend(shard, budget, inside, left));
  while (left > 0) co_await sleep_for(shard, 1ms);
}
Task<void> shared_budget(Shard& home, Shard& other) {
  Budget budget(100);
  std::atomic<int> inside = 0;
  int done = 0;
  auto here = contend_all(home, budget, inside);
  auto make = [&] { return contend_all(other, budget, inside); };
  auto there = call_on(other, home, make);
  struct Local {
    static Task<void> count(Task<void> task, int& finished) {
      co_await std::move(task);
      ++finished;
    }
  };
  home.spawn(Local::count(std::move(here), done));
  home.spawn(Local::count(std::move(there), done));
  while (done < 2) co_await sleep_for(home, 1ms);
  EXPECT_EQ(budget.bytes_held(), 0u);
}
TEST_P(SyncContract, BudgetIsSharedByShards) {
  make(2);
  world->run(shared_budget(world->shard(0), world->shard(1)));
}

}  // namespace
}  // namespace paceline::env
