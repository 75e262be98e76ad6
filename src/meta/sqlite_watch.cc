#include <algorithm>

#include "env/sync.h"
#include "meta/sqlite_store.h"

namespace paceline::meta {

// Touched on its own shard alone.
class SqliteWatcher {
 public:
  SqliteWatcher(env::Shard& home, std::string prefix_, Revision after_)
      : shard(home), prefix(std::move(prefix_)), after(after_), event(home) {}

  env::Shard& shard;
  const std::string prefix;
  Revision after;
  bool cancelled = false;
  bool woken = false;
  env::Event event;
};

namespace {

// The last reference may be the posted one, so the watcher is always destroyed on its shard.
void post_wake(std::shared_ptr<SqliteWatcher> watcher) {
  env::Shard& shard = watcher->shard;
  shard.post([watcher = std::move(watcher)] {
    watcher->woken = true;
    watcher->event.notify_all();
  });
}

// Reads the next changes, or, in the same turn of the lane, goes to sleep: no commit gets between.
Result<ChangePage> read_or_sleep(SqliteCore& core, const std::string& prefix, Revision after,
                                 const std::weak_ptr<SqliteWatcher>& watcher) {
  auto page = core.database.changes(prefix, after);
  if (page && page->changes.empty()) core.sleepers.push_back({prefix, watcher});
  return page;
}

Task<Result<std::vector<Change>>> next_changes(std::weak_ptr<SqliteCore> store,
                                               std::shared_ptr<SqliteWatcher> watcher) {
  while (!watcher->cancelled) {
    auto core = store.lock();
    if (!core) co_return fail(Code::closed, "the metadata store is closed");
    watcher->woken = false;
    const uint64_t lane = core->lane;
    auto work = [core = std::move(core), prefix = watcher->prefix, after = watcher->after,
                 weak = std::weak_ptr(watcher)] {
      return read_or_sleep(*core, prefix, after, weak);
    };
    auto page = co_await env::offload(watcher->shard, std::move(work), lane);
    if (watcher->cancelled) break;
    if (!page) co_return fail(std::move(page).error());
    watcher->after = page->seen;
    if (!page->changes.empty()) co_return std::move(page->changes);
    while (!watcher->woken && !watcher->cancelled) co_await watcher->event.wait();
  }
  co_return fail(Code::cancelled, "the watch was cancelled");
}

class SqliteWatch final : public Watch {
 public:
  SqliteWatch(std::weak_ptr<SqliteCore> core, std::shared_ptr<SqliteWatcher> watcher)
      : core_(std::move(core)), watcher_(std::move(watcher)) {}
  ~SqliteWatch() override { SqliteWatch::cancel(); }

  Task<Result<std::vector<Change>>> next() override { return next_changes(core_, watcher_); }
  void cancel() override {
    watcher_->cancelled = true;
    watcher_->event.notify_all();
  }

 private:
  std::weak_ptr<SqliteCore> core_;
  std::shared_ptr<SqliteWatcher> watcher_;
};

bool touches(const SqliteCommit& commit, const std::string& prefix) {
  if (!commit.outcome || !*commit.outcome) return false;
  return std::ranges::any_of(commit.transaction.writes,
                             [&](const Write& write) { return write.key.starts_with(prefix); });
}

}  // namespace

// Nobody sleeps on a store that is gone: next() then says `closed`.
SqliteCore::~SqliteCore() {
  for (const Sleeper& sleeper : sleepers)
    if (auto watcher = sleeper.watcher.lock()) post_wake(std::move(watcher));
}

void SqliteCore::wake(std::span<const std::shared_ptr<SqliteCommit>> committed) {
  // An unknown outcome may have been a commit: everybody looks.
  const bool unknown = std::ranges::any_of(committed, [](const auto& one) {
    return !*one->outcome && one->outcome->error().code == Code::maybe_written;
  });
  std::erase_if(sleepers, [&](const Sleeper& sleeper) {
    const bool due = unknown || std::ranges::any_of(committed, [&](const auto& one) {
                       return touches(*one, sleeper.prefix);
                     });
    if (!due) return sleeper.watcher.expired();
    if (auto watcher = sleeper.watcher.lock()) post_wake(std::move(watcher));
    return true;
  });
}

Result<std::unique_ptr<Watch>> watch_sqlite(std::weak_ptr<SqliteCore> core, env::Shard& shard,
                                            std::string prefix, Revision after) {
  auto watcher = std::make_shared<SqliteWatcher>(shard, std::move(prefix), after);
  return std::make_unique<SqliteWatch>(std::move(core), std::move(watcher));
}

}  // namespace paceline::meta
