#pragma once

// The codecs behind compress.h, one file each. Nothing outside of compress.cc includes this.

#include <memory>
#include <string>

#include "record/compress.h"

namespace paceline::record::codecs {

inline constexpr size_t kPieceBytes = size_t{64} << 10;

// Keeps the promise that no more than `bytes_max` comes out of one payload.
class OutputCap {
 public:
  explicit OutputCap(size_t bytes_max) : left_(bytes_max) {}
  size_t left() const { return left_; }
  Result<void> take(size_t bytes) {
    if (bytes > left_) return fail(Code::too_large, "a batch opens to more than the limit");
    left_ -= bytes;
    return {};
  }

 private:
  size_t left_;
};

inline std::unexpected<Error> corrupt(std::string_view what) {
  return fail(Code::corrupt, std::string(what));
}

// What opens to a piece, or through a window, of at most this is opened piece by piece.
inline constexpr uint64_t kSmallPieceMax = uint64_t{8} << 20;
bool zstd_opens_in_one_piece(Bytes compressed);
bool snappy_opens_in_one_piece(Bytes compressed);

std::unique_ptr<Decompressor> open_gzip(Bytes compressed, size_t bytes_max);
std::unique_ptr<Decompressor> open_snappy(Bytes compressed, size_t bytes_max);
std::unique_ptr<Decompressor> open_lz4(Bytes compressed, size_t bytes_max);
std::unique_ptr<Decompressor> open_zstd(Bytes compressed, size_t bytes_max);

using Writer = Result<std::unique_ptr<Compressor>>;
Writer write_gzip(int level);
Writer write_snappy();
Writer write_lz4(int level);
Writer write_zstd(int level, std::optional<size_t> bytes_total);

}  // namespace paceline::record::codecs
