#include <snappy.h>

#include <array>

#include "base/endian.h"
#include "record/codecs.h"

namespace paceline::record::codecs {
namespace {

// Java's frame: the magic, version 1 and oldest readable version 1 as int32, then blocks, each an
// int32 length and a raw snappy block of at most 32 KiB. Streams may follow one another.
constexpr std::string_view kXerialHeader{"\x82SNAPPY\0\0\0\0\1\0\0\0\1", 16};
constexpr std::string_view kXerialMagic = kXerialHeader.substr(0, 8);
constexpr uint32_t kXerialVersion = 1;
constexpr size_t kXerialBlockBytes = size_t{32} << 10;

// The densest element makes 64 bytes out of 3, so a block that states more than this lies.
constexpr size_t opened_bytes_max(size_t compressed_bytes) {
  return compressed_bytes * 22 + 64;
}

class Unsnap final : public Decompressor {
 public:
  Unsnap(Bytes compressed, size_t bytes_max)
      : rest_(compressed), cap_(bytes_max), framed_(starts_with_magic()) {}

  Result<bool> next(std::string& piece) override {
    if (!framed_) return next_raw(piece);
    while (!rest_.empty()) {
      if (starts_with_magic()) {
        TRY_VOID(skip_header());
        continue;
      }
      if (rest_.size() < sizeof(uint32_t)) return corrupt("a snappy frame is cut");
      const size_t size = load_be<uint32_t>(rest_.data());
      rest_ = rest_.subspan(sizeof(uint32_t));
      if (size > rest_.size()) return corrupt("a snappy block states more than there is");
      const Bytes block = rest_.first(size);
      rest_ = rest_.subspan(size);
      TRY_VOID(open_block(block, piece));
      if (!piece.empty()) return true;
    }
    return false;
  }

 private:
  bool starts_with_magic() const { return as_text(rest_).starts_with(kXerialMagic); }

  Result<bool> next_raw(std::string& piece) {
    if (raw_read_) return false;
    raw_read_ = true;
    TRY_VOID(open_block(rest_, piece));
    return !piece.empty();
  }

  Result<void> skip_header() {
    if (rest_.size() < kXerialHeader.size()) return corrupt("a snappy frame is cut");
    if (load_be<uint32_t>(rest_.data() + kXerialMagic.size()) < kXerialVersion)
      return corrupt("a snappy frame of an unknown version");
    rest_ = rest_.subspan(kXerialHeader.size());
    return {};
  }

  Result<void> open_block(Bytes block, std::string& piece) {
    const auto* from = reinterpret_cast<const char*>(block.data());
    size_t opened = 0;
    if (block.empty() || !::snappy::GetUncompressedLength(from, block.size(), &opened) ||
        opened > opened_bytes_max(block.size()))
      return corrupt("not a snappy block");
    TRY_VOID(cap_.take(opened));
    piece.resize(opened);
    if (!::snappy::RawUncompress(from, block.size(), piece.data()))
      return corrupt("not a snappy block");
    return {};
  }

  Bytes rest_;
  OutputCap cap_;
  bool framed_;
  bool raw_read_ = false;
};

class Snap final : public Compressor {
 public:
  Result<void> add(Bytes piece, std::string& out) override {
    begin(out);
    while (!piece.empty()) {
      const Bytes part = piece.first(std::min(piece.size(), kXerialBlockBytes - pending_.size()));
      piece = piece.subspan(part.size());
      if (part.size() == kXerialBlockBytes) {
        write_block(part, out);
        continue;
      }
      pending_ += as_text(part);
      if (pending_.size() == kXerialBlockBytes) flush(out);
    }
    return {};
  }
  Result<void> finish(std::string& out) override {
    begin(out);
    if (!pending_.empty()) flush(out);
    return {};
  }

 private:
  void begin(std::string& out) {
    if (!begun_) out += kXerialHeader;
    begun_ = true;
  }
  void flush(std::string& out) {
    write_block(as_bytes(pending_), out);
    pending_.clear();
  }
  static void write_block(Bytes block, std::string& out) {
    const size_t start = out.size();
    out.resize(start + sizeof(uint32_t) + ::snappy::MaxCompressedLength(block.size()));
    char* to = out.data() + start;
    size_t size = 0;
    ::snappy::RawCompress(reinterpret_cast<const char*>(block.data()), block.size(),
                          to + sizeof(uint32_t), &size);
    store_be(reinterpret_cast<std::byte*>(to), static_cast<uint32_t>(size));
    out.resize(start + sizeof(uint32_t) + size);
  }

  std::string pending_;  // less than a block
  bool begun_ = false;
};

}  // namespace

bool snappy_opens_in_one_piece(Bytes compressed) {
  size_t opened = 0;
  if (as_text(compressed).starts_with(kXerialMagic)) return false;
  return snappy::GetUncompressedLength(as_text(compressed).data(), compressed.size(), &opened) &&
         opened > kSmallPieceMax;
}

std::unique_ptr<Decompressor> open_snappy(Bytes compressed, size_t bytes_max) {
  return std::make_unique<Unsnap>(compressed, bytes_max);
}

Writer write_snappy() {
  return std::make_unique<Snap>();
}

}  // namespace paceline::record::codecs
