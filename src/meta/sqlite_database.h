#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "env/disk.h"
#include "env/random.h"
#include "env/shard.h"
#include "meta/sqlite_statement.h"
#include "meta/sqlite_vfs.h"
#include "meta/store.h"

namespace paceline::meta {

struct SqliteOptions {
  // The changes kept for watches: older ones go when either bound is passed.
  int64_t history_changes_max = 100'000;
  int64_t history_bytes_max = 64 << 20;
  // Pages in the log at which SQLite moves them into the file: the log stays around 4 MiB.
  int checkpoint_pages = 1000;
};

// A transaction and, once it has been tried, what became of it.
struct SqliteCommit {
  Transaction transaction;
  std::optional<Result<Revision>> outcome;
  // This is the end of a lease: what is known of its keys goes with it. 0: of all leases.
  std::optional<LeaseId> ends{};
};

struct ChangePage {
  std::vector<Change> changes;  // whole revisions only
  Revision seen;                // everything up to it has been looked at
};

// The blocking half of the SQLite store: one file, one connection. One thread at a time; every call
// blocks. After a failed write or sync the connection is dropped and the next call opens a new one,
// so that it reads what the disk really has.
class SqliteDatabase {
 public:
  SqliteDatabase(env::Disk& disk, std::string path, uint64_t seed, SqliteOptions options);
  // in_use, corrupt, unsupported, or what the disk says.
  Result<void> open();

  Result<std::optional<Entry>> get(const std::string& key);
  Result<Range> range(const std::string& from, const std::string& to, size_t count_max);
  // All of them in one commit of SQLite, each at a revision of its own; gives each its outcome.
  void commit(std::span<const std::shared_ptr<SqliteCommit>> group);
  // The first changes under `prefix` after a revision: about 1,000, in whole revisions.
  Result<ChangePage> changes(const std::string& prefix, Revision after);

  // Leases are of this process alone and live in memory: nobody outside of it can hold one. What
  // the file keeps is which keys were put with one, so that open() removes those a dead process
  // has left. Time is the caller's.
  Lease grant(std::chrono::seconds ttl, env::Instant now);
  bool keep_alive(LeaseId lease, env::Instant now);
  std::optional<env::Instant> end_of(LeaseId lease) const;  // nothing: it has ended
  // Ends it and removes its keys; gives the transaction that did it.
  Result<Transaction> end_lease(LeaseId lease);

 private:
  struct Statements {
    SqliteStatement begin, commit, rollback;
    SqliteStatement get, range, put, remove;
    SqliteStatement add_change, changes, history_at, history_sum, history_trim;
    SqliteStatement put_leased, leased, remove_leased;
    SqliteStatement set_state;
  };
  struct LeaseTerm {
    std::chrono::seconds ttl;
    env::Instant end;
  };
  // What the tables say, so that it need not be asked again.
  struct State {
    int64_t revision = 0;
    int64_t compacted = 0;  // changes up to this revision are gone
    int64_t history_changes = 0;
    int64_t history_bytes = 0;
  };

  Result<void> ensure_open();
  Result<void> connect();
  Result<void> configure();
  Result<void> create_or_check();
  Result<void> prepare();
  Result<void> run(const char* sql);
  Result<int64_t> query_number(const char* sql);
  // What an SQLite code means to a caller; drops the connection where it may no longer be used.
  std::unexpected<Error> failure(int code, std::string_view what);
  void disconnect();

  // Why it cannot be done, if it cannot: the others of its group can.
  Result<std::optional<Error>> refusal_of(const Transaction& transaction);
  Result<Revision> write(const SqliteCommit& commit);
  Result<bool> holds(const Compare& compare);
  Result<void> apply(const Write& write, int64_t revision, bool& changed);
  Result<void> add_leased(const Write& write, int64_t revision);
  Result<void> remove_leased(LeaseId lease);
  Result<Transaction> removal_of(LeaseId lease);
  Result<void> add_change(int64_t revision, const Write& write);
  Result<void> commit_group(std::span<const std::shared_ptr<SqliteCommit>> group);
  Result<void> finish_group();
  Result<void> trim_history();

  env::Disk& disk_;
  const std::string path_;
  const SqliteOptions options_;
  std::unique_ptr<env::FileLock> lock_;
  SqliteVfs vfs_;
  SqliteConnection connection_;
  std::optional<Statements> statements_;  // before the connection in destruction
  State state_;
  env::Random random_;
  std::map<LeaseId, LeaseTerm> leases_;
};

}  // namespace paceline::meta
