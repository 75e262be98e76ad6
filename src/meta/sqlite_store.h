#pragma once

#include <memory>
#include <string>
#include <vector>

#include "meta/sqlite_database.h"
#include "meta/store.h"

namespace paceline::meta {

// A watch that has seen everything so far. Lives on the watch's shard; the lane only holds it
// weakly and posts to it.
class SqliteWatcher;

// What all calls and watches of one open store share. Everything in it is touched by works of one
// offload lane only, so by one thread at a time, whichever shard they came from.
class SqliteCore {
 public:
  SqliteCore(env::Disk& disk, std::string path, uint64_t seed, SqliteOptions options)
      : lane(seed | 1), database(disk, std::move(path), seed, options) {}
  SqliteCore(const SqliteCore&) = delete;
  SqliteCore& operator=(const SqliteCore&) = delete;
  ~SqliteCore();

  // Commits what has queued, in order, until `own` has its outcome.
  void commit_queue(const SqliteCommit& own);
  void wake(std::span<const std::shared_ptr<SqliteCommit>> committed);
  // Ends the lease if it is due at `now`, and gives when to look again; nothing once it has ended.
  std::optional<env::Instant> expire(LeaseId lease, env::Instant now);
  Result<void> end_lease(LeaseId lease);

  const uint64_t lane;
  SqliteDatabase database;
  // Weak: the transaction of a caller that is gone is not committed any more.
  std::vector<std::weak_ptr<SqliteCommit>> queue;
  struct Sleeper {
    std::string prefix;
    std::weak_ptr<SqliteWatcher> watcher;
  };
  std::vector<Sleeper> sleepers;  // watches that wait for a commit under their prefix
};

Result<std::unique_ptr<Watch>> watch_sqlite(std::weak_ptr<SqliteCore> core, env::Shard& shard,
                                            std::string prefix, Revision after);

// sqlite_lease.cc
Task<Result<Lease>> grant_sqlite(std::shared_ptr<SqliteCore> core, env::Shard& shard,
                                 std::chrono::seconds ttl);
Task<Result<void>> keep_alive_sqlite(std::shared_ptr<SqliteCore> core, env::Shard& shard,
                                     LeaseId lease);
Task<Result<void>> revoke_sqlite(std::shared_ptr<SqliteCore> core, env::Shard& shard,
                                 LeaseId lease);

// open_sqlite_store() with other bounds than the usual ones.
Result<std::unique_ptr<Store>> open_sqlite_store(env::Disk& disk, env::Shard& shard,
                                                 std::string path, SqliteOptions options);

}  // namespace paceline::meta
