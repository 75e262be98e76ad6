#include "stream/block_codec.h"

#include <zstd.h>

#include <algorithm>
#include <memory>

namespace paceline::stream {
namespace {

// The fastest: some 400 MiB/s of JSON on one core (block_codec_bench), and uploads must not queue.
constexpr int kLevel = 1;
constexpr size_t kSampleBytes = 32 << 10;

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

bool saves_enough(size_t packed, size_t raw) {
  return packed < raw - raw / 10;
}

// Packs into `out`; the bytes written, or nothing where they do not fit.
std::optional<size_t> pack(Bytes raw, MutableBytes out) {
  const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  if (!context) return std::nullopt;
  const size_t size =
      ZSTD_compressCCtx(context.get(), out.data(), out.size(), raw.data(), raw.size(), kLevel);
  if (ZSTD_isError(size)) return std::nullopt;
  return size;
}

bool sample_saves_enough(Bytes raw) {
  const Bytes sample = raw.subspan((raw.size() - kSampleBytes) / 2, kSampleBytes);
  const Buffer out = Buffer::allocate(ZSTD_compressBound(sample.size()));
  const auto size = pack(sample, out.writable());
  return size && saves_enough(*size, sample.size());
}

}  // namespace

std::optional<Slice> pack_block(std::span<const Bytes> pieces) {
  size_t total = 0;
  for (const Bytes piece : pieces) total += piece.size();
  if (total == 0 || total > kRawBlockBytesMax) return std::nullopt;
  const Buffer raw = Buffer::allocate(total);
  size_t at = 0;
  for (const Bytes piece : pieces) {
    std::ranges::copy(piece, raw.data() + at);
    at += piece.size();
  }
  if (total > 2 * kSampleBytes && !sample_saves_enough(raw.bytes())) return std::nullopt;
  // Where it does not fit it would not have been worth it.
  const Buffer out = Buffer::allocate(total - total / 10);
  const auto size = pack(raw.bytes(), out.writable());
  if (!size || !saves_enough(*size, total)) return std::nullopt;
  // What was allocated for the worst case is not kept.
  return Slice::copy_of(out.bytes().first(*size));
}

Result<Slice> open_block(Bytes packed, uint32_t raw_bytes) {
  if (raw_bytes > kRawBlockBytesMax ||
      ZSTD_getFrameContentSize(packed.data(), packed.size()) != raw_bytes)
    return fail(Code::corrupt, "it does not open to its size");
  Buffer raw = Buffer::allocate(raw_bytes);
  const size_t size = ZSTD_decompress(raw.data(), raw.size(), packed.data(), packed.size());
  if (ZSTD_isError(size) || size != raw_bytes) return fail(Code::corrupt, "it does not open");
  return Slice(std::move(raw));
}

}  // namespace paceline::stream
