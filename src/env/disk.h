#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace paceline::env {

// An open file. Every call blocks: from a shard, wrap it in env::offload(). Calls on one file may
// come from any thread, one at a time, except read_at, which may run in parallel with anything.
// Nothing is durable before sync() has returned success; after a failed sync() the state of all
// unsynced bytes is unknown and the file must not be written again.
class File {
 public:
  virtual ~File() = default;
  // Reads exactly `into.size()` bytes unless the file ends before: returns the count read.
  virtual Result<size_t> read_at(uint64_t position, MutableBytes into) = 0;
  virtual Result<void> write_at(uint64_t position, std::span<const Bytes> pieces) = 0;
  virtual Result<void> sync() = 0;  // fdatasync: bytes and size
  virtual Result<uint64_t> size() = 0;
  virtual Result<void> truncate(uint64_t size) = 0;
  // Reserves [0, size) so that later writes inside it need no new space: no_space is told here.
  // A shorter file grows to `size`, reading as zeros.
  virtual Result<void> allocate(uint64_t size) = 0;
  // Gives up what [0, size()) holds but not its space: it reads as zeros, and next_data() passes over
  // it. False: the file system cannot do that without writing, and nothing has changed. After a
  // crash before sync() what was there may be there again.
  virtual Result<bool> forget() { return false; }
  // The first position at or above `position` where anything but zeros may stand; nothing if only
  // zeros follow. Reserved space that was never written is skipped without reading it, where the
  // file system can tell; elsewhere `position` itself is the answer.
  virtual Result<std::optional<uint64_t>> next_data(uint64_t position) { return position; }

  Result<void> write_at(uint64_t position, Bytes piece) {
    return write_at(position, std::span(&piece, 1));
  }
};

struct OpenMode {
  enum class Create { never, if_missing, exclusive };  // exclusive: already_exists if there
  Create create = Create::never;
  bool writable = false;
  // Bypass the page cache where the file system can: positions, sizes and memory addresses are
  // then multiples of kDirectAlignment. Falls back to cached writes silently where it cannot.
  bool direct = false;
  // Somebody cannot serve until it is read: direct reads are not cut into pieces that give way to
  // what is being synced (commits_first.h).
  bool urgent = false;
};
inline constexpr size_t kDirectAlignment = 4096;

// A held exclusive lock on a path; released when destroyed, and by the system when the process
// dies.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

// A file system, with paths relative to nothing (absolute, or to the working directory). Every call
// blocks and may come from any thread. Names (create, rename, remove) are durable after
// sync_dir() of their folder.
class Disk {
 public:
  virtual ~Disk() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  virtual Result<bool> exists(const std::string& path) = 0;
  virtual Result<void> remove(const std::string& path) = 0;  // not_found if absent
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;  // replaces
  // Like rename, but already_exists if `to` is there; atomic.
  virtual Result<void> rename_new(const std::string& from, const std::string& to) = 0;
  virtual Result<std::vector<std::string>> list(const std::string& dir) = 0;  // names, sorted
  virtual Result<void> make_dirs(
      const std::string& dir) = 0;  // with parents, durable; fine if there
  virtual Result<void> remove_dir(const std::string& dir) = 0;  // must be empty
  virtual Result<void> sync_dir(const std::string& dir) = 0;
  // in_use if another holder, in this or another process, has it.
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
  virtual Result<uint64_t> free_bytes(const std::string& dir) = 0;
};

// Whole-file helpers over any Disk.
Result<std::string> read_file(Disk& disk, const std::string& path, uint64_t bytes_max);
// Atomically replaces `path` with `bytes`, durable on return (temporary file, sync, rename,
// sync_dir).
Result<void> replace_file(Disk& disk, const std::string& path, Bytes bytes);
// Creates `path` (already_exists if there) with `pieces` one after the other, durable on return but
// for its name. Large bodies pass the page cache by: what is written once and seldom read back
// costs ten times the CPU there, and takes its memory from others.
Result<void> write_new_file(Disk& disk, const std::string& path, std::span<const Bytes> pieces);
std::string parent_dir(const std::string& path);

}  // namespace paceline::env
