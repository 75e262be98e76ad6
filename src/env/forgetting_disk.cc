#include "env/forgetting_disk.h"

#include <map>
#include <mutex>

namespace paceline::env {
namespace {

// One file, however often it is open: what was written and not synced, in the order of writing.
struct Pending {
  std::mutex mutex;
  std::vector<std::pair<uint64_t, std::string>> writes;

  uint64_t end() const {
    uint64_t last = 0;
    for (const auto& [at, bytes] : writes) last = std::max(last, at + bytes.size());
    return last;
  }
};

class ForgettingFile final : public File {
 public:
  ForgettingFile(std::unique_ptr<File> file, std::shared_ptr<Pending> pending)
      : file_(std::move(file)), pending_(std::move(pending)) {}

  Result<size_t> read_at(uint64_t position, MutableBytes into) override {
    std::lock_guard lock(pending_->mutex);
    TRY(size_t count, file_->read_at(position, into));
    const uint64_t end = pending_->end();
    if (end > position + count) {
      const size_t longer = std::min<uint64_t>(into.size(), end - position);
      std::memset(into.data() + count, 0,
                  longer - count);  // a hole between what is there and what is not yet
      count = longer;
    }
    for (const auto& [at, bytes] : pending_->writes) {
      const uint64_t from = std::max(at, position);
      const uint64_t to = std::min(at + bytes.size(), position + into.size());
      if (from < to)
        std::memcpy(into.data() + (from - position), bytes.data() + (from - at), to - from);
    }
    return count;
  }

  Result<void> write_at(uint64_t position, std::span<const Bytes> pieces) override {
    std::lock_guard lock(pending_->mutex);
    for (Bytes piece : pieces) {
      pending_->writes.emplace_back(position, to_string(piece));
      position += piece.size();
    }
    return {};
  }

  Result<void> sync() override {
    std::lock_guard lock(pending_->mutex);
    TRY_VOID(flush());
    return file_->sync();
  }
  Result<uint64_t> size() override {
    std::lock_guard lock(pending_->mutex);
    TRY(uint64_t size, file_->size());
    return std::max(size, pending_->end());
  }
  Result<void> truncate(uint64_t size) override {
    std::lock_guard lock(pending_->mutex);
    TRY_VOID(flush());
    return file_->truncate(size);
  }
  Result<void> allocate(uint64_t size) override { return file_->allocate(size); }

 private:
  Result<void> flush() {
    for (const auto& [at, bytes] : pending_->writes) TRY_VOID(file_->write_at(at, as_bytes(bytes)));
    pending_->writes.clear();
    return {};
  }

  std::unique_ptr<File> file_;
  std::shared_ptr<Pending> pending_;
};

class ForgettingDisk final : public Disk {
 public:
  explicit ForgettingDisk(Disk& disk) : disk_(disk) {}

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    mode.direct = false;   // pending bytes have no alignment
    mode.writable = true;  // a sync writes what others have pending, as a real one does
    TRY(auto file, disk_.open(path, mode));
    return std::unique_ptr<File>(
        std::make_unique<ForgettingFile>(std::move(file), pending_of(path)));
  }
  Result<bool> exists(const std::string& path) override { return disk_.exists(path); }
  Result<void> remove(const std::string& path) override {
    TRY_VOID(disk_.remove(path));
    std::lock_guard lock(mutex_);
    pending_.erase(path);
    return {};
  }
  Result<void> rename(const std::string& from, const std::string& to) override {
    TRY_VOID(disk_.rename(from, to));
    moved(from, to);
    return {};
  }
  Result<void> rename_new(const std::string& from, const std::string& to) override {
    TRY_VOID(disk_.rename_new(from, to));
    moved(from, to);
    return {};
  }
  Result<std::vector<std::string>> list(const std::string& dir) override { return disk_.list(dir); }
  Result<void> make_dirs(const std::string& dir) override { return disk_.make_dirs(dir); }
  Result<void> remove_dir(const std::string& dir) override { return disk_.remove_dir(dir); }
  Result<void> sync_dir(const std::string& dir) override { return disk_.sync_dir(dir); }
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    return disk_.lock(path);
  }
  Result<uint64_t> free_bytes(const std::string& dir) override { return disk_.free_bytes(dir); }

 private:
  std::shared_ptr<Pending> pending_of(const std::string& path) {
    std::lock_guard lock(mutex_);
    auto& pending = pending_[path];
    if (!pending) pending = std::make_shared<Pending>();
    return pending;
  }
  void moved(const std::string& from, const std::string& to) {
    std::lock_guard lock(mutex_);
    auto found = pending_.find(from);
    if (found == pending_.end()) {
      pending_.erase(to);
      return;
    }
    pending_[to] = std::move(found->second);
    pending_.erase(from);
  }

  Disk& disk_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Pending>> pending_;
};

}  // namespace

std::unique_ptr<Disk> make_forgetting_disk(Disk& disk) {
  return std::make_unique<ForgettingDisk>(disk);
}

}  // namespace paceline::env
