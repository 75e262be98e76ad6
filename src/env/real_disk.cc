#include "env/real_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "env/real_file.h"

namespace paceline::env {
namespace {

Code code_of(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return Code::no_space;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::permission_denied;
    case ENOENT:
      return Code::not_found;
    case EEXIST:
      return Code::already_exists;
    default:
      return Code::io_error;
  }
}

int open_retrying(const std::string& path, int flags, mode_t mode = 0) {
  for (;;) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    if (fd >= 0 || errno != EINTR) return fd;
  }
}

class RealLock final : public FileLock {
 public:
  explicit RealLock(int fd) : fd_(fd) {}
  RealLock(const RealLock&) = delete;
  RealLock& operator=(const RealLock&) = delete;
  ~RealLock() override { ::close(fd_); }

 private:
  const int fd_;
};

}  // namespace

std::unexpected<Error> system_error(int error, std::string_view what, const std::string& path) {
  return fail(code_of(error),
              fmt::format("cannot {} {}: {}", what, path, std::generic_category().message(error)));
}

Result<std::unique_ptr<File>> RealDisk::open(const std::string& path, OpenMode mode) {
  int flags = mode.writable ? O_RDWR : O_RDONLY;
  if (mode.create == OpenMode::Create::if_missing) flags |= O_CREAT;
  if (mode.create == OpenMode::Create::exclusive) flags |= O_CREAT | O_EXCL;
  int fd = open_retrying(path, mode.direct ? flags | O_DIRECT : flags, 0644);
  if (fd < 0 && errno == EINVAL && mode.direct) {
    // A file system without direct access may have created the name before it refused the flag.
    fd = open_retrying(path, flags & ~O_EXCL, 0644);
  }
  if (fd < 0) return system_error(errno, "open", path);
  return std::make_unique<RealFile>(fd, path, mode.direct && !mode.urgent, commits_);
}

Result<bool> RealDisk::exists(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return system_error(errno, "stat", path);
}

Result<void> RealDisk::remove(const std::string& path) {
  if (::unlink(path.c_str()) != 0) return system_error(errno, "remove", path);
  return {};
}

Result<void> RealDisk::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    return system_error(errno, "rename", fmt::format("{} to {}", from, to));
  return {};
}

Result<void> RealDisk::rename_new(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return {};
  if (errno == EINVAL || errno == ENOSYS) {
    // No such flag on this file system. A link refuses an existing target just as atomically.
    if (::link(from.c_str(), to.c_str()) == 0) return remove(from);
  }
  return system_error(errno, "rename", fmt::format("{} to {}", from, to));
}

Result<std::vector<std::string>> RealDisk::list(const std::string& dir) {
  DIR* stream = ::opendir(dir.c_str());
  if (!stream) return system_error(errno, "list", dir);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  const int error = errno;
  ::closedir(stream);
  if (error != 0) return system_error(error, "list", dir);
  std::ranges::sort(names);
  return names;
}

Result<void> RealDisk::make_dirs(const std::string& dir) {
  TRY(const bool there, exists(dir));
  if (there || dir.empty()) return {};
  const std::string parent = parent_dir(dir);
  TRY_VOID(make_dirs(parent));
  if (::mkdir(dir.c_str(), 0755) != 0 && errno != EEXIST) return system_error(errno, "create", dir);
  return sync_dir(parent);
}

Result<void> RealDisk::remove_dir(const std::string& dir) {
  if (::rmdir(dir.c_str()) != 0) return system_error(errno, "remove", dir);
  return {};
}

Result<void> RealDisk::sync_dir(const std::string& dir) {
  const int fd = open_retrying(dir, O_RDONLY | O_DIRECTORY);
  if (fd < 0) return system_error(errno, "open", dir);
  const int error = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (error != 0) return system_error(error, "sync", dir);
  return {};
}

Result<std::unique_ptr<FileLock>> RealDisk::lock(const std::string& path) {
  const int fd = open_retrying(path, O_RDWR | O_CREAT, 0644);
  if (fd < 0) return system_error(errno, "open", path);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(fd);
    if (error == EWOULDBLOCK)
      return fail(Code::in_use, fmt::format("{} is locked by another holder", path));
    return system_error(error, "lock", path);
  }
  return std::make_unique<RealLock>(fd);
}

Result<uint64_t> RealDisk::free_bytes(const std::string& dir) {
  struct statvfs status{};
  if (::statvfs(dir.c_str(), &status) != 0) return system_error(errno, "stat", dir);
  return uint64_t{status.f_bavail} * status.f_frsize;
}

}  // namespace paceline::env
