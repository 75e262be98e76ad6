#include "record/validate.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/crc32c.h"
#include "record/records.h"
#include "record/test_vectors.h"

namespace paceline::record {
namespace {

constexpr int64_t kNow = 1'700'000'000'000;
constexpr Codec kCodecs[] = {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};

ValidateOptions options() {
  ValidateOptions out;
  out.now_ms = kNow;
  return out;
}

template <class T>
void put(std::string& batch, size_t at, T value) {
  store_be<T>(reinterpret_cast<std::byte*>(batch.data()) + at, value);
}
void renew_crc(std::string& batch) {
  put(batch, kCrcAt, crc32c(as_bytes(batch).subspan(kCrcStart)));
}

BatchBuilder three() {
  BatchBuilder builder;
  builder.timestamp(kNow).add("a", "1").add("b", "2").add("c", "3");
  return builder;
}
std::string three(Codec codec) {
  return *three().codec(codec).build();
}

// A batch around records that no builder would make.
std::string with_payload(Codec codec, std::string_view payload, int32_t count) {
  std::string batch = *BatchBuilder().timestamp(kNow).add("a", "1").build();
  batch.resize(kBatchHeaderBytes);
  batch += *compress(codec, as_bytes(payload));
  put(batch, kBatchLengthAt, static_cast<int32_t>(batch.size() - kBatchLengthEnd));
  put(batch, kAttributesAt, static_cast<int16_t>(codec));
  put(batch, kLastOffsetDeltaAt, count - 1);
  put(batch, kRecordCountAt, count);
  renew_crc(batch);
  return batch;
}

KafkaError code_of(std::string_view batch, const ValidateOptions& with = options()) {
  auto facts = validate_produced(as_bytes(batch), with);
  return facts ? KafkaError::none : facts.error().code;
}

TEST(Validate, AcceptsWhatClientsSend) {
  for (auto hex : {kKafkaPythonPlain, kKafkaPythonGzip, kLibrdkafkaGzip, kLibrdkafkaSnappy,
                   kLibrdkafkaLz4, kLibrdkafkaZstd}) {
    auto facts = validate_produced(as_bytes(from_hex(hex)), options());
    ASSERT_TRUE(facts) << facts.error().to_string();
    EXPECT_EQ(facts->record_count, 3);
    EXPECT_FALSE(facts->max_timestamp_wrong);
  }
}

TEST(Validate, FactsAreTheBatchs) {
  BatchBuilder builder;
  builder.codec(Codec::lz4).producer(ProducerId(7), 2, kSequenceMax - 1).transactional();
  for (int64_t delta : {0, 9, 9}) builder.timestamp(kNow + delta).add("k", "v");
  const std::string batch = *builder.build();
  const BatchFacts facts = *validate_produced(as_bytes(batch), options());
  EXPECT_EQ(facts.producer_id, ProducerId(7));
  EXPECT_EQ(facts.producer_epoch, 2);
  EXPECT_EQ(facts.base_sequence, kSequenceMax - 1);
  EXPECT_EQ(facts.last_sequence, 0);
  EXPECT_EQ(facts.last_offset_delta, 2);
  EXPECT_EQ(facts.max_timestamp, kNow + 9);
  EXPECT_EQ(facts.max_timestamp_offset_delta, 1);
  EXPECT_EQ(facts.codec, Codec::lz4);
  EXPECT_EQ(facts.bytes, batch.size());
  EXPECT_TRUE(facts.transactional);
}

TEST(Validate, EveryLeaderEpochOfAClientIsAccepted) {
  for (int32_t epoch : {-1, 0, 5, INT32_MIN}) {
    std::string batch = three(Codec::none);
    put(batch, kPartitionLeaderEpochAt, epoch);
    EXPECT_EQ(code_of(batch), KafkaError::none) << epoch;
  }
}

TEST(Validate, ExactlyOneWholeBatch) {
  const std::string one = three(Codec::none);
  EXPECT_EQ(code_of(""), KafkaError::invalid_record);
  EXPECT_EQ(code_of(one + one), KafkaError::invalid_record);
  EXPECT_EQ(code_of(one + "x"), KafkaError::invalid_record);
  for (size_t cut = 0; cut < one.size(); ++cut)
    EXPECT_EQ(code_of(one.substr(0, cut)), KafkaError::invalid_record) << cut;
}

TEST(Validate, OldAndUnknownMagic) {
  for (auto [magic, expected] : {std::pair{0, KafkaError::invalid_record},
                                 {1, KafkaError::invalid_record},
                                 {3, KafkaError::corrupt_message},
                                 {-1, KafkaError::corrupt_message}}) {
    std::string batch = three(Codec::none);
    put(batch, kMagicAt, static_cast<int8_t>(magic));
    EXPECT_EQ(code_of(batch), expected) << magic;
  }
}

TEST(Validate, EveryFlippedBitUnderTheChecksumIsSeen) {
  const std::string good = three(Codec::none);
  for (size_t at = kCrcAt; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    EXPECT_EQ(code_of(bad), KafkaError::corrupt_message) << at;
  }
}

TEST(Validate, AHeaderThatContradictsItself) {
  struct Case {
    const char* name;
    std::function<void(std::string&)> spoil;
    KafkaError expected;
  };
  const Case cases[] = {
      {"base offset", [](auto& b) { put<int64_t>(b, kBaseOffsetAt, 1); },
       KafkaError::invalid_record},
      {"count 0", [](auto& b) { put<int32_t>(b, kRecordCountAt, 0); }, KafkaError::invalid_record},
      {"count -1", [](auto& b) { put<int32_t>(b, kRecordCountAt, -1); },
       KafkaError::invalid_record},
      {"count 4", [](auto& b) { put<int32_t>(b, kRecordCountAt, 4); }, KafkaError::invalid_record},
      {"delta", [](auto& b) { put<int32_t>(b, kLastOffsetDeltaAt, 7); },
       KafkaError::invalid_record},
      {"delta min", [](auto& b) { put<int32_t>(b, kLastOffsetDeltaAt, INT32_MIN); },
       KafkaError::invalid_record},
      {"delta max, count min",
       [](auto& b) {
         put<int32_t>(b, kLastOffsetDeltaAt, INT32_MAX);
         put<int32_t>(b, kRecordCountAt, INT32_MIN);
       },
       KafkaError::invalid_record},
      {"both 4",
       [](auto& b) {
         put<int32_t>(b, kLastOffsetDeltaAt, 3);
         put<int32_t>(b, kRecordCountAt, 4);
       },
       KafkaError::invalid_record},
      {"both 2",
       [](auto& b) {
         put<int32_t>(b, kLastOffsetDeltaAt, 1);
         put<int32_t>(b, kRecordCountAt, 2);
       },
       KafkaError::invalid_record},
      {"control", [](auto& b) { put<int16_t>(b, kAttributesAt, kControlBit); },
       KafkaError::invalid_record},
      {"horizon", [](auto& b) { put<int16_t>(b, kAttributesAt, kDeleteHorizonBit); },
       KafkaError::invalid_record},
      {"pid without sequence", [](auto& b) { put<int64_t>(b, kProducerIdAt, 5); },
       KafkaError::invalid_record},
      {"pid without epoch",
       [](auto& b) {
         put<int64_t>(b, kProducerIdAt, 5);
         put<int32_t>(b, kBaseSequenceAt, 0);
       },
       KafkaError::invalid_record},
      {"transaction without pid",
       [](auto& b) { put<int16_t>(b, kAttributesAt, kTransactionalBit); },
       KafkaError::invalid_record},
      {"codec 7", [](auto& b) { put<int16_t>(b, kAttributesAt, 7); },
       KafkaError::unsupported_compression_type},
      {"log append time", [](auto& b) { put<int16_t>(b, kAttributesAt, kLogAppendTimeBit); },
       KafkaError::invalid_timestamp},
  };
  for (const Case& c : cases) {
    std::string batch = three(Codec::none);
    c.spoil(batch);
    renew_crc(batch);
    EXPECT_EQ(code_of(batch), c.expected) << c.name;
  }
}

TEST(Validate, RecordsThatContradictTheHeaderInEveryCodec) {
  // size, attributes, timestamp delta, offset delta, key "a", value "1", no headers
  const std::string first(
      "\x10\0\0\0\2a\2"
      "1\0",
      9);
  const std::string second(
      "\x10\0\0\2\2a\2"
      "1\0",
      9);
  const std::pair<const char*, std::string> bad[] = {
      {"only one record", first},
      {"three records", first + second +
                            std::string("\x10\0\0\4\2a\2"
                                        "1\0",
                                        9)},
      {"offsets 0, 0", first + first},
      {"offsets 1, 0", second + first},
      {"trailing byte", first + second + std::string(1, '\0')},
      {"cut record", first + second.substr(0, 8)},
      {"record longer than its parts", first + std::string("\x12\0\0\2\2a\2"
                                                           "1\0\0",
                                                           10)},
      {"record shorter than its parts", first + std::string("\x0e\0\0\2\2a\2"
                                                            "1\0",
                                                            9)},
      {"negative record length", first + std::string("\x01\0", 2)},
      {"record length 2 GiB", first + std::string("\xfe\xff\xff\xff\x0f\0\0\2", 8)},
      {"key beyond the record", first + std::string("\x10\0\0\2\x7e"
                                                    "a\2"
                                                    "1\0",
                                                    9)},
      {"five-byte varint too large", first + std::string("\xff\xff\xff\xff\x7f\0", 6)},
      {"varint without end", first + std::string("\x80\x80\x80\x80\x80\x80\x80", 7)},
      {"negative header count", first + std::string("\x10\0\0\2\2a\2"
                                                    "1\1",
                                                    9)},
      {"header count 2 GiB", first + std::string("\x18\0\0\2\2a\2"
                                                 "1\xfe\xff\xff\xff\x0f",
                                                 13)},
      {"null header key", first + std::string("\x14\0\0\2\2a\2"
                                              "1\2\1\1",
                                              11)},
  };
  for (Codec codec : kCodecs) {
    ASSERT_EQ(code_of(with_payload(codec, first + second, 2)), KafkaError::none);
    for (const auto& [name, payload] : bad)
      EXPECT_EQ(code_of(with_payload(codec, payload, 2)), KafkaError::invalid_record)
          << name << " in " << codec_name(codec);
  }
}

TEST(Validate, SizeIsThatOfTheCompressedBatch) {
  const std::string batch = *BatchBuilder()
                                 .codec(Codec::gzip)
                                 .timestamp(kNow)
                                 .add("k", std::string(100'000, 'x'))
                                 .build();
  ValidateOptions with = options();
  with.max_message_bytes = static_cast<int32_t>(batch.size());
  EXPECT_EQ(code_of(batch, with), KafkaError::none);
  --with.max_message_bytes;
  EXPECT_EQ(code_of(batch, with), KafkaError::message_too_large);
}

TEST(Validate, ZstdNeedsProduceSeven) {
  ValidateOptions with = options();
  for (Codec codec : kCodecs) {
    with.api_version = 6;
    EXPECT_EQ(code_of(three(codec), with),
              codec == Codec::zstd ? KafkaError::unsupported_compression_type : KafkaError::none);
    with.api_version = 7;
    EXPECT_EQ(code_of(three(codec), with), KafkaError::none);
  }
}

TEST(Validate, TimestampsOutsideOfTheTopicsRangeAreToldByIndex) {
  ValidateOptions with = options();
  with.timestamp_before_max_ms = 100;
  with.timestamp_after_max_ms = 50;
  for (Codec codec : kCodecs) {
    BatchBuilder builder;
    builder.codec(codec);
    for (int64_t delta : {-100, -101, 50, 51}) builder.timestamp(kNow + delta).add("k", "v");
    builder.timestamp(kNoTimestamp).add("k", "v");
    const std::string batch = *builder.build();
    auto facts = validate_produced(as_bytes(batch), with);
    ASSERT_FALSE(facts);
    EXPECT_EQ(facts.error().code, KafkaError::invalid_timestamp);
    ASSERT_EQ(facts.error().record_errors.size(), 2u);
    EXPECT_EQ(facts.error().record_errors[0].batch_index, 1);
    EXPECT_EQ(facts.error().record_errors[1].batch_index, 3);
    ValidateOptions appended = with;
    appended.timestamp_type = TimestampType::log_append_time;
    EXPECT_EQ(code_of(batch, appended), KafkaError::none) << "the broker sets the time anyway";
  }
}

TEST(Validate, ExtremeTimestampsAndRangesDoNotOverflow) {
  ValidateOptions with = options();
  for (int64_t time : {INT64_MIN, INT64_MAX}) {
    std::string batch = *BatchBuilder().timestamp(time).add("k", "v").build();
    EXPECT_EQ(code_of(batch, with), KafkaError::invalid_timestamp) << time;
  }
  with.timestamp_after_max_ms = INT64_MAX;
  EXPECT_EQ(code_of(*BatchBuilder().timestamp(INT64_MAX).add("k", "v").build(), with),
            KafkaError::none);
}

TEST(Validate, AWrongMaximumTimestampIsReportedForCorrection) {
  for (Codec codec : kCodecs) {
    std::string batch = three(codec);
    put<int64_t>(batch, kMaxTimestampAt, kNow + 77);
    renew_crc(batch);
    const BatchFacts facts = *validate_produced(as_bytes(batch), options());
    EXPECT_TRUE(facts.max_timestamp_wrong);
    EXPECT_EQ(facts.max_timestamp, kNow);
    set_max_timestamp({reinterpret_cast<std::byte*>(batch.data()), batch.size()},
                      facts.max_timestamp);
    EXPECT_FALSE(validate_produced(as_bytes(batch), options())->max_timestamp_wrong);
  }
}

TEST(Validate, NullKeysOnACompactedTopicAreToldByIndex) {
  ValidateOptions with = options();
  with.compacted = true;
  for (Codec codec : kCodecs) {
    BatchBuilder builder;
    builder.codec(codec).timestamp(kNow).add("k", "v").add(std::nullopt, "v").add("", "v");
    const std::string batch = *builder.build();
    EXPECT_EQ(code_of(batch), KafkaError::none);
    auto facts = validate_produced(as_bytes(batch), with);
    ASSERT_FALSE(facts);
    EXPECT_EQ(facts.error().code, KafkaError::invalid_record);
    ASSERT_EQ(facts.error().record_errors.size(), 1u);
    EXPECT_EQ(facts.error().record_errors[0].batch_index, 1);
    EXPECT_FALSE(facts.error().record_errors[0].message.empty());
  }
}

TEST(Validate, TheListOfRecordErrorsIsBounded) {
  BatchBuilder builder;
  builder.codec(Codec::zstd).timestamp(kNow);
  for (size_t i = 0; i < kRecordErrorsMax + 5; ++i) builder.add(std::nullopt, "");
  ValidateOptions with = options();
  with.compacted = true;
  auto facts = validate_produced(as_bytes(*builder.build()), with);
  ASSERT_FALSE(facts);
  EXPECT_EQ(facts.error().record_errors.size(), kRecordErrorsMax);
}

TEST(Validate, ABombIsTooLargeAndABrokenStreamIsCorrupt) {
  const std::string big(1 << 20, 'x');
  for (Codec codec : {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
    const std::string batch = *BatchBuilder().codec(codec).timestamp(kNow).add("k", big).build();
    ValidateOptions with = options();
    EXPECT_EQ(code_of(batch, with), KafkaError::none);
    with.decompressed_bytes_max = big.size() - 1;
    EXPECT_EQ(code_of(batch, with), KafkaError::message_too_large) << codec_name(codec);
    std::string cut = batch.substr(0, batch.size() - 6);
    put(cut, kBatchLengthAt, static_cast<int32_t>(cut.size() - kBatchLengthEnd));
    renew_crc(cut);
    EXPECT_EQ(code_of(cut), KafkaError::corrupt_message) << codec_name(codec);
    ValidateOptions shallow = options();
    shallow.deep = false;
    EXPECT_EQ(code_of(cut, shallow), KafkaError::none) << "nobody asked to open it";
  }
}

}  // namespace
}  // namespace paceline::record
