#include "record/compress.h"

#include "record/codecs.h"

namespace paceline::record {
namespace {

class Plain final : public Decompressor {
 public:
  Plain(Bytes bytes, size_t bytes_max) : rest_(bytes), cap_(bytes_max) {}

  Result<bool> next(std::string& piece) override {
    const Bytes now = rest_.first(std::min(rest_.size(), codecs::kPieceBytes));
    if (now.empty()) return false;
    TRY_VOID(cap_.take(now.size()));
    piece.assign(as_text(now));
    rest_ = rest_.subspan(now.size());
    return true;
  }

 private:
  Bytes rest_;
  codecs::OutputCap cap_;
};

class PlainWriter final : public Compressor {
 public:
  Result<void> add(Bytes piece, std::string& out) override {
    out += as_text(piece);
    return {};
  }
  Result<void> finish(std::string&) override { return {}; }
};

}  // namespace

std::unique_ptr<Decompressor> Decompressor::open(Codec codec, Bytes compressed, size_t bytes_max) {
#ifdef PACELINE_PLANT_decompress_without_cap
  bytes_max = SIZE_MAX;
#endif
  switch (codec) {
    case Codec::none:
      break;
    case Codec::gzip:
      return codecs::open_gzip(compressed, bytes_max);
    case Codec::snappy:
      return codecs::open_snappy(compressed, bytes_max);
    case Codec::lz4:
      return codecs::open_lz4(compressed, bytes_max);
    case Codec::zstd:
      return codecs::open_zstd(compressed, bytes_max);
  }
  return std::make_unique<Plain>(compressed, bytes_max);
}

bool opens_in_one_piece(Codec codec, Bytes compressed) {
  if (codec == Codec::zstd) return codecs::zstd_opens_in_one_piece(compressed);
  return codec == Codec::snappy && codecs::snappy_opens_in_one_piece(compressed);
}

Result<std::string> decompress(Codec codec, Bytes compressed, size_t bytes_max) {
  auto source = Decompressor::open(codec, compressed, bytes_max);
  std::string whole;
  TRY(bool more, source->next(whole));
  if (!more) return std::string();
  std::string piece;
  for (;;) {
    TRY(more, source->next(piece));
    if (!more) return whole;
    whole += piece;
  }
}

Result<std::unique_ptr<Compressor>> Compressor::open(Codec codec, int level,
                                                     std::optional<size_t> bytes_total) {
  switch (codec) {
    case Codec::none:
      break;
    case Codec::gzip:
      return codecs::write_gzip(level);
    case Codec::snappy:
      return codecs::write_snappy();
    case Codec::lz4:
      return codecs::write_lz4(level);
    case Codec::zstd:
      return codecs::write_zstd(level, bytes_total);
  }
  return std::make_unique<PlainWriter>();
}

Result<std::string> compress(Codec codec, Bytes bytes, int level) {
  TRY(auto writer, Compressor::open(codec, level, bytes.size()));
  std::string out;
  TRY_VOID(writer->add(bytes, out));
  TRY_VOID(writer->finish(out));
  return out;
}

}  // namespace paceline::record
