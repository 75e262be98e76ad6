#include "env/disk.h"

#include <fmt/format.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <cstring>

#include "env/block_pool.h"

namespace paceline::env {
namespace {

// Copied into aligned memory this much at a time: one huge page, which a disk takes in one piece.
constexpr size_t kChunkBytes = 2u << 20;
// Below this the page cache costs less than the system calls around it.
constexpr uint64_t kDirectBytesMin = 256u << 10;

size_t round_to_direct(size_t bytes) {
  return (bytes + kDirectAlignment - 1) / kDirectAlignment * kDirectAlignment;
}

// memcpy() for memory that only a device reads next: after each write the chunk lies in the cache
// of whoever did the write, and storing to it there costs up to seven times the copy.
void copy_past_cache(std::byte* to, Bytes from) {
#if defined(__SSE2__)
  constexpr size_t kLine = 64;
  const size_t past = reinterpret_cast<uintptr_t>(to) % sizeof(__m128i);
  const size_t head = std::min(from.size(), past == 0 ? 0 : sizeof(__m128i) - past);
  std::memcpy(to, from.data(), head);
  to += head;
  from = from.subspan(head);
  for (; from.size() >= kLine; from = from.subspan(kLine), to += kLine) {
    const auto* source = reinterpret_cast<const __m128i*>(from.data());
    auto* target = reinterpret_cast<__m128i*>(to);
    for (int i = 0; i < 4; ++i) _mm_stream_si128(target + i, _mm_loadu_si128(source + i));
  }
  _mm_sfence();
#endif
  std::memcpy(to, from.data(), from.size());
}

// Whole aligned chunks of `pieces`; the last one is padded with zeros.
Result<void> write_in_chunks(File& file, std::span<const Bytes> pieces) {
  const Buffer memory = allocate_pages(kChunkBytes, true);
  const MutableBytes chunk = memory.writable();
  uint64_t position = 0;
  size_t used = 0;
  for (Bytes piece : pieces) {
    while (!piece.empty()) {
      const size_t count = std::min(piece.size(), kChunkBytes - used);
      copy_past_cache(chunk.data() + used, piece.first(count));
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
