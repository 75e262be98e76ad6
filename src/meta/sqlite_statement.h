#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/check.h"

namespace paceline::meta {

struct SqliteClose {
  void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using SqliteConnection = std::unique_ptr<sqlite3, SqliteClose>;

// One prepared statement. start() forgets the last run; keys and values are blobs and are copied.
class SqliteStatement {
 public:
  SqliteStatement() = default;
  // The SQL is ours: it does not prepare only if the connection fails; step() then tells.
  int prepare(sqlite3* connection, const char* sql) {
    sqlite3_stmt* made = nullptr;
    const int code =
        sqlite3_prepare_v3(connection, sql, -1, SQLITE_PREPARE_PERSISTENT, &made, nullptr);
    statement_.reset(made);
    return code;
  }

  SqliteStatement& start() {
    sqlite3_reset(statement_.get());
    parameter_ = 0;
    return *this;
  }
  SqliteStatement& bind(int64_t value) {
    sqlite3_bind_int64(statement_.get(), ++parameter_, value);
    return *this;
  }
  // An empty string is an empty blob, not NULL.
  SqliteStatement& bind(std::string_view bytes) {
    sqlite3_bind_blob64(statement_.get(), ++parameter_, bytes.empty() ? "" : bytes.data(),
                        bytes.size(), SQLITE_TRANSIENT);
    return *this;
  }
  SqliteStatement& bind_null() {
    sqlite3_bind_null(statement_.get(), ++parameter_);
    return *this;
  }
  // SQLITE_ROW, SQLITE_DONE or an error.
  int step() { return sqlite3_step(statement_.get()); }

  int64_t number(int column) const { return sqlite3_column_int64(statement_.get(), column); }
  std::string bytes(int column) const {
    const void* data = sqlite3_column_blob(statement_.get(), column);
    const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column));
    return data ? std::string(static_cast<const char*>(data), size) : std::string();
  }
  std::optional<std::string> optional_bytes(int column) const {
    if (sqlite3_column_type(statement_.get(), column) == SQLITE_NULL) return std::nullopt;
    return bytes(column);
  }

 private:
  std::unique_ptr<sqlite3_stmt, SqliteClose> statement_;
  int parameter_ = 0;
};

// Ends a statement's read when it goes, so that no snapshot stays open behind a call.
class SqliteRun {
 public:
  explicit SqliteRun(SqliteStatement& statement) : statement_(statement) {}
  SqliteRun(const SqliteRun&) = delete;
  SqliteRun& operator=(const SqliteRun&) = delete;
  ~SqliteRun() { statement_.start(); }
  SqliteStatement* operator->() { return &statement_; }

 private:
  SqliteStatement& statement_;
};

}  // namespace paceline::meta
