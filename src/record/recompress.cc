#include "record/recompress.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/crc32c.h"

namespace paceline::record {
namespace {

// Between two looks at the bound on what comes out.
constexpr size_t kStepBytes = size_t{64} << 10;

// The records of a batch, one window ahead: so the size of what fits into one window is known
// before the first byte of it is packed.
class Windows {
 public:
  Windows(const BatchView& batch, size_t bytes_max)
      : source_(Decompressor::open(batch.codec(), batch.payload(), bytes_max)) {
    if (batch.codec() == Codec::none) total_ = batch.payload().size();
  }

  Result<void> start() {
    TRY(has_now_, source_->next(now_));
    TRY_VOID(look_ahead());
    if (!has_ahead_ && !total_) total_ = has_now_ ? now_.size() : 0;
    return {};
  }
  Result<void> advance() {
    std::swap(now_, ahead_);
    has_now_ = has_ahead_;
    return look_ahead();
  }
  bool done() const { return !has_now_; }
  Bytes now() const { return as_bytes(now_); }
  std::optional<size_t> total() const { return total_; }

 private:
  Result<void> look_ahead() {
    has_ahead_ = false;
    if (!has_now_) return {};
    TRY(has_ahead_, source_->next(ahead_));
    return {};
  }

  std::unique_ptr<Decompressor> source_;
  std::string now_;
  std::string ahead_;
  bool has_now_ = false;
  bool has_ahead_ = false;
  std::optional<size_t> total_;
};

Result<void> check_size(const std::string& out, size_t bytes_max) {
  if (out.size() > bytes_max) return fail(Code::too_large, "a batch is over the limit once packed");
  return {};
}

void complete_header(std::string& batch, Codec codec) {
  auto* bytes = reinterpret_cast<std::byte*>(batch.data());
  const auto attributes = load_be<int16_t>(bytes + kAttributesAt);
  store_be(bytes + kBatchLengthAt, static_cast<int32_t>(batch.size() - kBatchLengthEnd));
  store_be(bytes + kAttributesAt,
           static_cast<int16_t>((attributes & ~kCodecMask) | static_cast<int16_t>(codec)));
  store_be(bytes + kCrcAt, crc32c(as_bytes(batch).subspan(kCrcStart)));
}

}  // namespace

Result<Buffer> recompress(const BatchView& batch, const RecompressOptions& options) {
  // The length of a batch is an int32.
  const size_t bytes_max = std::min<size_t>(options.bytes_max, 0x7fffffff);
  Windows windows(batch, options.decompressed_bytes_max);
  TRY_VOID(windows.start());
  TRY(auto writer, Compressor::open(options.codec, options.level, windows.total()));
  std::string out(as_text(batch.bytes().first(kBatchHeaderBytes)));
  while (!windows.done()) {
    for (Bytes rest = windows.now(); !rest.empty();) {
      const Bytes step = rest.first(std::min(rest.size(), kStepBytes));
      rest = rest.subspan(step.size());
      TRY_VOID(writer->add(step, out));
      TRY_VOID(check_size(out, bytes_max));
    }
    TRY_VOID(windows.advance());
  }
  TRY_VOID(writer->finish(out));
  TRY_VOID(check_size(out, bytes_max));
  complete_header(out, options.codec);
  return Buffer::copy_of(as_bytes(out));
}

}  // namespace paceline::record
