#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "env/disk.h"
#include "env/random.h"

namespace paceline::meta {

// What SQLite sees of the world: files on an env::Disk, a clock that stands still and random
// numbers from one seed. Locks are no concern of it: the store holds an env lock on the file.
//
// Pages of the database file end with a checksum of their bytes and their number, written and
// verified here; SQLite leaves the room (kReservedBytes) and never looks at it. Its log has
// checksums of its own.
//
// After a write or a sync has failed, nothing more is written through this VFS until recover():
// what the failed call left behind is unknown, and a later sync that succeeds proves nothing.
// One thread at a time.
class SqliteVfs {
 public:
  static constexpr int kPageBytes = 4096;
  static constexpr int kReservedBytes = 8;  // the last 4 are the CRC32C, the others 0

  SqliteVfs(env::Disk& disk, uint64_t seed);
  SqliteVfs(const SqliteVfs&) = delete;
  SqliteVfs& operator=(const SqliteVfs&) = delete;
  ~SqliteVfs();

  const char* name() const { return name_.c_str(); }
  bool failed() const { return failed_; }
  // What the disk or the page checksum said last, for the message of SQLite's bare code.
  const std::optional<Error>& error() const { return error_; }
  void forget_error() { error_.reset(); }
  // REQUIRES: no connection is open.
  void recover() {
    failed_ = false;
    error_.reset();
  }

 private:
  struct File;
  static const sqlite3_io_methods kMethods;

  int note(Error error, int code);
  int open(const char* path, sqlite3_file* out, int flags, int* out_flags);
  int remove(const char* path, bool sync);
  int read(File& file, void* into, int size, int64_t position);
  int write(File& file, const void* from, int size, int64_t position);
  int sync(File& file);

  env::Disk& disk_;
  env::Random random_;
  std::string name_;
  sqlite3_vfs vfs_{};
  bool failed_ = false;
  std::optional<Error> error_;
};

}  // namespace paceline::meta
