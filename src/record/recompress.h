#pragma once

#include "base/bytes.h"
#include "record/batch.h"
#include "record/compress.h"

namespace paceline::record {

struct RecompressOptions {
  Codec codec = Codec::none;
  int level = kLevelDefault;
  size_t bytes_max = 0;  // of the batch that comes out
  size_t decompressed_bytes_max = kDecompressedBytesMax;
};

// The batch with the same records packed by another codec: offsets, times, producer, count and all
// other attributes are kept, length and checksum are new. The bytes of the records are passed on as
// they are; whether they are records is validate_produced()'s to say. Memory: a window of the
// input, the two codecs' states, and what comes out, at most `bytes_max` and a piece.
//
// Any thread. Code::too_large: more than `bytes_max` comes out, or more than
// `decompressed_bytes_max` was in; Code::corrupt: a broken stream; Code::invalid_argument: no such
// level; Code::unavailable: no memory. REQUIRES: batch.codec_known().
Result<Buffer> recompress(const BatchView& batch, const RecompressOptions& options);

}  // namespace paceline::record
