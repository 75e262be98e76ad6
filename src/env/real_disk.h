#pragma once

#include <memory>
#include <string>

#include "env/commits_first.h"
#include "env/disk.h"

namespace paceline::env {

// The file system of this machine, over POSIX calls. One serves all shards, so that their big reads
// give way to all their commits; files may outlive it.
class RealDisk final : public Disk {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<bool> exists(const std::string& path) override;
  Result<void> remove(const std::string& path) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> rename_new(const std::string& from, const std::string& to) override;
  Result<std::vector<std::string>> list(const std::string& dir) override;
  Result<void> make_dirs(const std::string& dir) override;
  Result<void> remove_dir(const std::string& dir) override;
  Result<void> sync_dir(const std::string& dir) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;
  Result<uint64_t> free_bytes(const std::string& dir) override;

 private:
  const std::shared_ptr<CommitsFirst> commits_ = std::make_shared<CommitsFirst>();
};

// The error for a failed system call: `what` names the action, `path` the thing.
std::unexpected<Error> system_error(int error, std::string_view what, const std::string& path);

}  // namespace paceline::env
