#include "record/validate.h"

#include <fmt/format.h>

#include "record/record_scan.h"

namespace paceline::record {
namespace {

using enum KafkaError;

KafkaResult<BatchView> single_batch(Bytes records) {
  if (records.empty()) return kafka_fail(invalid_record, "a partition needs exactly one batch");
  if (records.size() > kMagicAt) {
    const auto magic = static_cast<int8_t>(records[kMagicAt]);
    if (magic == 0 || magic == 1)
      return kafka_fail(invalid_record, "only batches of magic 2 are accepted");
    if (magic != kMagic) return kafka_fail(corrupt_message, "a batch of an unknown magic");
  }
  Result<BatchView> batch = BatchView::parse(records);
  if (!batch) return kafka_fail(invalid_record, std::move(batch).error().message);
  if (batch->size() != records.size())
    return kafka_fail(invalid_record, "bytes follow the one batch of a partition");
  return *batch;
}

KafkaResult<> check_header(const BatchView& batch, const ValidateOptions& options) {
  if (batch.base_offset() != Offset(0))
    return kafka_fail(invalid_record, "a produced batch has a base offset other than 0");
  if (batch.size() > static_cast<size_t>(std::max(options.max_message_bytes, 0)))
    return kafka_fail(message_too_large,
                      fmt::format("a batch of {} bytes is over the topic's limit of {}",
                                  batch.size(), options.max_message_bytes));
  if (!batch.crc_ok()) return kafka_fail(corrupt_message, "a batch fails its checksum");
  if (batch.record_count() <= 0 || batch.last_offset_delta() < 0)
    return kafka_fail(invalid_record, "a batch without records");
  if (batch.last_offset_delta() != batch.record_count() - 1)
    return kafka_fail(invalid_record, "a batch's offsets and its record count disagree");
  if (batch.control()) return kafka_fail(invalid_record, "clients may not write control batches");
  if (batch.has_delete_horizon())
    return kafka_fail(invalid_record, "clients may not set a delete horizon");
  const bool has_producer = batch.producer_id().value >= 0;
  if (has_producer && (batch.base_sequence() < 0 || batch.producer_epoch() < 0))
    return kafka_fail(invalid_record, "a batch with a producer id lacks a sequence or an epoch");
  if (!has_producer && batch.transactional())
    return kafka_fail(invalid_record, "a transactional batch lacks a producer id");
  if (!batch.codec_known() ||
      (batch.codec() == Codec::zstd && options.api_version < kProduceVersionZstd))
    return kafka_fail(unsupported_compression_type, "a codec this request version does not have");
  return {};
}

int64_t saturating_subtract(int64_t a, int64_t b) {
  int64_t out = 0;
  if (!__builtin_sub_overflow(a, b, &out)) return out;
  return b < 0 ? std::numeric_limits<int64_t>::max() : std::numeric_limits<int64_t>::min();
}
int64_t saturating_add(int64_t a, int64_t b) {
  int64_t out = 0;
  if (!__builtin_add_overflow(a, b, &out)) return out;
  return b < 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
}

// One pass over the records: their structure at once, their faults collected.
class RecordCheck {
 public:
  RecordCheck(const BatchView& batch, const ValidateOptions& options)
      : batch_(batch),
        options_(options),
        earliest_(saturating_subtract(options.now_ms, options.timestamp_before_max_ms)),
        latest_(saturating_add(options.now_ms, options.timestamp_after_max_ms)) {}

  KafkaResult<> run(BatchFacts& facts) {
    RecordScan scan(batch_, options_.decompressed_bytes_max);
    ScannedRecord record;
    int32_t index = 0;
    facts.max_timestamp = std::numeric_limits<int64_t>::min();
    for (;; ++index) {
      const RecordScan::Step step = scan.next(record);
      if (step == RecordScan::Step::failed) return refuse(scan.error());
      if (step == RecordScan::Step::end) break;
      if (index == batch_.record_count())
        return kafka_fail(invalid_record, "a batch holds more records than it states");
      if (record.offset_delta != index)
        return kafka_fail(invalid_record, "the offsets inside a batch are not consecutive");
      // Wraps as the readers of every client do.
      const auto timestamp = static_cast<int64_t>(static_cast<uint64_t>(batch_.base_timestamp()) +
                                                  static_cast<uint64_t>(record.timestamp_delta));
      if (timestamp > facts.max_timestamp) {
        facts.max_timestamp = timestamp;
        facts.max_timestamp_offset_delta = index;
      }
      judge(record, index, timestamp);
    }
    if (index != batch_.record_count())
      return kafka_fail(invalid_record, "a batch holds fewer records than it states");
    facts.opened_bytes = scan.position();
    facts.max_timestamp_wrong = facts.max_timestamp != batch_.max_timestamp();
    return verdict();
  }

 private:
  void judge(const ScannedRecord& record, int32_t index, int64_t timestamp) {
    if (options_.compacted && !record.has_key) {
      note(index, "a compacted topic needs a key in every record");
    } else if (batch_.timestamp_type() == TimestampType::log_append_time) {
      timestamp_fault_ = true;
      note(index, "a producer may not set the timestamp type to LogAppendTime");
    } else if (options_.timestamp_type == TimestampType::create_time && timestamp != kNoTimestamp &&
               (timestamp < earliest_ || timestamp > latest_)) {
      timestamp_fault_ = true;
      note(index, "the timestamp is out of the topic's range");
    }
  }

  void note(int32_t index, const char* why) {
    ++fault_count_;
    if (errors_.size() < kRecordErrorsMax) errors_.push_back(RecordError{index, why});
  }

  KafkaResult<> verdict() {
    if (fault_count_ == 0) return {};
    return std::unexpected(
        KafkaFailure{timestamp_fault_ ? invalid_timestamp : invalid_record,
                     fmt::format("{} records of a batch are refused, the first: {}", fault_count_,
                                 errors_.front().message),
                     std::move(errors_)});
  }

  static std::unexpected<KafkaFailure> refuse(const Error& error) {
    const KafkaError code = error.code == Code::invalid_argument ? invalid_record
                            : error.code == Code::too_large      ? message_too_large
                            : error.code == Code::unavailable    ? unknown_server_error
                                                                 : corrupt_message;
    return kafka_fail(code, error.message);
  }

  const BatchView& batch_;
  const ValidateOptions& options_;
  const int64_t earliest_;
  const int64_t latest_;
  std::vector<RecordError> errors_;
  size_t fault_count_ = 0;
  bool timestamp_fault_ = false;
};

}  // namespace

BatchFacts facts_of(const BatchView& batch) {
  BatchFacts facts;
  facts.producer_id = batch.producer_id();
  facts.producer_epoch = batch.producer_epoch();
  facts.base_sequence = batch.base_sequence();
  facts.last_sequence = batch.last_sequence();
  facts.record_count = batch.record_count();
  facts.last_offset_delta = batch.last_offset_delta();
  facts.max_timestamp = batch.max_timestamp();
  facts.codec = batch.codec();
  facts.bytes = batch.size();
  facts.transactional = batch.transactional();
  facts.control = batch.control();
  return facts;
}

KafkaResult<BatchFacts> validate_produced(Bytes records, const ValidateOptions& options) {
  CHECK(options.api_version >= kProduceVersionMin);
  TRY(const BatchView batch, single_batch(records));
  TRY_VOID(check_header(batch, options));
  BatchFacts facts = facts_of(batch);
  if (facts.codec == Codec::none || options.deep) {
    RecordCheck check(batch, options);
    TRY_VOID(check.run(facts));
  }
  return facts;
}

}  // namespace paceline::record
