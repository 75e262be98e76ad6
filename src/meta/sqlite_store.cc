#include "meta/sqlite_store.h"

#include "meta/limits.h"

namespace paceline::meta {
namespace {

using CorePtr = std::shared_ptr<SqliteCore>;

// The tasks hold the core, not the store: a store may go while a call of it is still on its way.
Task<Result<std::optional<Entry>>> get_entry(CorePtr core, env::Shard& shard, std::string key) {
  auto work = [core, key = std::move(key)] { return core->database.get(key); };
  co_return co_await env::offload(shard, std::move(work), core->lane);
}

Task<Result<Range>> get_range(CorePtr core, env::Shard& shard, std::string from, std::string to,
                              size_t count_max) {
  if (count_max == 0) co_return fail(Code::invalid_argument, "a range of no entries was asked for");
  auto work = [core, from = std::move(from), to = std::move(to), count_max] {
    return core->database.range(from, to, count_max);
  };
  co_return co_await env::offload(shard, std::move(work), core->lane);
}

// Two turns in the lane: whoever queues while a commit waits for the disk is there when the next
// one starts, and shares its sync.
Task<Result<Revision>> commit_grouped(CorePtr core, env::Shard& shard, Transaction transaction) {
  CO_TRY_VOID(check_limits(transaction));
  auto own = std::make_shared<SqliteCommit>(SqliteCommit{std::move(transaction), std::nullopt});
  auto enqueue = [core, weak = std::weak_ptr(own)] { core->queue.push_back(weak); };
  co_await env::offload(shard, std::move(enqueue), core->lane);
  auto write = [core, own] {
    if (!own->outcome) core->commit_queue(*own);
    return *own->outcome;
  };
  co_return co_await env::offload(shard, std::move(write), core->lane);
}

class SqliteStore final : public Store {
 public:
  explicit SqliteStore(CorePtr core) : core_(std::move(core)) {}

  Task<Result<std::optional<Entry>>> get(env::Shard& shard, std::string key) override {
    return get_entry(core_, shard, std::move(key));
  }
  Task<Result<Range>> range(env::Shard& shard, std::string from, std::string to,
                            size_t count_max) override {
    return get_range(core_, shard, std::move(from), std::move(to), count_max);
  }
  Task<Result<Revision>> commit(env::Shard& shard, Transaction transaction) override {
    return commit_grouped(core_, shard, std::move(transaction));
  }
  Result<std::unique_ptr<Watch>> watch(env::Shard& shard, std::string prefix,
                                       Revision after) override {
    return watch_sqlite(core_, shard, std::move(prefix), after);
  }
  Task<Result<Lease>> grant(env::Shard& shard, std::chrono::seconds ttl) override {
    return grant_sqlite(core_, shard, ttl);
  }
  Task<Result<void>> keep_alive(env::Shard& shard, LeaseId lease) override {
    return keep_alive_sqlite(core_, shard, lease);
  }
  Task<Result<void>> revoke(env::Shard& shard, LeaseId lease) override {
    return revoke_sqlite(core_, shard, lease);
  }

 private:
  CorePtr core_;
};

}  // namespace

void SqliteCore::commit_queue(const SqliteCommit& own) {
  constexpr size_t kGroupMax = 64;
  while (!own.outcome) {
    CHECK(!queue.empty());
    const size_t taken = std::min(queue.size(), kGroupMax);
    std::vector<std::shared_ptr<SqliteCommit>> group;
    for (size_t i = 0; i < taken; ++i)
      if (auto one = queue[i].lock()) group.push_back(std::move(one));
    queue.erase(queue.begin(), queue.begin() + static_cast<ptrdiff_t>(taken));
    database.commit(group);
    wake(group);
  }
}

Result<std::unique_ptr<Store>> open_sqlite_store(env::Disk& disk, env::Shard& shard,
                                                 std::string path, SqliteOptions options) {
  auto core = std::make_shared<SqliteCore>(disk, std::move(path), shard.random(), options);
  TRY_VOID(core->database.open());
  return std::make_unique<SqliteStore>(std::move(core));
}

Result<std::unique_ptr<Store>> open_sqlite_store(env::Disk& disk, env::Shard& shard,
                                                 std::string path) {
  return open_sqlite_store(disk, shard, std::move(path), SqliteOptions{});
}

}  // namespace paceline::meta
