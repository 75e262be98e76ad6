#include <lz4frame.h>

#include "record/codecs.h"

namespace paceline::record::codecs {
namespace {

// Little-endian 0x184D2204. LZ4F would also take skippable and older frames; Java takes neither.
constexpr std::string_view kFrameMagic{"\x04\x22\x4d\x18", 4};
constexpr uint8_t kVersionMask = 0xc0;
constexpr uint8_t kVersion1 = 0x40;
constexpr uint8_t kIndependentBlocks = 0x20;
constexpr uint8_t kReservedOrDictionary = 0x03;

class Unlz4 final : public Decompressor {
 public:
  Unlz4(Bytes compressed, size_t bytes_max) : rest_(compressed), cap_(bytes_max) {
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context_, LZ4F_VERSION))) context_ = nullptr;
  }
  ~Unlz4() override { LZ4F_freeDecompressionContext(context_); }

  Result<bool> next(std::string& piece) override {
    if (!context_) return fail(Code::unavailable, "lz4 has no memory");
    if (!started_) TRY_VOID(check_descriptor());
    piece.resize(kPieceBytes);
    size_t filled = 0;
    while (!ended_ && filled < piece.size()) {
      size_t given = rest_.size();
      size_t made = piece.size() - filled;
      const size_t hint =
          LZ4F_decompress(context_, piece.data() + filled, &made, rest_.data(), &given, nullptr);
      if (LZ4F_isError(hint)) return corrupt("not an lz4 frame");
      rest_ = rest_.subspan(given);
      filled += made;
      ended_ = hint == 0;
      if (!ended_ && given == 0 && made == 0) return corrupt("an lz4 frame is cut");
    }
    if (ended_ && !rest_.empty()) return corrupt("bytes follow an lz4 frame");
    piece.resize(filled);
    TRY_VOID(cap_.take(filled));
    return filled > 0;
  }

 private:
  Result<void> check_descriptor() {
    started_ = true;
    if (!as_text(rest_).starts_with(kFrameMagic) || rest_.size() <= kFrameMagic.size())
      return corrupt("not an lz4 frame");
    const auto flags = static_cast<uint8_t>(rest_[kFrameMagic.size()]);
    if ((flags & kVersionMask) != kVersion1 || !(flags & kIndependentBlocks) ||
        (flags & kReservedOrDictionary))
      return corrupt("an lz4 frame that Kafka's clients cannot read");
    return {};
  }

  Bytes rest_;
  OutputCap cap_;
  LZ4F_dctx* context_ = nullptr;
  bool started_ = false;
  bool ended_ = false;
};

class Lz4 final : public Compressor {
 public:
  explicit Lz4(int level) {
    if (LZ4F_isError(LZ4F_createCompressionContext(&context_, LZ4F_VERSION))) context_ = nullptr;
    preferences_.frameInfo.blockMode = LZ4F_blockIndependent;
    preferences_.frameInfo.blockSizeID = LZ4F_max64KB;
    if (level != kLevelDefault) preferences_.compressionLevel = level;
  }
  ~Lz4() override { LZ4F_freeCompressionContext(context_); }
  bool ready() const { return context_ != nullptr; }

  Result<void> add(Bytes piece, std::string& out) override {
    TRY_VOID(begin(out));
    return extend(out, LZ4F_compressBound(piece.size(), &preferences_), [&](char* to, size_t room) {
      return LZ4F_compressUpdate(context_, to, room, piece.data(), piece.size(), nullptr);
    });
  }
  Result<void> finish(std::string& out) override {
    TRY_VOID(begin(out));
    return extend(out, LZ4F_compressBound(0, &preferences_), [&](char* to, size_t room) {
      return LZ4F_compressEnd(context_, to, room, nullptr);
    });
  }

 private:
  Result<void> begin(std::string& out) {
    if (begun_) return {};
    begun_ = true;
    return extend(out, LZ4F_HEADER_SIZE_MAX, [&](char* to, size_t room) {
      return LZ4F_compressBegin(context_, to, room, &preferences_);
    });
  }
  // `fill` writes at most `room` bytes behind `out` and says how many.
  template <class Fill>
  static Result<void> extend(std::string& out, size_t room, Fill fill) {
    const size_t start = out.size();
    out.resize(start + room);
    const size_t made = fill(out.data() + start, room);
    out.resize(start + (LZ4F_isError(made) ? 0 : made));
    if (LZ4F_isError(made)) return fail(Code::unavailable, LZ4F_getErrorName(made));
    return {};
  }

  LZ4F_cctx* context_ = nullptr;
  LZ4F_preferences_t preferences_{};
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<Decompressor> open_lz4(Bytes compressed, size_t bytes_max) {
  return std::make_unique<Unlz4>(compressed, bytes_max);
}

Writer write_lz4(int level) {
  auto writer = std::make_unique<Lz4>(level);
  if (!writer->ready()) return fail(Code::unavailable, "lz4 has no memory");
  return writer;
}

}  // namespace paceline::record::codecs
