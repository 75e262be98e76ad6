#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>

#include "record/codecs.h"

namespace paceline::record::codecs {
namespace {

// Frames with a window up to this stream through one; frames with a larger one are opened in one
// go into memory that grows with what really comes out, because a few bytes can claim 128 MiB.
constexpr int kStreamedWindowLog = 23;
constexpr uint64_t kStreamedWindowMax = uint64_t{1} << kStreamedWindowLog;
static_assert(kStreamedWindowMax == kSmallPieceMax);

// The window that the frame at the start of `bytes` asks for. Format: RFC 8878, 3.1.1.1.
Result<uint64_t> window_of(Bytes bytes) {
  constexpr size_t kDescriptorAt = 4;
  constexpr std::string_view kFrameMagic{"\x28\xb5\x2f\xfd", 4};
  constexpr std::string_view kSkippableMagic{"\x2a\x4d\x18", 3};  // after 0x50 to 0x5f
  const auto byte_at = [&](size_t i) { return i < bytes.size() ? uint8_t(bytes[i]) : uint8_t{0}; };
  if (bytes.size() <= kDescriptorAt + 1) return corrupt("not a zstd frame");
  if ((byte_at(0) & 0xf0) == 0x50 && as_text(bytes).substr(1).starts_with(kSkippableMagic))
    return uint64_t{0};
  if (!as_text(bytes).starts_with(kFrameMagic))
    return corrupt("not a zstd frame");  // or an old format
  const unsigned long long content = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  if (content == ZSTD_CONTENTSIZE_ERROR) return corrupt("not a zstd frame");
  const bool single_segment = byte_at(kDescriptorAt) & 0x20;
  if (single_segment) return uint64_t{content};
  const uint8_t window = byte_at(kDescriptorAt + 1);
  const uint64_t base = uint64_t{1} << (10 + (window >> 3));
  return base + base / 8 * (window & 7);
}

class Unzstd final : public Decompressor {
 public:
  Unzstd(Bytes compressed, size_t bytes_max)
      : rest_(compressed), cap_(bytes_max), context_(ZSTD_createDCtx()) {}
  ~Unzstd() override { ZSTD_freeDCtx(context_); }

  Result<bool> next(std::string& piece) override {
    if (!context_) return fail(Code::unavailable, "zstd has no memory");
    if (rest_.empty() && frame_.empty() && !any_frame_) return corrupt("not a zstd frame");
    for (;;) {
      if (!in_frame_) {
        if (rest_.empty()) return false;
        TRY(const bool streamed, enter_frame());
        if (!streamed) {
          TRY_VOID(open_whole(piece));
          if (!piece.empty()) return true;
          continue;
        }
      }
      TRY_VOID(stream(piece));
      if (!piece.empty()) return true;
    }
  }

 private:
  // Cuts the next frame off; true if it can be streamed.
  Result<bool> enter_frame() {
    const size_t size = ZSTD_findFrameCompressedSize(rest_.data(), rest_.size());
    if (ZSTD_isError(size)) return corrupt("not a zstd frame, or a cut one");
    TRY(const uint64_t window, window_of(rest_));
    if (window > kZstdWindowMax) return fail(Code::too_large, "a zstd frame's window is too large");
    frame_ = rest_.first(size);
    rest_ = rest_.subspan(size);
    any_frame_ = true;
    if (window > kStreamedWindowMax) return false;
    ZSTD_DCtx_reset(context_, ZSTD_reset_session_only);
    ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, kStreamedWindowLog);
    in_frame_ = true;
    return true;
  }

  Result<void> stream(std::string& piece) {
    piece.resize(kPieceBytes);
    ZSTD_outBuffer out{piece.data(), piece.size(), 0};
    while (in_frame_ && out.pos < out.size) {
      ZSTD_inBuffer in{frame_.data(), frame_.size(), 0};
      const size_t made = out.pos;
      const size_t left = ZSTD_decompressStream(context_, &out, &in);
      if (ZSTD_isError(left)) return corrupt("not a zstd frame");
      frame_ = frame_.subspan(in.pos);
      if (left == 0)
        in_frame_ = false;
      else if (in.pos == 0 && out.pos == made)
        return corrupt("a zstd frame is cut");
    }
    if (!in_frame_ && !frame_.empty()) return corrupt("bytes follow a zstd frame");
    piece.resize(out.pos);
    return cap_.take(piece.size());
  }

  Result<void> open_whole(std::string& piece) {
    size_t room = std::min(cap_.left(), std::max<size_t>(frame_.size() * 8, kPieceBytes));
    for (;;) {
      piece.resize(room);
      const size_t made =
          ZSTD_decompressDCtx(context_, piece.data(), piece.size(), frame_.data(), frame_.size());
      if (!ZSTD_isError(made)) {
        piece.resize(made);
        return cap_.take(made);
      }
      if (ZSTD_getErrorCode(made) != ZSTD_error_dstSize_tooSmall)
        return corrupt("not a zstd frame");
      if (room == cap_.left()) return cap_.take(room + 1);
      piece = std::string();  // not both at once
      room = std::min(cap_.left(), room * 2);
    }
  }

  Bytes rest_;
  OutputCap cap_;
  ZSTD_DCtx* context_;
  Bytes frame_;  // what is left of the frame being streamed
  bool in_frame_ = false;
  bool any_frame_ = false;
};

// Levels above the default would take windows up to 128 MiB and tables of a gigabyte, for batches
// that seldom are larger than this.
constexpr int kWrittenWindowLog = 21;

class Zstd final : public Compressor {
 public:
  Zstd(int level, std::optional<size_t> bytes_total) : context_(ZSTD_createCCtx()) {
    if (!context_) return;
    const int wanted = level == kLevelDefault ? ZSTD_CLEVEL_DEFAULT : level;
    ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, wanted);
    if (wanted > ZSTD_CLEVEL_DEFAULT)
      ZSTD_CCtx_setParameter(context_, ZSTD_c_windowLog, kWrittenWindowLog);
    if (bytes_total) ZSTD_CCtx_setPledgedSrcSize(context_, *bytes_total);
  }
  ~Zstd() override { ZSTD_freeCCtx(context_); }
  bool ready() const { return context_ != nullptr; }

  Result<void> add(Bytes piece, std::string& out) override {
    return run(piece, ZSTD_e_continue, out);
  }
  Result<void> finish(std::string& out) override { return run({}, ZSTD_e_end, out); }

 private:
  Result<void> run(Bytes piece, ZSTD_EndDirective directive, std::string& out) {
    ZSTD_inBuffer in{piece.data(), piece.size(), 0};
    for (;;) {
      const size_t start = out.size();
      out.resize(start + kPieceBytes / 4);
      ZSTD_outBuffer to{out.data() + start, kPieceBytes / 4, 0};
      const size_t left = ZSTD_compressStream2(context_, &to, &in, directive);
      out.resize(start + to.pos);
      if (ZSTD_isError(left)) return fail(Code::unavailable, ZSTD_getErrorName(left));
      if (directive == ZSTD_e_end ? left == 0 : in.pos == in.size) return {};
    }
  }

  ZSTD_CCtx* context_;
};

}  // namespace

bool zstd_opens_in_one_piece(Bytes compressed) {
  for (Bytes rest = compressed; !rest.empty();) {
    const auto window = window_of(rest);
    if (!window) return false;
    if (*window > kStreamedWindowMax) return true;
    const size_t size = ZSTD_findFrameCompressedSize(rest.data(), rest.size());
    if (ZSTD_isError(size)) return false;
    rest = rest.subspan(size);
  }
  return false;
}

std::unique_ptr<Decompressor> open_zstd(Bytes compressed, size_t bytes_max) {
  return std::make_unique<Unzstd>(compressed, bytes_max);
}

Writer write_zstd(int level, std::optional<size_t> bytes_total) {
  auto writer = std::make_unique<Zstd>(level, bytes_total);
  if (!writer->ready()) return fail(Code::unavailable, "zstd has no memory");
  return writer;
}

}  // namespace paceline::record::codecs
