#include <zlib.h>

#include <algorithm>

#include "record/codecs.h"

namespace paceline::record::codecs {
namespace {

constexpr int kGzipWindowBits = 15 + 16;        // the largest window, in a gzip wrapper
constexpr size_t kInputStep = size_t{1} << 30;  // zlib counts in 32 bits

class Gunzip final : public Decompressor {
 public:
  Gunzip(Bytes compressed, size_t bytes_max) : rest_(compressed), cap_(bytes_max) {
    open_ = inflateInit2(&stream_, kGzipWindowBits) == Z_OK;
  }
  ~Gunzip() override {
    if (open_) inflateEnd(&stream_);
  }

  Result<bool> next(std::string& piece) override {
    if (!open_) return fail(Code::unavailable, "zlib has no memory");
    piece.resize(kPieceBytes);
    stream_.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream_.avail_out = static_cast<uInt>(piece.size());
    while (stream_.avail_out > 0 && !(between_members_ && rest_.empty())) TRY_VOID(step());
    piece.resize(piece.size() - stream_.avail_out);
    TRY_VOID(cap_.take(piece.size()));
    return !piece.empty();
  }

 private:
  Result<void> step() {
    if (between_members_ && member_count_ > 0) inflateReset(&stream_);
    between_members_ = false;
    const auto given = static_cast<uInt>(std::min<size_t>(rest_.size(), kInputStep));
    const uInt room = stream_.avail_out;
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(rest_.data()));
    stream_.avail_in = given;
    const int status = inflate(&stream_, Z_NO_FLUSH);
    const uInt taken = given - stream_.avail_in;
    rest_ = rest_.subspan(taken);
    if (status == Z_STREAM_END) {
      between_members_ = true;
      ++member_count_;
      return {};
    }
    if (status != Z_OK) return corrupt("not a gzip stream, or a cut one");
    if (taken == 0 && stream_.avail_out == room) return corrupt("a gzip stream is cut");
    return {};
  }

  Bytes rest_;
  OutputCap cap_;
  z_stream stream_{};
  bool open_ = false;
  bool between_members_ = false;  // false at the start: an empty input is no gzip stream
  size_t member_count_ = 0;
};

class Gzip final : public Compressor {
 public:
  explicit Gzip(int level) {
    constexpr int kMemoryLevel = 8;  // zlib's default
    const int wanted = level == kLevelDefault ? Z_DEFAULT_COMPRESSION : level;
    status_ = deflateInit2(&stream_, wanted, Z_DEFLATED, kGzipWindowBits, kMemoryLevel,
                           Z_DEFAULT_STRATEGY);
  }
  ~Gzip() override {
    if (status_ == Z_OK) deflateEnd(&stream_);
  }
  int status() const { return status_; }

  Result<void> add(Bytes piece, std::string& out) override {
    while (!piece.empty()) {
      const Bytes given = piece.first(std::min(piece.size(), kInputStep));
      piece = piece.subspan(given.size());
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(given.data()));
      stream_.avail_in = static_cast<uInt>(given.size());
      run(Z_NO_FLUSH, out);
    }
    return {};
  }
  Result<void> finish(std::string& out) override {
    run(Z_FINISH, out);
    return {};
  }

 private:
  // Until zlib leaves room: then it has taken all input, or ended.
  void run(int flush, std::string& out) {
    do {
      const size_t start = out.size();
      out.resize(start + kPieceBytes / 4);
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + start);
      stream_.avail_out = kPieceBytes / 4;
      CHECK(deflate(&stream_, flush) != Z_STREAM_ERROR);
      out.resize(out.size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
  }

  z_stream stream_{};
  int status_;
};

}  // namespace

std::unique_ptr<Decompressor> open_gzip(Bytes compressed, size_t bytes_max) {
  return std::make_unique<Gunzip>(compressed, bytes_max);
}

Writer write_gzip(int level) {
  auto writer = std::make_unique<Gzip>(level);
  if (writer->status() == Z_MEM_ERROR) return fail(Code::unavailable, "zlib has no memory");
  if (writer->status() != Z_OK) return fail(Code::invalid_argument, "no such gzip level");
  return writer;
}

}  // namespace paceline::record::codecs
