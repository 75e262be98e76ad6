#include "meta/store_contract.h"

#include <set>

#include "env/shard.h"

namespace paceline::meta {
namespace {

Code code_of(const Result<Revision>& result) {
  EXPECT_FALSE(result);
  return result ? Code::io_error : result.error().code;
}

TEST_P(StoreContract, RevisionsArePositiveAndGrowByOneWhileNobodyElseWrites) {
  const Revision first = world().put("a", "1");
  EXPECT_GE(first, Revision(1));
  EXPECT_EQ(world().put("b", "1"), first + 1);
  EXPECT_EQ(world().put("a", "2"), first + 2);
}

TEST_P(StoreContract, AKeyKnowsWhenItWasCreatedAndModified) {
  EXPECT_FALSE(world().get("a"));
  const Revision created = world().put("a", "1");
  const Revision modified = world().put("a", "2");
  auto entry = world().get("a");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->key, "a");
  EXPECT_EQ(entry->value, "2");
  EXPECT_EQ(entry->created, created);
  EXPECT_EQ(entry->modified, modified);
  ASSERT_TRUE(world().commit(Transaction{}.remove("a")));
  EXPECT_FALSE(world().get("a"));
  const Revision again = world().put("a", "3");
  EXPECT_EQ(world().get("a")->created, again);
}

TEST_P(StoreContract, KeysAndValuesAreAnyBytes) {
  const std::string key("k\0\xff/", 4);
  const std::string value("\0\0v", 3);
  world().put(key, value);
  world().put("empty", "");
  EXPECT_EQ(world().get(key)->value, value);
  EXPECT_EQ(world().get("empty")->value, "");
  EXPECT_FALSE(world().get("k"));
  EXPECT_TRUE(world().commit(Transaction{}.if_value("empty", "").put("x", "1")));
}

TEST_P(StoreContract, ComparesHoldOrNot) {
  const Revision at = world().put("there", "v");
  EXPECT_TRUE(world().commit(Transaction{}.if_exists("there").put("x", "")));
  EXPECT_TRUE(world().commit(Transaction{}.if_absent("gone").put("x", "")));
  EXPECT_TRUE(world().commit(Transaction{}.if_modified_at("there", at).put("x", "")));
  EXPECT_TRUE(world().commit(Transaction{}.if_value("there", "v").put("x", "")));
  EXPECT_EQ(code_of(world().commit(Transaction{}.if_absent("there").put("x", ""))), Code::conflict);
  EXPECT_EQ(code_of(world().commit(Transaction{}.if_exists("gone").put("x", ""))), Code::conflict);
  EXPECT_EQ(code_of(world().commit(Transaction{}.if_modified_at("there", at + 1).put("x", ""))),
            Code::conflict);
  EXPECT_EQ(code_of(world().commit(Transaction{}.if_modified_at("gone", at).put("x", ""))),
            Code::conflict);
  EXPECT_EQ(code_of(world().commit(Transaction{}.if_modified_at("gone", Revision(0)).put("x", ""))),
            Code::conflict);
  EXPECT_EQ(code_of(world().commit(Transaction{}.if_value("there", "w").put("x", ""))),
            Code::conflict);
  EXPECT_EQ(code_of(world().commit(Transaction{}.if_value("gone", "").put("x", ""))),
            Code::conflict);
}

TEST_P(StoreContract, OneCompareThatFailsUndoesTheWholeTransaction) {
  const Revision at = world().put("a", "1");
  auto failed =
      world().commit(Transaction{}.if_exists("a").if_exists("b").put("c", "").remove("a"));
  EXPECT_EQ(code_of(failed), Code::conflict);
  EXPECT_TRUE(world().get("a"));
  EXPECT_FALSE(world().get("c"));
  EXPECT_EQ(world().put("d", ""), at + 1);
}

TEST_P(StoreContract, AllWritesOfATransactionShareOneRevision) {
  auto done = world().commit(Transaction{}.put("a", "1").put("b", "2"));
  ASSERT_TRUE(done);
  EXPECT_EQ(world().get("a")->modified, *done);
  EXPECT_EQ(world().get("b")->modified, *done);
}

TEST_P(StoreContract, WhatChangesNothingGetsNoRevision) {
  const Revision at = world().put("a", "1");
  auto removed = world().commit(Transaction{}.remove("gone"));
  ASSERT_TRUE(removed);
  EXPECT_EQ(*removed, at);
  auto compared = world().commit(Transaction{}.if_exists("a"));
  ASSERT_TRUE(compared);
  EXPECT_EQ(*compared, at);
  EXPECT_EQ(world().put("b", ""), at + 1);
}

TEST_P(StoreContract, RangesAreHalfOpenInKeyOrderAndCutByTheLimit) {
  auto last = world().commit(Transaction{}.put("b", "").put("a", "").put("d", "").put("c", ""));
  ASSERT_TRUE(last);
  auto keys = [&](std::string from, std::string to, size_t count_max) {
    auto range = world().wait(world().store().range(world().shard(0), from, to, count_max));
    EXPECT_TRUE(range);
    std::string text;
    for (const Entry& entry : range->entries) text += entry.key;
    EXPECT_EQ(range->revision, *last);
    return text + (range->more ? "+" : "");
  };
  EXPECT_EQ(keys("a", "d", 10), "abc");
  EXPECT_EQ(keys("a", "c", 1), "a+");
  EXPECT_EQ(keys("a", "c", 2), "ab");
  EXPECT_EQ(keys("b", "", 10), "bcd");
  EXPECT_EQ(keys("x", "z", 10), "");
  EXPECT_EQ(keys("c", "a", 10), "");
}

TEST_P(StoreContract, APrefixIsReadOverManyPages) {
  constexpr int kEntries = 2500;
  int next = 0;
  while (next < kEntries) {
    Transaction transaction;
    for (size_t i = 0; i < kOperationsMax && next < kEntries; ++i, ++next)
      transaction.put("p/" + std::to_string(100000 + next), "v");
    ASSERT_TRUE(world().commit(transaction));
  }
  world().put("p", "before");
  const Revision last = world().put("p0", "after");
  auto range = world().wait(range_prefix(world().store(), world().shard(0), "p/"));
  ASSERT_TRUE(range);
  ASSERT_EQ(range->entries.size(), size_t{kEntries});
  for (int i = 0; i < kEntries; ++i)
    EXPECT_EQ(range->entries[i].key, "p/" + std::to_string(100000 + i));
  EXPECT_EQ(range->revision, last);
  EXPECT_FALSE(range->more);
}

TEST_P(StoreContract, LimitsAreThoseOfEtcd) {
  Transaction writes;
  for (size_t i = 0; i < kOperationsMax; ++i) writes.put("w" + std::to_string(i), "");
  Transaction compares;
  for (size_t i = 0; i < kOperationsMax; ++i) compares.if_absent("c" + std::to_string(i));
  EXPECT_TRUE(world().commit(writes));
  EXPECT_TRUE(world().commit(compares));
  EXPECT_EQ(code_of(world().commit(writes.put("one more", ""))), Code::invalid_argument);
  EXPECT_EQ(code_of(world().commit(compares.if_absent("one more"))), Code::invalid_argument);
  const std::string most(kValueBytesMax, 'x');
  world().put("big", most);
  EXPECT_EQ(world().get("big")->value, most);
  EXPECT_EQ(code_of(world().commit(Transaction{}.put("big", most + "x"))), Code::invalid_argument);
  EXPECT_EQ(code_of(world().commit(Transaction{}.put("b", most).put("c", most))),
            Code::invalid_argument);
  EXPECT_EQ(code_of(world().commit(Transaction{}.put("a", "1").remove("a"))),
            Code::invalid_argument);
  EXPECT_EQ(code_of(world().commit(Transaction{}.put("", "1"))), Code::invalid_argument);
}

TEST_P(StoreContract, EverythingSurvivesAReopen) {
  const Revision first = world().put("a", "1");
  const Revision last = world().put("b", "2");
  world().reopen();
  EXPECT_EQ(world().get("a")->value, "1");
  EXPECT_EQ(world().get("b")->modified, last);
  EXPECT_EQ(world().put("c", ""), last + 1);
  auto changes = watch("", first);
  auto seen = next(*changes, 2);
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].key, "b");
  EXPECT_EQ(seen[1].key, "c");
  drop(std::move(changes));
}

Task<void> increment(Store& store, env::Shard& shard, int times, std::vector<Revision>* revisions) {
  while (times > 0) {
    auto entry = co_await store.get(shard, "counter");
    CHECK(entry.has_value());
    Transaction change;
    if (*entry) {
      change.if_modified_at("counter", (*entry)->modified);
      change.put("counter", std::to_string(std::stoi((*entry)->value) + 1));
    } else {
      change.if_absent("counter").put("counter", "1");
    }
    auto done = co_await store.commit(shard, std::move(change));
    CHECK(done || done.error().code == Code::conflict);
    if (!done) continue;
    revisions->push_back(*done);
    --times;
  }
}

Task<void> increment_eightfold(Store& store, env::Shard& shard, std::vector<Revision>* revisions) {
  int running = 8;
  auto counted = [](Store& s, env::Shard& on, std::vector<Revision>* r, int* left) -> Task<void> {
    co_await increment(s, on, 10, r);
    --*left;
  };
  for (int i = 0; i < 8; ++i) shard.spawn(counted(store, shard, revisions, &running));
  while (running > 0) co_await env::sleep_for(shard, std::chrono::milliseconds(1));
}

TEST_P(StoreContract, RacingCompareAndSwapsLoseNothing) {
  std::vector<Revision> revisions;
  world().run(0, increment_eightfold(world().store(), world().shard(0), &revisions));
  EXPECT_EQ(world().get("counter")->value, "80");
  EXPECT_EQ(std::set<Revision>(revisions.begin(), revisions.end()).size(), 80u);
}

TEST_P(StoreContract, AWatchSeesWholeRevisionsInOrderUnderItsPrefixOnly) {
  const Revision first = world().put("w/a", "0");
  auto changes = watch("w/", first);
  ASSERT_TRUE(world().commit(Transaction{}.put("w/b", "1").put("other", "").put("w/a", "1")));
  world().put("w", "");
  world().put("w0", "");
  ASSERT_TRUE(world().commit(Transaction{}.remove("w/a")));
  auto seen = next(*changes, 3);
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0].revision, first + 1);
  EXPECT_EQ(seen[0].key, "w/a");
  EXPECT_EQ(seen[0].value, "1");
  EXPECT_EQ(seen[1].revision, first + 1);
  EXPECT_EQ(seen[1].key, "w/b");
  EXPECT_EQ(seen[2].revision, first + 4);
  EXPECT_EQ(seen[2].key, "w/a");
  EXPECT_FALSE(seen[2].value);
  drop(std::move(changes));
}

// Starts next() and lets it fall asleep before anything happens.
Task<void> wait_in_background(Watch& watch, std::optional<Result<std::vector<Change>>>* into) {
  into->emplace(co_await watch.next());
}
Task<void> start_and_settle(env::Shard& shard, Watch& watch,
                            std::optional<Result<std::vector<Change>>>* into) {
  shard.spawn(wait_in_background(watch, into));
  co_await env::sleep_for(shard, std::chrono::milliseconds(50));
}
Task<void> until_set(env::Shard& shard, std::optional<Result<std::vector<Change>>>* value) {
  while (!*value) co_await env::sleep_for(shard, std::chrono::milliseconds(1));
}

TEST_P(StoreContract, ASleepingWatchWakesForACommitOfAnotherShard) {
  auto changes = watch("w/", Revision(0), 1);
  std::optional<Result<std::vector<Change>>> seen;
  world().run(1, start_and_settle(world().shard(1), *changes, &seen));
  EXPECT_FALSE(seen);
  world().put("elsewhere", "");
  world().put("w/a", "1");
  world().run(1, until_set(world().shard(1), &seen));
  ASSERT_TRUE(*seen);
  ASSERT_EQ((*seen)->size(), 1u);
  EXPECT_EQ((**seen)[0].key, "w/a");
  drop(std::move(changes), 1);
}

TEST_P(StoreContract, CancelEndsASleepingWatchAndEveryLaterOne) {
  auto changes = watch("w/", Revision(0));
  std::optional<Result<std::vector<Change>>> seen;
  world().run(0, start_and_settle(world().shard(0), *changes, &seen));
  auto cancel = [](Watch& one) -> Task<void> {
    one.cancel();
    co_return;
  };
  world().run(0, cancel(*changes));
  world().run(0, until_set(world().shard(0), &seen));
  ASSERT_FALSE(*seen);
  EXPECT_EQ(seen->error().code, Code::cancelled);
  auto later = world().wait(changes->next());
  ASSERT_FALSE(later);
  EXPECT_EQ(later.error().code, Code::cancelled);
  drop(std::move(changes));
}

TEST_P(StoreContract, AWatchMayGoWhileItsNextIsPending) {
  auto changes = watch("w/", Revision(0));
  std::optional<Result<std::vector<Change>>> seen;
  world().run(0, start_and_settle(world().shard(0), *changes, &seen));
  drop(std::move(changes));
  world().run(0, until_set(world().shard(0), &seen));
  ASSERT_FALSE(*seen);
  EXPECT_EQ(seen->error().code, Code::cancelled);
  world().put("w/a", "nobody listens");
}

TEST_P(StoreContract, ATransactionOfTheMostBytesIsTaken) {
  // Both halves full of operations, and the value as big as the limit leaves it.
  Transaction most;
  size_t bytes = 0;
  for (size_t i = 0; i < kOperationsMax; ++i) {
    const std::string key = "key/" + std::to_string(1000 + i);
    most.if_absent(key);
    most.put(key, "");
    bytes += 2 * key.size();
  }
  most.writes[0].value.assign(kValueBytesMax, 'x');
  most.writes[1].value.assign(kTransactionBytesMax - kValueBytesMax - bytes, 'y');
  auto done = world().commit(most);
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(world().get(most.writes[1].key)->value, most.writes[1].value);
}

TEST_P(StoreContract, ALeaseThatNobodyKeepsTakesItsKeysAlongAtOneRevision) {
  const Lease lease = grant(2);
  EXPECT_GE(lease.ttl, std::chrono::seconds(2));
  auto put = world().commit(
      Transaction{}.put("l/a", "1", lease.id).put("l/b", "2", lease.id).put("l/stays", ""));
  ASSERT_TRUE(put);
  EXPECT_EQ(world().get("l/a")->value, "1");
  auto changes = watch("l/", *put);
  auto seen = next(*changes, 2);
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].key, "l/a");
  EXPECT_EQ(seen[1].key, "l/b");
  EXPECT_FALSE(seen[0].value);
  EXPECT_FALSE(seen[1].value);
  EXPECT_GT(seen[0].revision, *put);
  EXPECT_EQ(seen[0].revision, seen[1].revision);
  EXPECT_FALSE(world().get("l/a"));
  EXPECT_TRUE(world().get("l/stays"));
  EXPECT_EQ(keep_alive(lease.id).error().code, Code::not_found);
  drop(std::move(changes));
}

TEST_P(StoreContract, ALeaseThatIsKeptAliveOutlivesItsTtl) {
  const Lease lease = grant(2);
  ASSERT_TRUE(world().commit(Transaction{}.put("a", "1", lease.id)));
  for (int i = 0; i < 10; ++i) {
    pass(std::chrono::milliseconds(400));
    ASSERT_TRUE(keep_alive(lease.id)) << i;
  }
  EXPECT_TRUE(world().get("a"));
  EXPECT_TRUE(revoke(lease.id));
}

TEST_P(StoreContract, ARevokedLeaseEndsAtOnceAndIsGoodForNothing) {
  const Lease lease = grant(60);
  ASSERT_TRUE(world().commit(Transaction{}.put("a", "1", lease.id)));
  ASSERT_TRUE(revoke(lease.id));
  EXPECT_FALSE(world().get("a"));
  EXPECT_TRUE(revoke(lease.id));
  EXPECT_EQ(keep_alive(lease.id).error().code, Code::not_found);
  auto late = Transaction{}.put("b", "2").put("a", "2", lease.id);
  EXPECT_EQ(code_of(world().commit(late)), Code::not_found);
  EXPECT_EQ(code_of(world().commit(late.if_exists("gone"))), Code::conflict);
  EXPECT_FALSE(world().get("b"));
  EXPECT_EQ(
      world().wait(world().store().grant(world().shard(0), std::chrono::seconds(0))).error().code,
      Code::invalid_argument);
}

TEST_P(StoreContract, AKeyPutAgainBelongsToItsLastLeaseOnly) {
  const Lease first = grant(60);
  const Lease second = grant(60);
  ASSERT_TRUE(world().commit(Transaction{}
                                 .put("freed", "", first.id)
                                 .put("moved", "", first.id)
                                 .put("gone", "", first.id)));
  ASSERT_TRUE(
      world().commit(Transaction{}.put("freed", "").put("moved", "", second.id).remove("gone")));
  world().put("gone", "again");
  ASSERT_TRUE(revoke(first.id));
  EXPECT_TRUE(world().get("freed"));
  EXPECT_TRUE(world().get("moved"));
  EXPECT_TRUE(world().get("gone"));
  ASSERT_TRUE(revoke(second.id));
  EXPECT_TRUE(world().get("freed"));
  EXPECT_FALSE(world().get("moved"));
}

TEST(PrefixEnd, IsTheFirstKeyBehindAllWithThePrefix) {
  EXPECT_EQ(prefix_end("a/"), "a0");
  EXPECT_EQ(prefix_end("a\xff"), "b");
  EXPECT_EQ(prefix_end("\xff\xff"), "");
  EXPECT_EQ(prefix_end(""), "");
}

}  // namespace
}  // namespace paceline::meta
