#include "meta/sqlite_wal.h"

#include <fmt/format.h>

#include <array>
#include <bit>

#include "base/endian.h"
#include "meta/sqlite_vfs.h"

// The format (from SQLite's file format documentation): a header of 32 bytes, then frames of a
// 24-byte header and a page. The checksum of a frame goes over everything from the start of the log
// and is made of two sums over 32-bit words, whose byte order the magic number tells.

namespace paceline::meta {
namespace {

constexpr size_t kHeaderBytes = 32;
constexpr size_t kFrameHeaderBytes = 24;
constexpr size_t kFrameBytes = kFrameHeaderBytes + SqliteVfs::kPageBytes;
constexpr uint32_t kMagic = 0x377f0682;  // the lowest bit: the sums are over big-endian words

struct Sums {
  uint32_t first = 0;
  uint32_t second = 0;
  bool operator==(const Sums&) const = default;
};

Sums add(Sums sums, Bytes bytes, bool big_endian) {
  for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
    auto x = load_be<uint32_t>(bytes.data() + i);
    auto y = load_be<uint32_t>(bytes.data() + i + 4);
    if (!big_endian) {
      x = std::byteswap(x);
      y = std::byteswap(y);
    }
    sums.first += x + sums.second;
    sums.second += y + sums.first;
  }
  return sums;
}

Sums stored_sums(const std::byte* at) {
  return {load_be<uint32_t>(at), load_be<uint32_t>(at + 4)};
}

// Reads a log frame by frame and finds the end of its last whole transaction.
class Scan {
 public:
  Scan(env::File& file, const std::string& path) : file_(file), path_(path) {}

  // The count of bytes to keep; 0: nothing in it counts.
  Result<uint64_t> committed_bytes() {
    TRY(const uint64_t size, file_.size());
    if (size < kHeaderBytes) return 0;
    TRY(const size_t count, file_.read_at(0, header_));
    if (count < header_.size())
      return fail(Code::io_error, fmt::format("{} became shorter while it was read", path_));
    const auto magic = load_be<uint32_t>(header_.data());
    big_endian_ = magic & 1;
    sums_ = add({}, Bytes(header_).first(24), big_endian_);
    const bool valid = (magic & ~1u) == kMagic && sums_ == stored_sums(header_.data() + 24) &&
                       load_be<uint32_t>(header_.data() + 8) == SqliteVfs::kPageBytes;
    uint64_t kept = valid ? kHeaderBytes : 0;
    uint64_t position = kHeaderBytes;
    bool chain = valid;
    bool end_seen = false;  // of the transaction that is damaged
    for (; position + kFrameBytes <= size; position += kFrameBytes) {
      TRY_VOID(read_frame(position));
      chain = chain && follows();
      if (chain) {
        if (ends_transaction()) kept = position + kFrameBytes;
        continue;
      }
      // Both salts change when the log starts over, so only frames of this round share one. One is
      // enough, since the other may be what is damaged, here or in the log's header.
      if (!one_salt()) continue;
      if (end_seen || !valid) return damaged(valid ? kept : 0);
      end_seen = ends_transaction();
    }
    return kept;
  }

 private:
  Result<void> read_frame(uint64_t position) {
    TRY(const size_t count, file_.read_at(position, frame_));
    if (count < frame_.size())
      return fail(Code::io_error, fmt::format("{} became shorter while it was read", path_));
    return {};
  }
  bool follows() {
    Sums sums = add(sums_, Bytes(frame_).first(8), big_endian_);
    sums = add(sums, Bytes(frame_).subspan(kFrameHeaderBytes), big_endian_);
    if (!both_salts() || sums != stored_sums(frame_.data() + 16)) return false;
    sums_ = sums;
    return true;
  }
  bool ends_transaction() const { return load_be<uint32_t>(frame_.data() + 4) != 0; }
  bool same_word(size_t in_frame, size_t in_header) const {
    return load_be<uint32_t>(frame_.data() + in_frame) ==
           load_be<uint32_t>(header_.data() + in_header);
  }
  bool both_salts() const { return same_word(8, 16) && same_word(12, 20); }
  bool one_salt() const { return same_word(8, 16) || same_word(12, 20); }
  std::unexpected<Error> damaged(uint64_t position) const {
    return fail(Code::corrupt, fmt::format("{} is damaged behind byte {}: transactions that were "
                                           "acknowledged follow a broken one",
                                           path_, position));
  }

  env::File& file_;
  const std::string& path_;
  std::array<std::byte, kHeaderBytes> header_;
  std::array<std::byte, kFrameBytes> frame_;
  Sums sums_;
  bool big_endian_ = false;
};

// The front of a file, durably; `to` may be the same one: each byte is written where it stands.
Result<void> copy(env::File& from, env::File& to, uint64_t bytes) {
  const Buffer buffer = Buffer::allocate(64 << 10);
  for (uint64_t position = 0; position < bytes;) {
    const size_t size = std::min<uint64_t>(buffer.size(), bytes - position);
    TRY(const size_t count, from.read_at(position, buffer.writable().first(size)));
    if (count == 0) return fail(Code::io_error, "it became shorter while it was read");
    TRY_VOID(to.write_at(position, buffer.bytes().first(count)));
    position += count;
  }
  TRY_VOID(to.truncate(bytes));
  return to.sync();
}

Result<void> copy_to(env::Disk& disk, env::File& from, const std::string& path, uint64_t bytes) {
  env::OpenMode mode;
  mode.create = env::OpenMode::Create::if_missing;
  mode.writable = true;
  TRY(auto file, disk.open(path, mode));
  TRY_VOID(file->truncate(0));
  return copy(from, *file, bytes);
}

}  // namespace

Result<void> renew_sqlite_wal(env::Disk& disk, const std::string& path) {
  TRY(const bool there, disk.exists(path));
  if (!there) return {};
  env::OpenMode mode;
  mode.writable = true;
  TRY(auto file, disk.open(path, mode));
  TRY(const uint64_t bytes, Scan(*file, path).committed_bytes());
  const std::string fresh = path + ".new";
  auto copied = copy_to(disk, *file, fresh, bytes);
  if (!copied) {
    (void)disk.remove(fresh);  // the copy is nothing yet: a left one is overwritten next time
    // A broker must come up on a full disk: the old file then has to do. What a failed sync of it
    // had left readable, and no longer to be written, is written again.
    if (copied.error().code != Code::no_space) return copied;
    return copy(*file, *file, bytes);
  }
  TRY_VOID(disk.rename(fresh, path));
  return disk.sync_dir(env::parent_dir(path));
}

}  // namespace paceline::meta
