#include "meta/sqlite_database.h"

#include <fmt/format.h>

#include "meta/sqlite_wal.h"

namespace paceline::meta {
namespace {

// docs/format/metadata.md; a newer file is refused, an older one would be brought up here.
constexpr int64_t kFormat = 1;

constexpr const char* kSchema[] = {
    "CREATE TABLE kv (key BLOB PRIMARY KEY, value BLOB NOT NULL, created INTEGER NOT NULL, "
    "modified INTEGER NOT NULL) WITHOUT ROWID",
    // A removal has no value.
    "CREATE TABLE changes (revision INTEGER NOT NULL, key BLOB NOT NULL, value BLOB, "
    "PRIMARY KEY (revision, key)) WITHOUT ROWID",
    "CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), format INTEGER NOT NULL, "
    "revision INTEGER NOT NULL, compacted INTEGER NOT NULL)",
};

// A key is of the lease as long as nobody has written it since: so a build that knows no leases can
// use the file, and only leaves rows here that mean nothing.
constexpr const char* kLeasedSchema =
    "CREATE TABLE IF NOT EXISTS leased (key BLOB PRIMARY KEY, lease INTEGER NOT NULL, "
    "modified INTEGER NOT NULL) WITHOUT ROWID";

}  // namespace

SqliteDatabase::SqliteDatabase(env::Disk& disk, std::string path, uint64_t seed,
                               SqliteOptions options)
    : disk_(disk),
      path_(std::move(path)),
      options_(options),
      vfs_(disk, seed),
      random_(seed ^ 0x6c65617365) {}

Result<void> SqliteDatabase::open() {
  TRY_VOID(disk_.make_dirs(env::parent_dir(path_)));
  auto lock = disk_.lock(path_ + ".lock");
  if (!lock) {
    if (lock.error().code != Code::in_use) return fail(std::move(lock).error());
    return fail(Code::in_use,
                fmt::format("the metadata in {} is in use by another process", path_));
  }
  lock_ = std::move(*lock);
  TRY_VOID(ensure_open());
  TRY_VOID(end_lease(LeaseId(0)));
  return {};
}

Result<void> SqliteDatabase::ensure_open() {
  if (connection_ && !vfs_.failed()) {
    vfs_.forget_error();
    return {};
  }
  disconnect();
  vfs_.recover();
  auto opened = connect();
  if (!opened) disconnect();
  return opened;
}

Result<void> SqliteDatabase::connect() {
  TRY_VOID(renew_sqlite_wal(disk_, path_ + "-wal"));
  sqlite3* made = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(path_.c_str(), &made, flags, vfs_.name());
  connection_.reset(made);
  if (code != SQLITE_OK) return failure(code, "open");
  TRY_VOID(configure());
  TRY_VOID(create_or_check());
  return prepare();
}

Result<void> SqliteDatabase::configure() {
  sqlite3_extended_result_codes(connection_.get(), 1);
  // A close is like a crash: nothing is written by it, and the log is what the next open reads.
  sqlite3_db_config(connection_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  int reserved = SqliteVfs::kReservedBytes;
  sqlite3_file_control(connection_.get(), "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
  for (const char* pragma : {
           "PRAGMA page_size = 4096",
           "PRAGMA locking_mode = EXCLUSIVE",  // before the log is first used: no shared memory
           "PRAGMA temp_store = MEMORY",
           "PRAGMA cache_size = -8192",  // KiB
           "PRAGMA trusted_schema = OFF",
           "PRAGMA cell_size_check = ON",
           "PRAGMA journal_mode = WAL",
           "PRAGMA synchronous = FULL",
       })
    TRY_VOID(run(pragma));
  return run(fmt::format("PRAGMA wal_autocheckpoint = {}", options_.checkpoint_pages).c_str());
}

Result<void> SqliteDatabase::create_or_check() {
  TRY(const int64_t tables,
      query_number("SELECT count(*) FROM sqlite_schema WHERE name = 'state'"));
  if (tables == 0) {
    TRY_VOID(run("BEGIN IMMEDIATE"));
    for (const char* sql : kSchema) TRY_VOID(run(sql));
    TRY_VOID(run(fmt::format("INSERT INTO state VALUES (1, {}, 0, 0)", kFormat).c_str()));
    TRY_VOID(run("COMMIT"));
  }
  TRY_VOID(run(kLeasedSchema));
  TRY(const int64_t format, query_number("SELECT format FROM state"));
  if (format > kFormat)
    return fail(Code::unsupported,
                fmt::format("{} has metadata format {}; this build knows up to {}", path_, format,
                            kFormat));
  TRY(state_.revision, query_number("SELECT revision FROM state"));
  TRY(state_.compacted, query_number("SELECT compacted FROM state"));
  TRY(state_.history_changes, query_number("SELECT count(*) FROM changes"));
  TRY(state_.history_bytes,
      query_number("SELECT ifnull(sum(length(key) + ifnull(length(value), 0)), 0) "
                   "FROM changes"));
  return {};
}

Result<void> SqliteDatabase::prepare() {
  Statements& s = statements_.emplace();
  const std::pair<SqliteStatement*, const char*> all[] = {
      {&s.begin, "BEGIN IMMEDIATE"},
      {&s.commit, "COMMIT"},
      {&s.rollback, "ROLLBACK"},
      {&s.get, "SELECT value, created, modified FROM kv WHERE key = ?"},
      // An empty end is no end.
      {&s.range,
       "SELECT key, value, created, modified FROM kv WHERE key >= ?1 AND (?2 = x'' OR key < ?2) "
       "ORDER BY key LIMIT ?3"},
      {&s.put,
       "INSERT INTO kv VALUES (?1, ?2, ?3, ?3) ON CONFLICT (key) DO UPDATE SET value = ?2, "
       "modified = ?3"},
      {&s.remove, "DELETE FROM kv WHERE key = ?"},
      {&s.add_change, "INSERT INTO changes VALUES (?, ?, ?)"},
      {&s.changes,
       "SELECT revision, key, value FROM changes WHERE revision > ?1 AND key >= ?2 AND "
       "(?3 = x'' OR key < ?3) ORDER BY revision, key"},
      {&s.history_at, "SELECT revision FROM changes ORDER BY revision, key LIMIT 1 OFFSET ?"},
      {&s.history_sum,
       "SELECT count(*), ifnull(sum(length(key) + ifnull(length(value), 0)), 0) "
       "FROM changes WHERE revision <= ?"},
      {&s.history_trim, "DELETE FROM changes WHERE revision <= ?"},
      {&s.put_leased,
       "INSERT INTO leased VALUES (?1, ?2, ?3) ON CONFLICT (key) DO UPDATE SET lease = ?2, "
       "modified = ?3"},
      {&s.leased,
       "SELECT kv.key FROM leased JOIN kv ON kv.key = leased.key AND kv.modified = leased.modified "
       "WHERE ?1 = 0 OR lease = ?1 ORDER BY kv.key"},
      {&s.remove_leased, "DELETE FROM leased WHERE ?1 = 0 OR lease = ?1"},
      {&s.set_state, "UPDATE state SET revision = ?, compacted = ?"},
  };
  for (const auto& [statement, sql] : all) {
    const int code = statement->prepare(connection_.get(), sql);
    if (code != SQLITE_OK) return failure(code, "prepare a statement on");
  }
  return {};
}

Result<void> SqliteDatabase::run(const char* sql) {
  const int code = sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failure(code, "set up");
  return {};
}

Result<int64_t> SqliteDatabase::query_number(const char* sql) {
  SqliteStatement statement;
  int code = statement.prepare(connection_.get(), sql);
  if (code == SQLITE_OK) code = statement.step();
  if (code == SQLITE_DONE)
    return fail(Code::corrupt,
                fmt::format("{} has no state: it is not a metadata file, or damaged", path_));
  if (code != SQLITE_ROW) return failure(code, "read");
  return statement.number(0);
}

std::unexpected<Error> SqliteDatabase::failure(int code, std::string_view what) {
  std::string detail = vfs_.error() ? vfs_.error()->message : sqlite3_errstr(code);
  const int kind = code & 0xff;
  if (kind == SQLITE_FULL)
    return fail(Code::no_space, fmt::format("cannot {} {}: {}", what, path_, detail));
  if (kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB || code == SQLITE_IOERR_DATA)
    return fail(Code::corrupt, fmt::format("cannot {} {}: {}", what, path_, detail));
  Code meaning = vfs_.error() ? vfs_.error()->code : Code::io_error;
  // A sync that found the disk full has failed like any other: what it left is unknown.
  if (meaning == Code::no_space) meaning = Code::io_error;
  return fail(meaning, fmt::format("cannot {} {}: {}", what, path_, detail));
}

void SqliteDatabase::disconnect() {
  statements_.reset();
  connection_.reset();
}

Result<std::optional<Entry>> SqliteDatabase::get(const std::string& key) {
  TRY_VOID(ensure_open());
  SqliteRun get(statements_->get.start().bind(key));
  const int code = get->step();
  if (code == SQLITE_DONE) return std::nullopt;
  if (code != SQLITE_ROW) return failure(code, "read");
  return Entry{key, get->bytes(0), Revision(get->number(1)), Revision(get->number(2))};
}

Result<Range> SqliteDatabase::range(const std::string& from, const std::string& to,
                                    size_t count_max) {
  TRY_VOID(ensure_open());
  Range range;
  range.revision = Revision(state_.revision);
  SqliteRun rows(
      statements_->range.start().bind(from).bind(to).bind(static_cast<int64_t>(count_max) + 1));
  for (int code = rows->step(); code != SQLITE_DONE; code = rows->step()) {
    if (code != SQLITE_ROW) return failure(code, "read");
    if (range.entries.size() == count_max) {
      range.more = true;
      break;
    }
    range.entries.push_back(
        {rows->bytes(0), rows->bytes(1), Revision(rows->number(2)), Revision(rows->number(3))});
  }
  return range;
}

Result<ChangePage> SqliteDatabase::changes(const std::string& prefix, Revision after) {
  constexpr size_t kChanges = 1000;
  constexpr size_t kBytes = 4 << 20;
  TRY_VOID(ensure_open());
  if (after.value < state_.compacted)
    return fail(Code::compacted,
                fmt::format("changes up to revision {} are no longer kept", state_.compacted));
  ChangePage page;
  page.seen = std::max(after, Revision(state_.revision));
  size_t bytes = 0;
  SqliteRun rows(
      statements_->changes.start().bind(after.value).bind(prefix).bind(prefix_end(prefix)));
  for (int code = rows->step(); code != SQLITE_DONE; code = rows->step()) {
    if (code != SQLITE_ROW) return failure(code, "read");
    const Revision revision(rows->number(0));
    const bool full = page.changes.size() >= kChanges || bytes >= kBytes;
    if (full && page.changes.back().revision != revision) {
      page.seen = page.changes.back().revision;
      break;
    }
    page.changes.push_back({revision, rows->bytes(1), rows->optional_bytes(2)});
    const auto& value = page.changes.back().value;
    bytes += value ? value->size() : 0;
  }
  return page;
}

}  // namespace paceline::meta
