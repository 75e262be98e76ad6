#include <fmt/format.h>

#include "meta/sqlite_database.h"

// The writing half of SqliteDatabase.

namespace paceline::meta {

void SqliteDatabase::commit(std::span<const std::shared_ptr<SqliteCommit>> group) {
  auto done = ensure_open();
  const State before = state_;
  if (done) done = commit_group(group);
  if (done) return;
  // What one transaction of the group saw of another never happened, or nobody knows: all of them
  // share the error, the ones whose compare did not hold too.
  if (connection_ && !sqlite3_get_autocommit(connection_.get()))
    statements_->rollback.start().step();
  state_ = before;
  for (const auto& one : group) one->outcome.emplace(fail(done.error()));
  // The log is renewed before the next one. What stands in it of a commit that found the disk full
  // would stand behind that one, and be taken for a proof if a power cut tears it.
  switch (done.error().code) {
    case Code::maybe_written:
    case Code::io_error:
    case Code::no_space:
      disconnect();
      break;
    default:
      break;
  }
}

Result<void> SqliteDatabase::commit_group(std::span<const std::shared_ptr<SqliteCommit>> group) {
  int code = statements_->begin.start().step();
  if (code != SQLITE_DONE) return failure(code, "write");
  const int64_t before = state_.revision;
  for (const auto& one : group) {
    TRY(auto refusal, refusal_of(one->transaction));
    if (refusal) {
      one->outcome.emplace(fail(std::move(*refusal)));
      continue;
    }
    TRY(const Revision revision, write(*one));
    one->outcome.emplace(revision);
  }
  if (state_.revision != before) TRY_VOID(finish_group());
  code = statements_->commit.start().step();
  statements_->commit.start();
  if (code == SQLITE_DONE) return {};
  // A full disk stops the commit before its last frame is in the log, so it is not there. After any
  // other failure it may be.
  auto error = failure(code, "commit to");
  if (error.error().code == Code::no_space || state_.revision == before) return error;
  return fail(Code::maybe_written, std::move(error.error().message));
}

Result<std::optional<Error>> SqliteDatabase::refusal_of(const Transaction& transaction) {
  for (const Compare& compare : transaction.compares) {
    TRY(const bool fits, holds(compare));
    if (!fits)
      return Error{Code::conflict, fmt::format("the compare of '{}' did not hold", compare.key)};
  }
  for (const Write& one : transaction.writes)
    if (one.lease != LeaseId{} && !leases_.contains(one.lease))
      return Error{Code::not_found, fmt::format("the lease of '{}' has ended", one.key)};
  return std::nullopt;
}

Result<Revision> SqliteDatabase::write(const SqliteCommit& commit) {
  bool changed = false;
  const int64_t revision = state_.revision + 1;
  for (const Write& one : commit.transaction.writes) TRY_VOID(apply(one, revision, changed));
  if (commit.ends) TRY_VOID(remove_leased(*commit.ends));
  // As on etcd, a transaction that changes nothing gets no revision of its own.
  if (changed) state_.revision = revision;
  return Revision(state_.revision);
}

Result<bool> SqliteDatabase::holds(const Compare& compare) {
  SqliteRun get(statements_->get.start().bind(compare.key));
  const int code = get->step();
  if (code != SQLITE_ROW && code != SQLITE_DONE) return failure(code, "read");
  const bool exists = code == SQLITE_ROW;
  switch (compare.what) {
    case Compare::What::absent:
      return !exists;
    case Compare::What::exists:
      return exists;
    case Compare::What::modified_equals:
      return exists && Revision(get->number(2)) == compare.modified;
    case Compare::What::value_equals:
      return exists && get->bytes(0) == compare.value;
  }
  return false;
}

Result<void> SqliteDatabase::apply(const Write& write, int64_t revision, bool& changed) {
  const bool put = write.what == Write::What::put;
  SqliteStatement& statement = put ? statements_->put : statements_->remove;
  statement.start().bind(write.key);
  if (put) statement.bind(write.value).bind(revision);
  const int code = statement.step();
  statement.start();
  if (code != SQLITE_DONE) return failure(code, "write");
  if (!put && sqlite3_changes(connection_.get()) == 0) return {};
  if (put && write.lease != LeaseId{}) TRY_VOID(add_leased(write, revision));
  changed = true;
  return add_change(revision, write);
}

Result<void> SqliteDatabase::add_change(int64_t revision, const Write& write) {
  SqliteStatement& statement = statements_->add_change.start().bind(revision).bind(write.key);
  if (write.what == Write::What::put) {
    statement.bind(write.value);
  } else {
    statement.bind_null();
  }
  const int code = statement.step();
  statement.start();
  if (code != SQLITE_DONE) return failure(code, "write");
  ++state_.history_changes;
  state_.history_bytes += static_cast<int64_t>(write.key.size() + write.value.size());
  return {};
}

Result<void> SqliteDatabase::finish_group() {
  TRY_VOID(trim_history());
  const int code =
      statements_->set_state.start().bind(state_.revision).bind(state_.compacted).step();
  statements_->set_state.start();
  if (code != SQLITE_DONE) return failure(code, "write");
  return {};
}

Result<void> SqliteDatabase::trim_history() {
  while (state_.history_changes > options_.history_changes_max ||
         state_.history_bytes > options_.history_bytes_max) {
    // A sixty-fourth at a time: not with every commit, and never much in one.
    int code = statements_->history_at.start().bind(state_.history_changes / 64).step();
    if (code != SQLITE_ROW) return failure(code, "read");
    const int64_t revision = statements_->history_at.number(0);
    statements_->history_at.start();
    code = statements_->history_sum.start().bind(revision).step();
    if (code != SQLITE_ROW) return failure(code, "read");
    state_.history_changes -= statements_->history_sum.number(0);
    state_.history_bytes -= statements_->history_sum.number(1);
    statements_->history_sum.start();
    code = statements_->history_trim.start().bind(revision).step();
    statements_->history_trim.start();
    if (code != SQLITE_DONE) return failure(code, "write");
    state_.compacted = revision;
  }
  return {};
}

}  // namespace paceline::meta
