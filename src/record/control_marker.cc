#include "base/codec.h"
#include "record/records.h"

namespace paceline::record {
namespace {

constexpr int16_t kKeyVersion = 0;
constexpr int16_t kValueVersion = 0;

}  // namespace

std::string build_marker(const TransactionMarker& marker, ProducerId producer_id,
                         int16_t producer_epoch, int64_t time_ms) {
  Encoder key;
  key.put(kKeyVersion).put(static_cast<int16_t>(marker.kind));
  Encoder value;
  value.put(kValueVersion).put(marker.coordinator_epoch);
  BatchBuilder builder;
  builder.control().transactional().producer(producer_id, producer_epoch, kNoSequence);
  builder.timestamp(time_ms).add(key.str(), value.str());
  Result<std::string> batch = builder.build();
  CHECK(batch);  // a few bytes, not compressed: nothing can fail
  return *std::move(batch);
}

Result<TransactionMarker> parse_marker(const BatchView& batch) {
  if (!batch.control() || batch.record_count() != 1)
    return fail(Code::corrupt, "no control batch of one record");
  TRY(RecordReader reader, RecordReader::open(batch));
  TRY(const std::optional<RecordView> record, reader.next());
  if (!record || !record->key || !record->value)
    return fail(Code::corrupt, "a control record without key or value");
  // Later versions may append fields to both, so what follows is left unread.
  Decoder key(*record->key);
  const auto key_version = key.get<int16_t>();
  const auto kind = key.get<int16_t>();
  if (!key.ok() || key_version < 0) return fail(Code::corrupt, "a control record's key is cut");
  if (kind != static_cast<int16_t>(MarkerKind::abort) &&
      kind != static_cast<int16_t>(MarkerKind::commit))
    return fail(Code::unsupported, "a control record that ends no transaction");
  Decoder value(*record->value);
  const auto value_version = value.get<int16_t>();
  const auto coordinator_epoch = value.get<int32_t>();
  if (!value.ok() || value_version < 0) return fail(Code::corrupt, "a marker's value is cut");
  return TransactionMarker{static_cast<MarkerKind>(kind), coordinator_epoch};
}

}  // namespace paceline::record
