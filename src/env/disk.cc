#include "env/disk.h"

#include <fmt/format.h>

#include <algorithm>

namespace paceline::env {
namespace {

// Copied into aligned memory this much at a time: enough for the full rate of a disk, and small
// enough for the copy to stay in the processor's cache.
constexpr size_t kChunkBytes = 1u << 20;
// Below this the page cache costs less than the system calls around it.
constexpr uint64_t kDirectBytesMin = 256u << 10;

size_t round_to_direct(size_t bytes) {
  return (bytes + kDirectAlignment - 1) / kDirectAlignment * kDirectAlignment;
}

// Whole aligned chunks of `pieces`; the last one is padded with zeros.
Result<void> write_in_chunks(File& file, std::span<const Bytes> pieces) {
  const Buffer memory = Buffer::allocate(kChunkBytes + kDirectAlignment);
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
  const MutableBytes chunk =
      memory.writable().subspan(round_to_direct(address) - address, kChunkBytes);
  uint64_t position = 0;
  size_t used = 0;
  for (Bytes piece : pieces) {
    while (!piece.empty()) {
      const size_t count = std::min(piece.size(), kChunkBytes - used);
      std::memcpy(chunk.data() + used, piece.data(), count);
      piece = piece.subspan(count);
      used += count;
      if (used < kChunkBytes) continue;
      TRY_VOID(file.write_at(position, Bytes(chunk)));
      position += used;
      used = 0;
    }
  }
  if (used == 0) return {};
  const size_t padded = round_to_direct(used);
  std::memset(chunk.data() + used, 0, padded - used);
  return file.write_at(position, Bytes(chunk.first(padded)));
}

}  // namespace

Result<void> write_new_file(Disk& disk, const std::string& path, std::span<const Bytes> pieces) {
  uint64_t bytes = 0;
  for (const Bytes& piece : pieces) bytes += piece.size();
  const bool direct = bytes >= kDirectBytesMin;
  OpenMode mode{.create = OpenMode::Create::exclusive, .writable = true, .direct = direct};
  TRY(auto file, disk.open(path, mode));
  if (direct) {
    TRY_VOID(write_in_chunks(*file, pieces));
    if (bytes % kDirectAlignment != 0) TRY_VOID(file->truncate(bytes));
  } else if (bytes > 0) {
    TRY_VOID(file->write_at(0, pieces));
  }
  return file->sync();
}

std::string parent_dir(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<std::string> read_file(Disk& disk, const std::string& path, uint64_t bytes_max) {
  OpenMode mode{};
  TRY(auto file, disk.open(path, mode));
  TRY(const uint64_t size, file->size());
  if (size > bytes_max)
    return fail(Code::too_large,
                fmt::format("{} has {} bytes, over the limit of {}", path, size, bytes_max));
  std::string text(size, '\0');
  TRY(const size_t count,
      file->read_at(0, MutableBytes(reinterpret_cast<std::byte*>(text.data()), size)));
  text.resize(count);
  return text;
}

Result<void> replace_file(Disk& disk, const std::string& path, Bytes bytes) {
  const std::string temporary = path + ".tmp";
  OpenMode mode{.create = OpenMode::Create::if_missing, .writable = true};
  TRY(auto file, disk.open(temporary, mode));
  TRY_VOID(file->truncate(0));
  TRY_VOID(file->write_at(0, bytes));
  TRY_VOID(file->sync());
  TRY_VOID(disk.rename(temporary, path));
  return disk.sync_dir(parent_dir(path));
}

}  // namespace paceline::env
