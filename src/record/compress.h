#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "record/batch.h"

namespace paceline::record {

// The largest batch we open, and the largest zstd window a frame may ask for.
inline constexpr size_t kDecompressedBytesMax = size_t{64} << 20;
inline constexpr uint64_t kZstdWindowMax = uint64_t{1} << 27;
// A codec's own default level.
inline constexpr int kLevelDefault = -1000;

// Opens one compressed payload piece by piece, so that a reader holds a window of it and not the
// whole. Errors: Code::corrupt for bytes that are no such stream (cut, trailing bytes, a length
// that lies), Code::too_large when more than `bytes_max` would come out. No length found in the
// input is allocated before it is bounded by `bytes_max` and, for snappy, by what the input could
// encode.
//
// Accepted: gzip with one or more members; snappy in Java's xerial frames or as one raw block, as
// librdkafka writes it; lz4 as one frame of independent blocks, which is all that Java reads; zstd
// with one or more frames.
class Decompressor {
 public:
  // `compressed` must outlive the result. Codec::none gives the input back.
  static std::unique_ptr<Decompressor> open(Codec codec, Bytes compressed, size_t bytes_max);

  virtual ~Decompressor() = default;
  // Replaces `piece` by the next bytes; false at the end. The string is reused as the window: pass
  // the same one each time. After false or an error there is nothing more to ask.
  virtual Result<bool> next(std::string& piece) = 0;
};

// Whether the Decompressor holds a payload's bytes in one piece of megabytes, as large zstd windows
// and snappy's raw blocks ask for. Who opens several at a time may want to take turns. Looks at the
// compressed bytes only; false for what does not open.
bool opens_in_one_piece(Codec codec, Bytes compressed);

// The whole at once; at most `bytes_max` and one window are held.
Result<std::string> decompress(Codec codec, Bytes compressed, size_t bytes_max);

// Makes one compressed payload piece by piece, as Kafka's clients write it (snappy: xerial frames).
// The codec's state is bounded whatever is added: some 300 KiB for gzip, 130 KiB for lz4, and for
// zstd a window of at most 2 MiB with tables that grow with the level (4 MiB by default, 40 MiB at
// 22).
class Compressor {
 public:
  // `level` counts for gzip, lz4 and zstd. `bytes_total`: exactly what will be added, if known; it
  // makes a small payload cheap. Code::invalid_argument: no such level; unavailable: no memory.
  static Result<std::unique_ptr<Compressor>> open(Codec codec, int level,
                                                  std::optional<size_t> bytes_total);

  virtual ~Compressor() = default;
  // Appends to `out` what is ready; the rest comes with a later piece or with finish().
  virtual Result<void> add(Bytes piece, std::string& out) = 0;
  virtual Result<void> finish(std::string& out) = 0;
};

// The whole at once.
Result<std::string> compress(Codec codec, Bytes bytes, int level = kLevelDefault);

}  // namespace paceline::record
