#include "env/real_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "env/real_disk.h"

namespace paceline::env {

RealFile::~RealFile() {
  ::close(fd_);
}

Result<size_t> RealFile::read_at(uint64_t position, MutableBytes into) {
  size_t done = 0;
  while (done < into.size()) {
    const size_t left = into.size() - done;
    const size_t piece = gives_way_ ? std::min(left, CommitsFirst::kPieceBytes) : left;
    if (gives_way_) commits_->give_way();
    const ssize_t count =
        ::pread(fd_, into.data() + done, piece, static_cast<off_t>(position + done));
    if (count < 0 && errno == EINTR) continue;
    // A file read directly ended within a page, and what is left is not aligned.
    if (count < 0 && errno == EINVAL && done % kDirectAlignment != 0) break;
    if (count < 0) return system_error(errno, "read", path_);
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  return done;
}

Result<void> RealFile::write_at(uint64_t position, std::span<const Bytes> pieces) {
  const CommitsFirst::Write write(*commits_);
  // Far below IOV_MAX (1024), and enough that one call carries a whole write group.
  constexpr size_t kVectors = 256;
  std::array<iovec, kVectors> vectors;
  size_t piece = 0;
  size_t skip = 0;  // bytes of pieces[piece] already written
  while (piece < pieces.size()) {
    size_t count = 0;
    for (size_t i = piece; i < pieces.size() && count < kVectors; ++i, ++count) {
      const Bytes rest = i == piece ? pieces[i].subspan(skip) : pieces[i];
      vectors[count] = {const_cast<std::byte*>(rest.data()), rest.size()};
    }
    const ssize_t wrote =
        ::pwritev(fd_, vectors.data(), static_cast<int>(count), static_cast<off_t>(position));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return system_error(errno, "write", path_);
    position += static_cast<uint64_t>(wrote);
    size_t left = static_cast<size_t>(wrote);
    bool moved = wrote > 0;
    while (piece < pieces.size() && left >= pieces[piece].size() - skip) {
      left -= pieces[piece].size() - skip;
      ++piece;
      skip = 0;
      moved = true;
    }
    skip += left;
    if (!moved) return system_error(EIO, "write", path_);
  }
  return {};
}

Result<void> RealFile::sync() {
  const CommitsFirst::Sync sync(*commits_);
  if (::fdatasync(fd_) != 0) return system_error(errno, "sync", path_);
  return {};
}

Result<uint64_t> RealFile::size() {
  struct stat status{};
  if (::fstat(fd_, &status) != 0) return system_error(errno, "stat", path_);
  return static_cast<uint64_t>(status.st_size);
}

Result<void> RealFile::truncate(uint64_t size) {
  while (::ftruncate(fd_, static_cast<off_t>(size)) != 0)
    if (errno != EINTR) return system_error(errno, "truncate", path_);
  return {};
}

Result<void> RealFile::allocate(uint64_t size) {
  if (size == 0) return {};
  while (::fallocate(fd_, 0, 0, static_cast<off_t>(size)) != 0) {
    if (errno == EOPNOTSUPP || errno == ENOSYS) return write_zeros(size);
    if (errno != EINTR) return system_error(errno, "allocate", path_);
  }
  return {};
}

Result<bool> RealFile::forget() {
  TRY(const uint64_t bytes, size());
  if (bytes == 0) return true;
  constexpr int kMode = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
  while (::fallocate(fd_, kMode, 0, static_cast<off_t>(bytes)) != 0) {
    if (errno == EOPNOTSUPP || errno == ENOSYS) return false;
    if (errno != EINTR) return system_error(errno, "clear", path_);
  }
  return true;
}

Result<std::optional<uint64_t>> RealFile::next_data(uint64_t position) {
  const off_t at = ::lseek(fd_, static_cast<off_t>(position), SEEK_DATA);
  if (at >= 0) return static_cast<uint64_t>(at);
  if (errno == ENXIO) return std::optional<uint64_t>();
  if (errno == EINVAL) return position;  // a file system without holes
  return system_error(errno, "look for data in", path_);
}

Result<void> RealFile::write_zeros(uint64_t size) {
  constexpr size_t kChunk = 1 << 20;
  const Buffer zeros = Buffer::allocate(kChunk);
  std::ranges::fill(zeros.writable(), std::byte{0});
  TRY(uint64_t end, this->size());
  while (end < size) {
    const size_t count = std::min<uint64_t>(kChunk, size - end);
    const Bytes piece = zeros.bytes().first(count);
    TRY_VOID(write_at(end, std::span(&piece, 1)));
    end += count;
  }
  return {};
}

}  // namespace paceline::env
