#include "record/batch.h"

#include <array>

#include "base/crc32c.h"

namespace paceline::record {
namespace {

constexpr std::array<std::string_view, 5> kCodecNames = {"none", "gzip", "snappy", "lz4", "zstd"};

template <class T>
void store_at(MutableBytes batch, size_t position, T value) {
  CHECK(batch.size() >= kBatchHeaderBytes);
  store_be<T>(batch.data() + position, value);
}

void rewrite_crc(MutableBytes batch) {
  const size_t end = kBatchLengthEnd + load_be<uint32_t>(batch.data() + kBatchLengthAt);
  CHECK(end >= kBatchHeaderBytes && end <= batch.size());
  store_at(batch, kCrcAt, crc32c(Bytes(batch).subspan(kCrcStart, end - kCrcStart)));
}

}  // namespace

std::string_view codec_name(Codec codec) {
  return kCodecNames[static_cast<size_t>(codec)];
}

std::optional<Codec> parse_codec(std::string_view name) {
  for (size_t i = 0; i < kCodecNames.size(); ++i)
    if (kCodecNames[i] == name) return static_cast<Codec>(i);
  return std::nullopt;
}

Result<BatchView> BatchView::parse(Bytes bytes) {
  if (bytes.size() < kBatchLengthEnd)
    return fail(Code::out_of_range, "a batch is cut in its header");
  const auto length = load_be<int32_t>(bytes.data() + kBatchLengthAt);
  if (length < static_cast<int32_t>(kBatchHeaderBytes - kBatchLengthEnd))
    return fail(Code::corrupt, "a batch states a length below its header's");
  // Another magic means another layout, so it is told from a cut batch first.
  if (bytes.size() > kMagicAt && static_cast<int8_t>(bytes[kMagicAt]) != kMagic)
    return fail(Code::corrupt, "a batch has not magic 2");
  const size_t size = kBatchLengthEnd + static_cast<size_t>(length);
  if (size > bytes.size()) return fail(Code::out_of_range, "a batch ends behind its bytes");
  return BatchView(bytes.first(size));
}

int32_t BatchView::last_sequence() const {
  const int32_t base = base_sequence();
  return base < 0 ? kNoSequence : advance_sequence(base, last_offset_delta());
}

bool BatchView::crc_ok() const {
  return crc32c(bytes_.subspan(kCrcStart)) == crc();
}

uint32_t BatchView::whole_crc() const {
  return crc32c_combine(crc32c(bytes_.first(kCrcStart)), crc(), bytes_.size() - kCrcStart);
}

int32_t advance_sequence(int32_t sequence, int32_t count) {
  const uint32_t sum = static_cast<uint32_t>(sequence) + static_cast<uint32_t>(count);
  return static_cast<int32_t>(sum & static_cast<uint32_t>(kSequenceMax));
}

bool is_ahead(int32_t sequence, int32_t other) {
  const uint32_t ahead = (static_cast<uint32_t>(sequence) - static_cast<uint32_t>(other)) &
                         static_cast<uint32_t>(kSequenceMax);
  return ahead > 0 && ahead <= static_cast<uint32_t>(kSequenceMax) / 2;
}

Result<std::optional<BatchView>> BatchCursor::next() {
  if (rest_.empty()) return std::nullopt;
  TRY(BatchView batch, BatchView::parse(rest_));
  rest_ = rest_.subspan(batch.size());
  return std::optional<BatchView>(batch);
}

void set_placement(MutableBytes batch, Offset base_offset, Epoch leader_epoch) {
  store_at(batch, kBaseOffsetAt, base_offset.value);
  store_at(batch, kPartitionLeaderEpochAt, leader_epoch.value);
}

void set_log_append_time(MutableBytes batch, int64_t time_ms) {
  CHECK(batch.size() >= kBatchHeaderBytes);
  const auto attributes = load_be<int16_t>(batch.data() + kAttributesAt);
  store_at(batch, kAttributesAt, static_cast<int16_t>(attributes | kLogAppendTimeBit));
  store_at(batch, kMaxTimestampAt, time_ms);
  rewrite_crc(batch);
}

void set_max_timestamp(MutableBytes batch, int64_t time_ms) {
  store_at(batch, kMaxTimestampAt, time_ms);
  rewrite_crc(batch);
}

}  // namespace paceline::record
