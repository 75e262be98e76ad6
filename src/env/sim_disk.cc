#include "env/sim_disk.h"

#include <fmt/format.h>

#include <algorithm>

#include "env/sim_file.h"

namespace paceline::env {
namespace {

constexpr uint64_t kSector = 512;

std::string clean(std::string path) {
  std::string cleaned;
  for (const char c : path)
    if (c != '/' || !cleaned.ends_with('/')) cleaned += c;
  while (cleaned.size() > 1 && cleaned.ends_with('/')) cleaned.pop_back();
  return cleaned;
}

std::unexpected<Error> absent(const std::string& path) {
  return fail(Code::not_found, fmt::format("{}: no such file or directory", path));
}

}  // namespace

SimDisk::SimDisk(uint64_t seed) : random_(seed) {}
SimDisk::~SimDisk() = default;

void SimDisk::Change::apply(SimBytes& to) const {
  if (bytes) {
    to.write(position, as_bytes(*bytes));
  } else {
    to.resize(position);
  }
}

bool SimDisk::fails(double chance, uint32_t& next_ones) {
  if (next_ones == 0) return random_.chance(chance);
  --next_ones;
  return true;
}

Result<void> SimDisk::powered() {
  if (powered_off_) return fail(Code::io_error, "the disk has no power");
  return {};
}

Result<void> SimDisk::begin_change() {
  if (changes_left_ && (*changes_left_)-- == 0) {
    changes_left_.reset();
    powered_off_ = true;
  }
  TRY_VOID(powered());
  ++changes_;
  return {};
}

bool SimDisk::dir_exists(const std::string& dir) const {
  return dir == "." || dir == "/" || dirs_.contains(dir);
}

Result<void> SimDisk::check_parent(const std::string& path) const {
  if (!dir_exists(parent_dir(path))) return absent(path);
  return {};
}

uint64_t SimDisk::bytes_used() const {
  uint64_t used = 0;
  for (const auto& [path, inode] : names_) used += inode->live.size();
  return used;
}

void SimDisk::apply(const NameChange& change, Names& names) {
  if (!change.from.empty()) names.erase(change.from);
  if (!change.to.empty()) names[change.to] = change.inode;
}

void SimDisk::change_names(NameChange change) {
  apply(change, names_);
  unsynced_names_.push_back(std::move(change));
}

Result<std::unique_ptr<File>> SimDisk::open(const std::string& given, OpenMode mode) {
  TRY_VOID(powered());
  const std::string path = clean(given);
  if (dir_exists(path))
    return fail(Code::io_error, fmt::format("cannot open {}: is a directory", path));
  auto name = names_.find(path);
  if (name != names_.end() && mode.create == OpenMode::Create::exclusive)
    return fail(Code::already_exists, fmt::format("cannot open {}: file exists", path));
  if (name == names_.end()) {
    if (mode.create == OpenMode::Create::never) return absent(path);
    TRY_VOID(check_parent(path));
    TRY_VOID(begin_change());
    change_names({.from = {}, .to = path, .inode = std::make_shared<Inode>()});
    name = names_.find(path);
  }
  return std::make_unique<SimFile>(*this, path, name->second, mode.writable);
}

Result<bool> SimDisk::exists(const std::string& path) {
  TRY_VOID(powered());
  return names_.contains(clean(path)) || dir_exists(clean(path));
}

Result<void> SimDisk::remove(const std::string& given) {
  const std::string path = clean(given);
  TRY_VOID(powered());
  if (!names_.contains(path)) return absent(path);
  TRY_VOID(begin_change());
  change_names({.from = path, .to = {}, .inode = nullptr});
  return {};
}

Result<void> SimDisk::rename(const std::string& from, const std::string& to) {
  TRY_VOID(powered());
  const auto name = names_.find(clean(from));
  if (name == names_.end()) return absent(from);
  TRY_VOID(check_parent(clean(to)));
  TRY_VOID(begin_change());
  if (clean(from) != clean(to))
    change_names({.from = clean(from), .to = clean(to), .inode = name->second});
  return {};
}

Result<void> SimDisk::rename_new(const std::string& from, const std::string& to) {
  TRY_VOID(powered());
  if (!names_.contains(clean(from))) return absent(from);
  if (names_.contains(clean(to)) || dir_exists(clean(to)))
    return fail(Code::already_exists, fmt::format("cannot rename {} to {}: file exists", from, to));
  return rename(from, to);
}

Result<std::vector<std::string>> SimDisk::list(const std::string& given) {
  TRY_VOID(powered());
  const std::string dir = clean(given);
  if (!dir_exists(dir)) return absent(dir);
  std::vector<std::string> found;
  auto add = [&](const std::string& path) {
    if (path != dir && parent_dir(path) == dir) found.push_back(path.substr(path.rfind('/') + 1));
  };
  for (const auto& [path, inode] : names_) add(path);
  for (const std::string& path : dirs_) add(path);
  std::ranges::sort(found);
  return found;
}

Result<void> SimDisk::make_dirs(const std::string& given) {
  TRY_VOID(begin_change());
  for (std::string dir = clean(given); !dir_exists(dir); dir = parent_dir(dir)) {
    if (names_.contains(dir)) return fail(Code::already_exists, fmt::format("{} is a file", dir));
    dirs_.insert(dir);
  }
  return {};
}

Result<void> SimDisk::remove_dir(const std::string& given) {
  const std::string dir = clean(given);
  TRY(const auto inside, list(dir));
  if (!inside.empty())
    return fail(Code::io_error, fmt::format("cannot remove {}: directory not empty", dir));
  TRY_VOID(begin_change());
  dirs_.erase(dir);
  return {};
}

Result<void> SimDisk::sync_dir(const std::string& given) {
  const std::string dir = clean(given);
  TRY_VOID(powered());
  if (!dir_exists(dir)) return absent(dir);
  TRY_VOID(begin_change());
  std::erase_if(unsynced_names_, [&](const NameChange& change) {
    const bool here = (!change.from.empty() && parent_dir(change.from) == dir) ||
                      (!change.to.empty() && parent_dir(change.to) == dir);
    if (here) apply(change, durable_names_);
    return here;
  });
  return {};
}

Result<std::unique_ptr<FileLock>> SimDisk::lock(const std::string& given) {
  const std::string path = clean(given);
  OpenMode mode{.create = OpenMode::Create::if_missing, .writable = true};
  TRY(auto file, open(path, mode));
  if (!locks_.insert(path).second)
    return fail(Code::in_use, fmt::format("{} is locked by another holder", path));
  return std::make_unique<SimLock>(*this, path);
}

Result<uint64_t> SimDisk::free_bytes(const std::string&) {
  TRY_VOID(powered());
  const uint64_t used = bytes_used();
  return faults_.capacity_bytes > used ? faults_.capacity_bytes - used : 0;
}

Result<void> SimDisk::flip_stored_bit(const std::string& path, uint64_t bit) {
  const auto name = names_.find(clean(path));
  if (name == names_.end()) return absent(path);
  if (bit / 8 >= name->second->live.size())
    return fail(Code::out_of_range, fmt::format("{} is shorter", path));
  for (SimBytes* bytes : {&name->second->live, &name->second->durable}) {
    std::byte value{};
    if (bytes->read(bit / 8, MutableBytes(&value, 1)) == 0) continue;
    value ^= std::byte{1} << (bit % 8);
    bytes->write(bit / 8, Bytes(&value, 1));
  }
  return {};
}

void SimDisk::forget_handles() {
  ++life_;
  locks_.clear();
}

// A part of a write: its first bytes, or some of its sectors.
SimDisk::Change SimDisk::torn(const Change& change) {
  Change part = change;
  if (!part.bytes) return part;
  std::string& bytes = *part.bytes;
  const uint64_t cut = random_.below(bytes.size());
  if (random_.chance(0.5)) {
    bytes.resize(cut);
  } else {
    const uint64_t sector_end = (change.position + cut) / kSector * kSector;
    bytes.resize(sector_end > change.position ? sector_end - change.position : 0);
  }
  return part;
}

// mode 0: all is lost; 1: all was written; otherwise by chance.
void SimDisk::lose_bytes(Inode& inode, uint64_t mode) {
  for (size_t i = 0; i < inode.unsynced.size(); ++i) {
    const Change& change = inode.unsynced[i];
    const bool last = i + 1 == inode.unsynced.size();
    if (mode == 0) break;
    if (last && mode > 1 && random_.chance(0.4)) {
      torn(change).apply(inode.durable);
    } else if (mode == 1 || random_.chance(0.5)) {
      change.apply(inode.durable);
    }
  }
  inode.unsynced.clear();
  inode.live = inode.durable;
}

void SimDisk::crash() {
  // Names first: nothing, everything, the first few (a journal), or any of them.
  const uint64_t name_mode = random_.below(4);
  const uint64_t first = random_.below(unsynced_names_.size() + 1);
  for (size_t i = 0; i < unsynced_names_.size(); ++i) {
    const bool kept =
        name_mode == 1 || (name_mode == 2 && i < first) || (name_mode == 3 && random_.chance(0.5));
    if (kept) apply(unsynced_names_[i], durable_names_);
  }
  unsynced_names_.clear();
  names_ = durable_names_;
  // A folder that was removed while one of its files is back was not removed.
  for (const auto& [path, inode] : names_)
    for (std::string dir = parent_dir(path); !dir_exists(dir); dir = parent_dir(dir))
      dirs_.insert(dir);
  const uint64_t byte_mode = random_.below(4);
  for (auto& [path, inode] : names_) lose_bytes(*inode, byte_mode);
  powered_off_ = false;
  changes_left_.reset();
  delay_ = Duration(0);
  forget_handles();
}

void SimDisk::replace() {
  names_.clear();
  durable_names_.clear();
  unsynced_names_.clear();
  dirs_.clear();
  powered_off_ = false;
  changes_left_.reset();
  delay_ = Duration(0);
  forget_handles();
}

}  // namespace paceline::env
