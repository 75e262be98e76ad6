#include "record/records.h"

#include "record/record_scan.h"

namespace paceline::record {
namespace {

std::unexpected<Error> malformed() {
  return fail(Code::corrupt, "a record's parts do not fit its length");
}

// Kafka's zigzag varints over a Decoder-like cursor that stays inside one record.
class Cursor {
 public:
  explicit Cursor(Bytes bytes) : rest_(bytes) {}

  int64_t varlong() {
    uint64_t raw = 0;
    for (int shift = 0; shift < 70 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_ = rest_.subspan(1);
      if (shift == 63 && byte > 1) break;
      raw |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (!(byte & 0x80)) return static_cast<int64_t>(raw >> 1) ^ -static_cast<int64_t>(raw & 1);
    }
    return invalid();
  }
  int32_t varint() {
    const int64_t value = varlong();
    return value == static_cast<int32_t>(value) ? static_cast<int32_t>(value)
                                                : static_cast<int32_t>(invalid());
  }
  Bytes take(uint64_t size) {
    if (size > rest_.size()) {
      invalid();
      return {};
    }
    const Bytes out = rest_.first(size);
    rest_ = rest_.subspan(size);
    return out;
  }
  std::optional<std::string_view> field() {
    const int32_t size = varint();
    if (!ok_ || size < 0) return std::nullopt;
    return as_text(take(static_cast<uint64_t>(size)));
  }
  bool ok() const { return ok_; }
  bool done() const { return ok_ && rest_.empty(); }
  Bytes rest() const { return rest_; }

 private:
  int64_t invalid() {
    ok_ = false;
    rest_ = {};
    return 0;
  }

  Bytes rest_;
  bool ok_ = true;
};

int64_t timestamp_of(const BatchView& batch, int64_t delta) {
  if (batch.timestamp_type() == TimestampType::log_append_time) return batch.max_timestamp();
  // With a delete horizon the base is still what the deltas count from. Wraps, as clients do.
  return static_cast<int64_t>(static_cast<uint64_t>(batch.base_timestamp()) +
                              static_cast<uint64_t>(delta));
}

// The first record whose timestamp `wanted` accepts.
template <class Wanted>
Result<std::optional<TimestampedOffset>> first_record(const BatchView& batch, size_t bytes_max,
                                                      Wanted wanted) {
  if (!batch.codec_known()) return fail(Code::unsupported, "a batch of an unknown codec");
  RecordScan scan(batch, bytes_max);
  ScannedRecord record;
  for (;;) {
    switch (scan.next(record)) {
      case RecordScan::Step::end:
        return std::nullopt;
      case RecordScan::Step::failed:
        return fail(scan.error().code == Code::too_large ? Code::too_large : Code::corrupt,
                    scan.error().message);
      case RecordScan::Step::record:
        break;
    }
    const TimestampedOffset found{batch.base_offset() + record.offset_delta,
                                  timestamp_of(batch, record.timestamp_delta)};
    if (wanted(found)) return found;
  }
}

}  // namespace

Result<RecordReader> RecordReader::open(const BatchView& batch, size_t decompressed_bytes_max) {
  if (!batch.codec_known()) return fail(Code::unsupported, "a batch of an unknown codec");
  if (batch.codec() == Codec::none) {
    RecordReader reader(batch, {});
    reader.rest_ = batch.payload();
    return reader;
  }
  TRY(std::string opened, decompress(batch.codec(), batch.payload(), decompressed_bytes_max));
  RecordReader reader(batch, std::move(opened));
  reader.rest_ = as_bytes(*reader.opened_);
  return reader;
}

Result<std::optional<RecordView>> RecordReader::next() {
  if (read_count_ >= batch_.record_count()) {
    if (!rest_.empty()) return fail(Code::corrupt, "a batch holds more records than it states");
    return std::nullopt;
  }
  Cursor outer(rest_);
  const int32_t size = outer.varint();
  if (!outer.ok() || size < 0) return malformed();
  Cursor inner(outer.take(static_cast<uint64_t>(size)));
  if (!outer.ok()) return malformed();
  inner.take(1);  // attributes, unused in this format
  RecordView record;
  record.timestamp = timestamp_of(batch_, inner.varlong());
  record.offset = batch_.base_offset() + inner.varint();
  record.key = inner.field();
  record.value = inner.field();
  const int32_t header_count = inner.varint();
  if (!inner.ok() || header_count < 0) return malformed();
  for (int32_t i = 0; i < header_count; ++i) {
    const auto key = inner.field();
    if (!key) return malformed();
    record.headers.push_back(HeaderView{*key, inner.field()});
  }
  if (!inner.done()) return malformed();
  rest_ = outer.rest();
  ++read_count_;
  return std::optional<RecordView>(std::move(record));
}

Result<std::optional<TimestampedOffset>> find_by_timestamp(const BatchView& batch,
                                                           int64_t timestamp,
                                                           size_t decompressed_bytes_max) {
  return first_record(batch, decompressed_bytes_max,
                      [&](const TimestampedOffset& found) { return found.timestamp >= timestamp; });
}

Result<std::optional<TimestampedOffset>> find_max_timestamp(const BatchView& batch,
                                                            size_t decompressed_bytes_max) {
  std::optional<TimestampedOffset> best;
  auto walked = first_record(batch, decompressed_bytes_max, [&](const TimestampedOffset& found) {
    if (!best || found.timestamp > best->timestamp) best = found;
    return false;
  });
  if (!walked) return walked;
  return best;
}

}  // namespace paceline::record
