#include "record/records.h"

#include <gtest/gtest.h>

#include "record/test_vectors.h"

namespace paceline::record {
namespace {

std::vector<RecordView> read_all(RecordReader& reader) {
  std::vector<RecordView> out;
  for (;;) {
    auto record = reader.next();
    EXPECT_TRUE(record) << record.error().to_string();
    if (!record || !*record) return out;
    out.push_back(**std::move(record));
  }
}

TEST(RecordReader, ReadsWhatLibrdkafkaWritesInEveryCodec) {
  std::string value;
  for (int i = 0; i < 20; ++i) value += "paceline ";
  for (auto hex : {kLibrdkafkaGzip, kLibrdkafkaSnappy, kLibrdkafkaLz4, kLibrdkafkaZstd}) {
    const std::string bytes = from_hex(hex);
    auto batch = BatchView::parse(as_bytes(bytes));
    ASSERT_TRUE(batch && batch->crc_ok());
    SCOPED_TRACE(codec_name(batch->codec()));
    auto reader = RecordReader::open(*batch);
    ASSERT_TRUE(reader);
    auto records = read_all(*reader);
    ASSERT_EQ(records.size(), 3u);
    EXPECT_EQ(records[0].key, "key0");
    EXPECT_EQ(records[0].value, value);
    ASSERT_EQ(records[0].headers.size(), 1u);
    EXPECT_EQ(records[0].headers[0].key, "h");
    EXPECT_EQ(records[0].headers[0].value, "x");
    EXPECT_EQ(records[1].key, std::nullopt);
    EXPECT_EQ(records[1].value, value);
    EXPECT_EQ(records[1].timestamp, 1700000000005);
    EXPECT_EQ(records[2].key, "key2");
    EXPECT_EQ(records[2].value, std::nullopt);
    EXPECT_EQ(records[2].offset, Offset(2));
  }
}

TEST(RecordReader, NullAndEmptyStayApartAndViewsOutliveAMove) {
  const std::string bytes = *BatchBuilder()
                                 .codec(Codec::zstd)
                                 .add("", std::nullopt, {{"", ""}, {"n", std::nullopt}})
                                 .build();
  auto reader = RecordReader::open(*BatchView::parse(as_bytes(bytes)));
  RecordReader moved = *std::move(reader);
  auto record = **moved.next();
  EXPECT_EQ(record.key, "");
  EXPECT_EQ(record.value, std::nullopt);
  EXPECT_EQ(record.headers[0].value, "");
  EXPECT_EQ(record.headers[1].value, std::nullopt);
}

TEST(RecordReader, ACountThatLiesIsAnErrorBothWays) {
  for (int32_t stated : {1, 3}) {
    std::string bytes = *BatchBuilder().add("a", "1").add("b", "2").build();
    store_be(reinterpret_cast<std::byte*>(bytes.data()) + kRecordCountAt, stated);
    auto reader = RecordReader::open(*BatchView::parse(as_bytes(bytes)));
    Result<std::optional<RecordView>> last = reader->next();
    while (last && *last) last = reader->next();
    ASSERT_FALSE(last);
    EXPECT_EQ(last.error().code, Code::corrupt);
  }
}

TEST(RecordReader, OffsetsThatLeaveTheRangeWrap) {
  std::string bytes = *BatchBuilder().add("a", "1").add("b", "2").build();
  auto batch = BatchView::parse(as_bytes(bytes));
  for (int64_t base : {INT64_MIN, INT64_MAX}) {
    for (int32_t delta : {INT32_MIN, INT32_MAX}) {
      store_be(writable(bytes).data() + kBaseOffsetAt, base);
      store_be(writable(bytes).data() + kLastOffsetDeltaAt, delta);
      EXPECT_EQ(batch->last_offset() - batch->base_offset(), delta);
      EXPECT_EQ(batch->next_offset() - batch->last_offset(), 1);
      auto reader = RecordReader::open(*batch);
      auto records = read_all(*reader);
      ASSERT_EQ(records.size(), 2u);
      EXPECT_EQ(records[1].offset - records[0].offset, 1);
      EXPECT_TRUE(*find_max_timestamp(*batch));
    }
  }
}

TEST(FindByTimestamp, IsExactToTheRecordInEveryCodec) {
  for (Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
    BatchBuilder builder;
    builder.codec(codec).place(Offset(100), Epoch(1));
    for (int64_t time : {10, 30, 20, 30, 5}) builder.timestamp(time).add("k", "v");
    const std::string bytes = *builder.build();
    const BatchView batch = *BatchView::parse(as_bytes(bytes));
    EXPECT_EQ(*find_by_timestamp(batch, 0), (TimestampedOffset{Offset(100), 10}));
    EXPECT_EQ(*find_by_timestamp(batch, 11), (TimestampedOffset{Offset(101), 30}));
    EXPECT_EQ(*find_by_timestamp(batch, 30), (TimestampedOffset{Offset(101), 30}));
    EXPECT_EQ(*find_by_timestamp(batch, 31), std::nullopt);
    EXPECT_EQ(*find_max_timestamp(batch), (TimestampedOffset{Offset(101), 30}));
  }
}

TEST(FindByTimestamp, LogAppendTimeIsEveryRecordsTime) {
  std::string bytes = *BatchBuilder().timestamp(10).add("a", "1").add("b", "2").build();
  set_log_append_time({reinterpret_cast<std::byte*>(bytes.data()), bytes.size()}, 500);
  const BatchView batch = *BatchView::parse(as_bytes(bytes));
  EXPECT_EQ(*find_by_timestamp(batch, 400), (TimestampedOffset{Offset(0), 500}));
}

TEST(BatchBuilder, ACompactedBatchKeepsItsGaps) {
  const std::string bytes =
      *BatchBuilder().place(Offset(50), Epoch(2)).add_at(2, "a", "1").add_at(7, "b", "2").build();
  const BatchView batch = *BatchView::parse(as_bytes(bytes));
  auto reader = RecordReader::open(batch);
  auto records = read_all(*reader);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].offset, Offset(52));
  EXPECT_EQ(records[1].offset, Offset(57));
  EXPECT_EQ(batch.next_offset(), Offset(58));
}

TEST(TransactionMarker, RoundTripsAndNothingElseIsTakenForOne) {
  for (MarkerKind kind : {MarkerKind::abort, MarkerKind::commit}) {
    const TransactionMarker marker{kind, 17};
    const std::string bytes = build_marker(marker, ProducerId(9), 4, 1000);
    const BatchView batch = *BatchView::parse(as_bytes(bytes));
    EXPECT_TRUE(batch.crc_ok() && batch.control() && batch.transactional());
    EXPECT_EQ(batch.producer_id(), ProducerId(9));
    EXPECT_EQ(batch.base_sequence(), kNoSequence);
    EXPECT_EQ(*parse_marker(batch), marker);
    // Kafka's bytes: int16 0, int16 kind; int16 0, int32 epoch.
    auto reader = RecordReader::open(batch);
    auto record = **reader->next();
    EXPECT_EQ(record.key, from_hex(kind == MarkerKind::commit ? "00000001" : "00000000"));
    EXPECT_EQ(record.value, from_hex("000000000011"));
  }
  const std::string ordinary = *BatchBuilder().add("a", "1").build();
  EXPECT_EQ(parse_marker(*BatchView::parse(as_bytes(ordinary))).error().code, Code::corrupt);
  const std::string other = *BatchBuilder().control().add(from_hex("00000005"), "x").build();
  EXPECT_EQ(parse_marker(*BatchView::parse(as_bytes(other))).error().code, Code::unsupported);
}

}  // namespace
}  // namespace paceline::record
