#include "env/sim_file.h"

#include <fmt/format.h>

#include <algorithm>

namespace paceline::env {

Result<void> SimFile::usable() {
  if (life_ != disk_.life_)
    return fail(Code::io_error, fmt::format("{} was opened by a process that has ended", path_));
  return disk_.powered();
}

Result<void> SimFile::begin_change() {
  TRY_VOID(usable());
  if (!writable_) return fail(Code::io_error, fmt::format("{} is open for reading only", path_));
  return disk_.begin_change();
}

void SimFile::change(uint64_t position, std::optional<std::string> bytes) {
  auto& change = inode_->unsynced.emplace_back(SimDisk::Change{position, std::move(bytes)});
  change.apply(inode_->live);
}

Result<size_t> SimFile::read_at(uint64_t position, MutableBytes into) {
  TRY_VOID(usable());
  if (disk_.random_.chance(disk_.faults_.read_error))
    return fail(Code::io_error, fmt::format("cannot read {}: input/output error", path_));
  const size_t count = inode_->live.read(position, into);
  if (count > 0 && disk_.random_.chance(disk_.faults_.bit_flip)) {
    const uint64_t bit = disk_.random_.below(count * 8);
    into[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  return count;
}

Result<void> SimFile::write_at(uint64_t position, std::span<const Bytes> pieces) {
  TRY_VOID(begin_change());
  std::string bytes;
  for (const Bytes piece : pieces) bytes += as_text(piece);
  if (bytes.empty()) return {};
  const uint64_t end = position + bytes.size();
  const uint64_t grown = end > inode_->live.size() ? end - inode_->live.size() : 0;
  const uint64_t capacity = disk_.faults_.capacity_bytes;
  const bool full = grown > 0 && capacity != std::numeric_limits<uint64_t>::max() &&
                    disk_.bytes_used() + grown > capacity;
  if (full || disk_.fails(disk_.faults_.write_error, disk_.faults_.failing_writes)) {
    const uint64_t used = full ? disk_.bytes_used() : 0;
    const uint64_t room =
        full ? bytes.size() - grown + (capacity > used ? capacity - used : 0) : bytes.size();
    bytes.resize(disk_.random_.below(std::min<uint64_t>(room, bytes.size()) + 1));
    if (!bytes.empty()) change(position, std::move(bytes));
    if (full)
      return fail(Code::no_space, fmt::format("cannot write {}: no space left on device", path_));
    return fail(Code::io_error, fmt::format("cannot write {}: input/output error", path_));
  }
  change(position, std::move(bytes));
  return {};
}

Result<void> SimFile::sync() {
  TRY_VOID(usable());
  TRY_VOID(disk_.begin_change());
  Random& random = disk_.random_;
  if (random.chance(disk_.faults_.slow_sync))
    disk_.delay_ +=
        Duration(static_cast<int64_t>(random.below(disk_.faults_.slow_sync_max.count() + 1)));
  const bool failed = disk_.fails(disk_.faults_.sync_error, disk_.faults_.failing_syncs);
  for (const SimDisk::Change& change : inode_->unsynced)
    if (!failed || random.chance(0.5)) change.apply(inode_->durable);
  inode_->unsynced.clear();
  if (failed) return fail(Code::io_error, fmt::format("cannot sync {}: input/output error", path_));
  return {};
}

Result<uint64_t> SimFile::size() {
  TRY_VOID(usable());
  return inode_->live.size();
}

Result<void> SimFile::truncate(uint64_t size) {
  TRY_VOID(begin_change());
  change(size, std::nullopt);
  return {};
}

Result<void> SimFile::allocate(uint64_t size) {
  TRY_VOID(begin_change());
  if (size <= inode_->live.size()) return {};
  const uint64_t capacity = disk_.faults_.capacity_bytes;
  if (disk_.bytes_used() + (size - inode_->live.size()) > capacity)
    return fail(Code::no_space, fmt::format("cannot allocate {}: no space left on device", path_));
  change(size, std::nullopt);
  return {};
}

}  // namespace paceline::env
