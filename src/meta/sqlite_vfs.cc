#include "meta/sqlite_vfs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/codec.h"
#include "base/crc32c.h"

namespace paceline::meta {
namespace {

constexpr size_t kPage = SqliteVfs::kPageBytes;
constexpr size_t kChecksumAt = kPage - 4;

// The number is part of the sum: a page written to the wrong place does not pass for another.
uint32_t page_checksum(Bytes page, int64_t position) {
  std::array<std::byte, 8> number;
  store_be(number.data(), static_cast<uint64_t>(position) / kPage);
  return crc32c(page.first(kChecksumAt), crc32c(number));
}

bool is_zero(Bytes bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

// SQLite allocates the memory (vfs_.szOsFile bytes) and hands it back to every method.
struct SqliteVfs::File : sqlite3_file {
  struct State {
    SqliteVfs& vfs;
    std::unique_ptr<env::File> file;
    std::string path;
    bool pages = false;          // the database itself: its pages carry checksums
    bool name_unsynced = false;  // created here, and its folder not synced yet
  };
  State* state;

  static File& of(sqlite3_file* file) { return *static_cast<File*>(file); }
};

const sqlite3_io_methods SqliteVfs::kMethods = {
    .iVersion = 1,  // without shared memory: the connection is exclusive
    .xClose =
        [](sqlite3_file* file) {
          delete std::exchange(File::of(file).state, nullptr);
          return SQLITE_OK;
        },
    .xRead =
        [](sqlite3_file* file, void* into, int size, sqlite3_int64 position) {
          return File::of(file).state->vfs.read(File::of(file), into, size, position);
        },
    .xWrite =
        [](sqlite3_file* file, const void* from, int size, sqlite3_int64 position) {
          return File::of(file).state->vfs.write(File::of(file), from, size, position);
        },
    .xTruncate =
        [](sqlite3_file* file, sqlite3_int64 size) {
          File::State& state = *File::of(file).state;
          if (state.vfs.failed_) return SQLITE_IOERR_TRUNCATE;
          auto done = state.file->truncate(static_cast<uint64_t>(size));
          if (done) return SQLITE_OK;
          state.vfs.failed_ = true;
          return state.vfs.note(std::move(done).error(), SQLITE_IOERR_TRUNCATE);
        },
    .xSync = [](sqlite3_file* file, int) { return File::of(file).state->vfs.sync(File::of(file)); },
    .xFileSize =
        [](sqlite3_file* file, sqlite3_int64* out) {
          File::State& state = *File::of(file).state;
          auto size = state.file->size();
          if (!size) return state.vfs.note(std::move(size).error(), SQLITE_IOERR_FSTAT);
          *out = static_cast<sqlite3_int64>(*size);
          return SQLITE_OK;
        },
    .xLock = [](sqlite3_file*, int) { return SQLITE_OK; },
    .xUnlock = [](sqlite3_file*, int) { return SQLITE_OK; },
    .xCheckReservedLock =
        [](sqlite3_file*, int* out) {
          *out = 0;
          return SQLITE_OK;
        },
    .xFileControl = [](sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; },
    .xSectorSize = [](sqlite3_file*) { return int{kPageBytes}; },
    .xDeviceCharacteristics = [](sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; },
    .xShmMap = nullptr,
    .xShmLock = nullptr,
    .xShmBarrier = nullptr,
    .xShmUnmap = nullptr,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

SqliteVfs::SqliteVfs(env::Disk& disk, uint64_t seed)
    : disk_(disk), random_(seed), name_(fmt::format("paceline-{}", fmt::ptr(this))) {
  vfs_.iVersion = 2;
  vfs_.szOsFile = sizeof(File);
  vfs_.mxPathname = 4096;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.xOpen = [](sqlite3_vfs* vfs, const char* path, sqlite3_file* out, int flags,
                  int* out_flags) {
    return static_cast<SqliteVfs*>(vfs->pAppData)->open(path, out, flags, out_flags);
  };
  vfs_.xDelete = [](sqlite3_vfs* vfs, const char* path, int sync) {
    return static_cast<SqliteVfs*>(vfs->pAppData)->remove(path, sync != 0);
  };
  vfs_.xAccess = [](sqlite3_vfs* vfs, const char* path, int, int* out) {
    auto& self = *static_cast<SqliteVfs*>(vfs->pAppData);
    auto there = self.disk_.exists(path);
    if (!there) return self.note(std::move(there).error(), SQLITE_IOERR_ACCESS);
    *out = *there;
    return SQLITE_OK;
  };
  vfs_.xFullPathname = [](sqlite3_vfs*, const char* path, int size, char* out) {
    sqlite3_snprintf(size, out, "%s", path);
    return SQLITE_OK;
  };
  vfs_.xRandomness = [](sqlite3_vfs* vfs, int size, char* out) {
    auto& self = *static_cast<SqliteVfs*>(vfs->pAppData);
    for (int i = 0; i < size; ++i) out[i] = static_cast<char>(self.random_.next());
    return size;
  };
  vfs_.xSleep = [](sqlite3_vfs*, int) { return 0; };
  vfs_.xCurrentTime = [](sqlite3_vfs*, double* out) {
    *out = 0;
    return SQLITE_OK;
  };
  vfs_.xCurrentTimeInt64 = [](sqlite3_vfs*, sqlite3_int64* out) {
    *out = 0;
    return SQLITE_OK;
  };
  vfs_.xGetLastError = [](sqlite3_vfs*, int, char*) { return 0; };
  // SQLite seeds its one generator from the default VFS: this one, so that a run can be repeated.
  CHECK(sqlite3_vfs_register(&vfs_, 1) == SQLITE_OK);
  sqlite3_randomness(0, nullptr);
}

SqliteVfs::~SqliteVfs() {
  sqlite3_vfs_unregister(&vfs_);
}

int SqliteVfs::note(Error error, int code) {
  error_ = std::move(error);
  return code;
}

int SqliteVfs::open(const char* path, sqlite3_file* out, int flags, int* out_flags) {
  File& file = File::of(out);
  file.pMethods = nullptr;  // SQLite then does not close what was not opened
  // Without a name it would be a temporary file; temp_store keeps those in memory.
  if (!path) return SQLITE_CANTOPEN;
  auto there = disk_.exists(path);
  if (!there) return note(std::move(there).error(), SQLITE_CANTOPEN);
  env::OpenMode mode;
  mode.writable = (flags & SQLITE_OPEN_READWRITE) != 0;
  if (flags & SQLITE_OPEN_CREATE) mode.create = env::OpenMode::Create::if_missing;
  auto opened = disk_.open(path, mode);
  if (!opened) {
    const int code = opened.error().code == Code::no_space ? SQLITE_FULL : SQLITE_CANTOPEN;
    return note(std::move(opened).error(), code);
  }
  const bool pages = (flags & SQLITE_OPEN_MAIN_DB) != 0;
  file.state = new File::State{*this, std::move(*opened), path, pages, !*there};
  file.pMethods = &kMethods;
  if (out_flags) *out_flags = flags;
  return SQLITE_OK;
}

int SqliteVfs::remove(const char* path, bool sync) {
  if (failed_) return SQLITE_IOERR_DELETE;
  auto removed = disk_.remove(path);
  if (!removed && removed.error().code == Code::not_found) return SQLITE_IOERR_DELETE_NOENT;
  if (removed && sync) removed = disk_.sync_dir(env::parent_dir(path));
  if (removed) return SQLITE_OK;
  failed_ = true;
  return note(std::move(removed).error(), SQLITE_IOERR_DELETE);
}

int SqliteVfs::read(File& file, void* into, int size, int64_t position) {
  const MutableBytes bytes(static_cast<std::byte*>(into), static_cast<size_t>(size));
  auto count = file.state->file->read_at(static_cast<uint64_t>(position), bytes);
  if (!count) return note(std::move(count).error(), SQLITE_IOERR_READ);
  if (*count < bytes.size()) {
    std::ranges::fill(bytes.subspan(*count), std::byte{0});
    return SQLITE_IOERR_SHORT_READ;
  }
  const bool page = file.state->pages && bytes.size() == kPage && position % kPageBytes == 0;
  if (!page || load_be<uint32_t>(bytes.data() + kChecksumAt) == page_checksum(bytes, position))
    return SQLITE_OK;
  // A page that was allocated and freed again may never have been written. Nothing refers to it;
  // where something does, SQLite refuses an empty page by itself.
  if (is_zero(bytes)) return SQLITE_OK;
  Error error{Code::corrupt, fmt::format("page {} of {} does not match its checksum",
                                         position / kPageBytes + 1, file.state->path)};
  return note(std::move(error), SQLITE_IOERR_DATA);
}

int SqliteVfs::write(File& file, const void* from, int size, int64_t position) {
  if (failed_) return SQLITE_IOERR_WRITE;
  Bytes bytes(static_cast<const std::byte*>(from), static_cast<size_t>(size));
  std::array<std::byte, kPage> page;
  if (file.state->pages && bytes.size() == kPage) {
    std::memcpy(page.data(), from, kPage - kReservedBytes);
    std::memset(page.data() + kPage - kReservedBytes, 0, kReservedBytes);
    store_be(page.data() + kChecksumAt, page_checksum(page, position));
    bytes = page;
  }
  auto done = file.state->file->write_at(static_cast<uint64_t>(position), bytes);
  if (done) return SQLITE_OK;
  // A full disk is no damage: SQLite takes its transaction back and can go on.
  if (done.error().code == Code::no_space) return note(std::move(done).error(), SQLITE_FULL);
  failed_ = true;
  return note(std::move(done).error(), SQLITE_IOERR_WRITE);
}

int SqliteVfs::sync(File& file) {
  if (failed_) return SQLITE_IOERR_FSYNC;
#ifdef PACELINE_PLANT_metadata_without_sync
  if (file.state) return SQLITE_OK;
#endif
  auto done = file.state->file->sync();
  if (done && file.state->name_unsynced) {
    done = disk_.sync_dir(env::parent_dir(file.state->path));
    if (done) file.state->name_unsynced = false;
  }
  if (done) return SQLITE_OK;
  failed_ = true;
  return note(std::move(done).error(), SQLITE_IOERR_FSYNC);
}

}  // namespace paceline::meta
