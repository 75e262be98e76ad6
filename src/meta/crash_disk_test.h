#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "env/disk.h"
#include "env/random.h"

namespace paceline::meta {

// A disk in memory that loses power and fails on demand. Bytes are durable after sync(), names
// after sync_dir(). When the power goes, each unsynced write is there, torn or lost by chance, and
// of the unsynced names an unknown number of first steps. A failed sync drops what it was to write
// from the cache, as Linux does: it can still be read, and a later sync that succeeds does not
// write it.
class CrashDisk final : public env::Disk {
 public:
  enum class Fault { none, power_off, io_error, no_space };

  explicit CrashDisk(uint64_t seed) : random_(seed) {}

  enum class At { any_change, sync };
  // The change (or the sync) after `steps` others fails; after power_off everything does, until
  // power_on().
  void arm(Fault fault, At at, uint64_t steps) {
    fault_ = fault;
    at_ = at;
    steps_ = steps;
  }
  bool fired() const { return fault_ == Fault::none; }
  void power_on();

  Result<std::unique_ptr<env::File>> open(const std::string& path, env::OpenMode mode) override;
  Result<bool> exists(const std::string& path) override {
    TRY_VOID(powered());
    return names_.contains(path);
  }
  Result<void> remove(const std::string& path) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> rename_new(const std::string& from, const std::string& to) override {
    if (names_.contains(to)) return fail(Code::already_exists, to);
    return rename(from, to);
  }
  Result<std::vector<std::string>> list(const std::string&) override {
    return std::vector<std::string>{};
  }
  Result<void> make_dirs(const std::string&) override { return powered(); }
  Result<void> remove_dir(const std::string&) override { return powered(); }
  Result<void> sync_dir(const std::string& dir) override;
  Result<std::unique_ptr<env::FileLock>> lock(const std::string& path) override;
  Result<uint64_t> free_bytes(const std::string&) override { return uint64_t{1} << 40; }

 private:
  struct Change {  // of one file's bytes: a write, or a cut if there are none
    uint64_t position = 0;
    std::string bytes;
  };
  struct Body {
    std::string live;
    std::string durable;
    std::vector<Change> unsynced;
  };
  struct NameStep {
    std::string from;  // empty: created
    std::string to;    // empty: removed
    std::shared_ptr<Body> body;
  };
  class OpenFile;
  class Held;

  using Names = std::map<std::string, std::shared_ptr<Body>>;
  static void apply(std::string& bytes, const Change& change);
  static void apply(Names& names, const NameStep& step);
  Result<void> powered() const;
  Result<void> change(At what = At::any_change);  // one step nearer to the armed fault
  Result<void> name_step(NameStep step);

  env::Random random_;
  Names names_;
  Names durable_names_;
  std::vector<NameStep> unsynced_names_;
  std::set<std::string> locks_;
  Fault fault_ = Fault::none;
  At at_ = At::any_change;
  uint64_t steps_ = 0;
  bool off_ = false;
};

class CrashDisk::OpenFile final : public env::File {
 public:
  OpenFile(CrashDisk& disk, std::shared_ptr<Body> body) : disk_(disk), body_(std::move(body)) {}

  Result<size_t> read_at(uint64_t position, MutableBytes into) override {
    TRY_VOID(disk_.powered());
    const std::string& live = body_->live;
    const size_t from = std::min<uint64_t>(position, live.size());
    const size_t count = std::min(into.size(), live.size() - from);
    std::ranges::copy(as_bytes(live).subspan(from, count), into.begin());
    return count;
  }
  Result<void> write_at(uint64_t position, std::span<const Bytes> pieces) override {
    Change change{position, {}};
    for (Bytes piece : pieces) change.bytes += as_text(piece);
    auto done = disk_.change();
    // A write that failed half-way.
    if (!done) change.bytes.resize(disk_.random_.below(change.bytes.size() + 1));
    if (!disk_.off_ && !change.bytes.empty()) keep(std::move(change));
    return done;
  }
  Result<void> sync() override {
    auto done = disk_.change(At::sync);
    if (!done) {
      if (!disk_.off_) body_->unsynced.clear();
      return done;
    }
    for (const Change& change : body_->unsynced) apply(body_->durable, change);
    body_->unsynced.clear();
    return {};
  }
  Result<uint64_t> size() override {
    TRY_VOID(disk_.powered());
    return body_->live.size();
  }
  Result<void> truncate(uint64_t size) override {
    TRY_VOID(disk_.change());
    keep(Change{size, {}});
    return {};
  }
  Result<void> allocate(uint64_t) override { return disk_.change(); }

 private:
  void keep(Change change) {
    apply(body_->live, change);
    body_->unsynced.push_back(std::move(change));
  }

  CrashDisk& disk_;
  std::shared_ptr<Body> body_;
};

class CrashDisk::Held final : public env::FileLock {
 public:
  Held(std::set<std::string>& locks, std::string path) : locks_(locks), path_(std::move(path)) {}
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() override { locks_.erase(path_); }

 private:
  std::set<std::string>& locks_;
  const std::string path_;
};

inline void CrashDisk::apply(std::string& bytes, const Change& change) {
  if (change.bytes.empty()) {
    bytes.resize(change.position);
    return;
  }
  bytes.resize(std::max<size_t>(bytes.size(), change.position + change.bytes.size()));
  bytes.replace(change.position, change.bytes.size(), change.bytes);
}

inline void CrashDisk::apply(Names& names, const NameStep& step) {
  if (!step.from.empty()) names.erase(step.from);
  if (!step.to.empty()) names[step.to] = step.body;
}

inline Result<void> CrashDisk::powered() const {
  if (off_) return fail(Code::io_error, "the power is off");
  return {};
}

inline Result<void> CrashDisk::change(At what) {
  TRY_VOID(powered());
  if (fault_ == Fault::none || (at_ == At::sync && what != At::sync) || steps_-- > 0) return {};
  const Fault fault = std::exchange(fault_, Fault::none);
  off_ = fault == Fault::power_off;
  if (fault == Fault::no_space) return fail(Code::no_space, "the disk is full");
  return fail(Code::io_error, off_ ? "the power went off" : "the disk failed");
}

inline void CrashDisk::power_on() {
  off_ = false;
  fault_ = Fault::none;
  const uint64_t kept = random_.below(unsynced_names_.size() + 1);
  for (uint64_t i = 0; i < kept; ++i) apply(durable_names_, unsynced_names_[i]);
  unsynced_names_.clear();
  names_ = durable_names_;
  const double loss = random_.chance(0.5) ? 0 : 0.3;  // the cache may just have been written back
  for (auto& [path, body] : names_) {
    for (Change& lost : body->unsynced) {
      if (random_.chance(loss)) continue;
      const bool torn = !lost.bytes.empty() && random_.chance(loss);
      if (torn) lost.bytes.resize(1 + random_.below(lost.bytes.size()));
      apply(body->durable, lost);
    }
    body->unsynced.clear();
    body->live = body->durable;
  }
}

inline Result<std::unique_ptr<env::File>> CrashDisk::open(const std::string& path,
                                                          env::OpenMode mode) {
  TRY_VOID(powered());
  if (!names_.contains(path)) {
    if (mode.create == env::OpenMode::Create::never) return fail(Code::not_found, path);
    TRY_VOID(name_step({{}, path, std::make_shared<Body>()}));
  } else if (mode.create == env::OpenMode::Create::exclusive) {
    return fail(Code::already_exists, path);
  }
  return std::make_unique<OpenFile>(*this, names_[path]);
}

inline Result<void> CrashDisk::remove(const std::string& path) {
  if (!names_.contains(path)) return fail(Code::not_found, path);
  return name_step({path, {}, nullptr});
}

inline Result<void> CrashDisk::rename(const std::string& from, const std::string& to) {
  if (!names_.contains(from)) return fail(Code::not_found, from);
  return name_step({from, to, names_[from]});
}

inline Result<void> CrashDisk::name_step(NameStep step) {
  TRY_VOID(change());
  apply(names_, step);
  unsynced_names_.push_back(std::move(step));
  return {};
}

inline Result<void> CrashDisk::sync_dir(const std::string&) {
  TRY_VOID(change());
  for (const NameStep& step : unsynced_names_) apply(durable_names_, step);
  unsynced_names_.clear();
  return {};
}

inline Result<std::unique_ptr<env::FileLock>> CrashDisk::lock(const std::string& path) {
  TRY_VOID(powered());
  if (!locks_.insert(path).second) return fail(Code::in_use, path);
  return std::make_unique<Held>(locks_, path);
}

}  // namespace paceline::meta
