#include "base/log.h"
#include "meta/sqlite_store.h"

namespace paceline::meta {

// The blocking half.

Lease SqliteDatabase::grant(std::chrono::seconds ttl, env::Instant now) {
  // Drawn, so that one of an earlier process is not met again.
  const LeaseId id(static_cast<int64_t>(random_.next() >> 1 | 1));
  leases_[id] = {ttl, now + ttl};
  return {id, ttl};
}

bool SqliteDatabase::keep_alive(LeaseId lease, env::Instant now) {
  const auto found = leases_.find(lease);
  if (found == leases_.end() || found->second.end <= now) return false;
  found->second.end = now + found->second.ttl;
  return true;
}

std::optional<env::Instant> SqliteDatabase::end_of(LeaseId lease) const {
  const auto found = leases_.find(lease);
  if (found == leases_.end()) return std::nullopt;
  return found->second.end;
}

Result<Transaction> SqliteDatabase::end_lease(LeaseId lease) {
  TRY_VOID(ensure_open());
  auto commit_of = std::make_shared<SqliteCommit>();
  TRY(commit_of->transaction, removal_of(lease));
  commit_of->ends = lease;
  commit(std::span(&commit_of, 1));
  TRY_VOID(std::move(*commit_of->outcome));
  leases_.erase(lease);
  return std::move(commit_of->transaction);
}

Result<Transaction> SqliteDatabase::removal_of(LeaseId lease) {
  Transaction removal;
  SqliteRun rows(statements_->leased.start().bind(lease.value));
  for (int code = rows->step(); code != SQLITE_DONE; code = rows->step()) {
    if (code != SQLITE_ROW) return failure(code, "read");
    removal.remove(rows->bytes(0));
  }
  return removal;
}

Result<void> SqliteDatabase::add_leased(const Write& write, int64_t revision) {
  SqliteStatement& statement = statements_->put_leased.start();
  const int code = statement.bind(write.key).bind(write.lease.value).bind(revision).step();
  statement.start();
  if (code != SQLITE_DONE) return failure(code, "write");
  return {};
}

Result<void> SqliteDatabase::remove_leased(LeaseId lease) {
  SqliteStatement& statement = statements_->remove_leased.start();
  const int code = statement.bind(lease.value).step();
  statement.start();
  if (code != SQLITE_DONE) return failure(code, "write");
  return {};
}

// In the lane.

Result<void> SqliteCore::end_lease(LeaseId lease) {
  TRY(Transaction removal, database.end_lease(lease));
  auto commit = std::make_shared<SqliteCommit>();
  commit->transaction = std::move(removal);
  commit->outcome.emplace(Revision{});
  wake(std::span(&commit, 1));
  return {};
}

std::optional<env::Instant> SqliteCore::expire(LeaseId lease, env::Instant now) {
  const auto end = database.end_of(lease);
  if (!end || *end > now) return end;
  auto ended = end_lease(lease);
  if (ended) return std::nullopt;
  log_warn("the keys of a lease that has ended stay for now: {}", ended.error().to_string());
  return now + std::chrono::seconds(1);
}

// On the shards.

namespace {

// Nobody awaits it: it goes with the lease, the store or the shard, whichever ends first.
Task<void> expire_when_due(std::weak_ptr<SqliteCore> store, env::Shard& shard, LeaseId lease,
                           env::Instant end) {
  for (;;) {
    co_await env::sleep_until(shard, end);
    auto core = store.lock();
    if (!core) co_return;
    const uint64_t lane = core->lane;
    auto work = [core = std::move(core), lease, now = shard.now()] {
      return core->expire(lease, now);
    };
    const auto again = co_await env::offload(shard, std::move(work), lane);
    if (!again) co_return;
    end = *again;
  }
}

}  // namespace

Task<Result<Lease>> grant_sqlite(std::shared_ptr<SqliteCore> core, env::Shard& shard,
                                 std::chrono::seconds ttl) {
  if (ttl.count() <= 0)
    co_return fail(Code::invalid_argument, "a lease lives for a second at least");
  auto work = [core, ttl, now = shard.now()] { return core->database.grant(ttl, now); };
  const env::Instant end = shard.now() + ttl;
  const Lease lease = co_await env::offload(shard, std::move(work), core->lane);
  shard.spawn(expire_when_due(core, shard, lease.id, end));
  co_return lease;
}

Task<Result<void>> keep_alive_sqlite(std::shared_ptr<SqliteCore> core, env::Shard& shard,
                                     LeaseId lease) {
  auto work = [core, lease, now = shard.now()] { return core->database.keep_alive(lease, now); };
  const bool alive = co_await env::offload(shard, std::move(work), core->lane);
  if (!alive) co_return fail(Code::not_found, "the lease has ended");
  co_return Result<void>{};
}

Task<Result<void>> revoke_sqlite(std::shared_ptr<SqliteCore> core, env::Shard& shard,
                                 LeaseId lease) {
  auto work = [core, lease]() -> Result<void> {
    if (!core->database.end_of(lease)) return {};
    return core->end_lease(lease);
  };
  co_return co_await env::offload(shard, std::move(work), core->lane);
}

}  // namespace paceline::meta
