#include "sim/shared_folder.h"

namespace paceline::sim {
namespace {

std::unexpected<Error> cut() {
  return fail(Code::io_error, "the shared folder cannot be reached");
}

// An open file of the folder, as long as the way there is whole.
class MountedFile final : public env::File {
 public:
  MountedFile(std::unique_ptr<env::File> file, env::SimDisk& there, env::SimDisk& own,
              std::shared_ptr<const bool> reachable)
      : file_(std::move(file)), there_(there), own_(own), reachable_(std::move(reachable)) {}

  Result<size_t> read_at(uint64_t position, MutableBytes into) override {
    return call([&] { return file_->read_at(position, into); });
  }
  Result<void> write_at(uint64_t position, std::span<const Bytes> pieces) override {
    return call([&] { return file_->write_at(position, pieces); });
  }
  Result<void> sync() override {
    return call([&] { return file_->sync(); });
  }
  Result<uint64_t> size() override {
    return call([&] { return file_->size(); });
  }
  Result<void> truncate(uint64_t size) override {
    return call([&] { return file_->truncate(size); });
  }
  Result<void> allocate(uint64_t size) override {
    return call([&] { return file_->allocate(size); });
  }
  Result<std::optional<uint64_t>> next_data(uint64_t position) override {
    return call([&] { return file_->next_data(position); });
  }

 private:
  template <class Call>
  std::invoke_result_t<Call> call(Call what) {
    if (!*reachable_) return cut();
    auto done = what();
    own_.add_delay(there_.take_delay());
    return done;
  }

  const std::unique_ptr<env::File> file_;
  env::SimDisk& there_;
  env::SimDisk& own_;
  const std::shared_ptr<const bool> reachable_;
};

class Mounted final : public env::Disk {
 public:
  Mounted(env::SimDisk& there, env::SimDisk& own, std::shared_ptr<const bool> reachable)
      : there_(there), own_(own), reachable_(std::move(reachable)) {}

  Result<std::unique_ptr<env::File>> open(const std::string& path, env::OpenMode mode) override {
    if (!is_there(path)) return own_.open(path, mode);
    if (!*reachable_) return cut();
    TRY(auto file, there_.open(path, mode));
    return std::make_unique<MountedFile>(std::move(file), there_, own_, reachable_);
  }
  Result<bool> exists(const std::string& path) override {
    return call(path, [&](env::Disk& disk) { return disk.exists(path); });
  }
  Result<void> remove(const std::string& path) override {
    return call(path, [&](env::Disk& disk) { return disk.remove(path); });
  }
  Result<void> rename(const std::string& from, const std::string& to) override {
    return call(from, [&](env::Disk& disk) { return disk.rename(from, to); });
  }
  Result<void> rename_new(const std::string& from, const std::string& to) override {
    return call(from, [&](env::Disk& disk) { return disk.rename_new(from, to); });
  }
  Result<std::vector<std::string>> list(const std::string& dir) override {
    return call(dir, [&](env::Disk& disk) { return disk.list(dir); });
  }
  Result<void> make_dirs(const std::string& dir) override {
    return call(dir, [&](env::Disk& disk) { return disk.make_dirs(dir); });
  }
  Result<void> remove_dir(const std::string& dir) override {
    return call(dir, [&](env::Disk& disk) { return disk.remove_dir(dir); });
  }
  Result<void> sync_dir(const std::string& dir) override {
    return call(dir, [&](env::Disk& disk) { return disk.sync_dir(dir); });
  }
  Result<std::unique_ptr<env::FileLock>> lock(const std::string& path) override {
    CHECK(!is_there(path));  // a lock there would outlive its holder
    return own_.lock(path);
  }
  Result<uint64_t> free_bytes(const std::string& dir) override {
    return call(dir, [&](env::Disk& disk) { return disk.free_bytes(dir); });
  }

 private:
  static bool is_there(const std::string& path) { return path.starts_with(SharedFolder::kPath); }
  template <class Call>
  std::invoke_result_t<Call, env::Disk&> call(const std::string& path, Call what) {
    if (!is_there(path)) return what(own_);
    if (!*reachable_) return cut();
    auto done = what(there_);
    own_.add_delay(there_.take_delay());
    return done;
  }

  env::SimDisk& there_;
  env::SimDisk& own_;
  const std::shared_ptr<const bool> reachable_;
};

}  // namespace

SharedFolder::SharedFolder(uint64_t seed) : disk_(seed) {
  CHECK(disk_.make_dirs(std::string(kPath)));
}

std::unique_ptr<env::Disk> SharedFolder::mount(env::SimDisk& own,
                                               std::shared_ptr<const bool> reachable) {
  return std::make_unique<Mounted>(disk_, own, std::move(reachable));
}

}  // namespace paceline::sim
