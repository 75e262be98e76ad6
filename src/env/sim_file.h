#pragma once

#include <memory>
#include <string>

#include "env/sim_disk.h"

namespace paceline::env {

// An open file of a SimDisk, which outlives it.
class SimFile final : public File {
 public:
  SimFile(SimDisk& disk, std::string path, std::shared_ptr<SimDisk::Inode> inode, bool writable)
      : disk_(disk),
        path_(std::move(path)),
        inode_(std::move(inode)),
        life_(disk.life_),
        writable_(writable) {}

  using File::write_at;
  Result<size_t> read_at(uint64_t position, MutableBytes into) override;
  Result<void> write_at(uint64_t position, std::span<const Bytes> pieces) override;
  Result<void> sync() override;
  Result<uint64_t> size() override;
  Result<void> truncate(uint64_t size) override;
  Result<void> allocate(uint64_t size) override;

 private:
  Result<void> usable();
  Result<void> begin_change();
  void change(uint64_t position, std::optional<std::string> bytes);

  SimDisk& disk_;
  const std::string path_;
  const std::shared_ptr<SimDisk::Inode> inode_;
  const uint64_t life_;
  const bool writable_;
};

class SimLock final : public FileLock {
 public:
  SimLock(SimDisk& disk, std::string path)
      : disk_(disk), path_(std::move(path)), life_(disk.life_) {}
  SimLock(const SimLock&) = delete;
  SimLock& operator=(const SimLock&) = delete;
  ~SimLock() override {
    if (disk_.life_ == life_) disk_.locks_.erase(path_);
  }

 private:
  SimDisk& disk_;
  const std::string path_;
  const uint64_t life_;
};

}  // namespace paceline::env
