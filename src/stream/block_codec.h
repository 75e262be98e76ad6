#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/result.h"

// Blocks of objects may be kept packed with zstd. What its producers have packed already gains
// nothing, so that is told from a sample first: what a batch holds is nobody's business here.

namespace paceline::stream {

// No block is written larger than this raw, packed or not, and none is opened to more.
inline constexpr uint32_t kRawBlockBytesMax = 1u << 30;

// The pieces in one, packed; nothing if that saves less than a tenth.
std::optional<Slice> pack_block(std::span<const Bytes> pieces);
// Exactly `raw_bytes` out of it, or corrupt.
Result<Slice> open_block(Bytes packed, uint32_t raw_bytes);

}  // namespace paceline::stream
