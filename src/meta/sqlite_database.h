#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "env/disk.h"
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

 private:
  struct Statements {
    SqliteStatement begin, commit, rollback;
    SqliteStatement get, range, put, remove;
    SqliteStatement add_change, changes, history_at, history_sum, history_trim;
    SqliteStatement set_state;
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

  Result<Revision> try_commit(const Transaction& transaction);
  Result<bool> holds(const Compare& compare);
  Result<void> apply(const Write& write, int64_t revision, bool& changed);
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
};

}  // namespace paceline::meta
