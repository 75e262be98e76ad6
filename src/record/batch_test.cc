#include "record/batch.h"

#include <gtest/gtest.h>

#include "record/kafka_error.h"
#include "record/records.h"
#include "record/test_vectors.h"

namespace paceline::record {
namespace {

TEST(KafkaError, NamesAreKafkas) {
  EXPECT_EQ(kafka_error_name(KafkaError::unknown_server_error), "UNKNOWN_SERVER_ERROR");
  EXPECT_EQ(kafka_error_name(KafkaError::none), "NONE");
  EXPECT_EQ(kafka_error_name(KafkaError{87}), "INVALID_RECORD");
  EXPECT_EQ(kafka_error_name(KafkaError{120}), "TRANSACTION_ABORTABLE");
  EXPECT_EQ(kafka_error_name(KafkaError{133}), "SHARE_SESSION_LIMIT_REACHED");
  EXPECT_EQ(kafka_error_name(KafkaError{134}), "UNKNOWN");
  for (int16_t code = -1; code <= 133; ++code)
    EXPECT_NE(kafka_error_name(KafkaError{code}), "UNKNOWN") << code;
}

TEST(Batch, ReadsAndBuildsTheBytesOfKafkaPython) {
  const std::string known = from_hex(kKafkaPythonPlain);
  auto batch = BatchView::parse(as_bytes(known));
  ASSERT_TRUE(batch);
  EXPECT_TRUE(batch->crc_ok());
  EXPECT_EQ(batch->size(), known.size());
  EXPECT_EQ(batch->base_timestamp(), 1700000000000);
  EXPECT_EQ(batch->max_timestamp(), 1700000000005);
  EXPECT_EQ(batch->producer_id(), ProducerId(4711));
  EXPECT_EQ(batch->producer_epoch(), 3);
  EXPECT_EQ(batch->base_sequence(), 9);
  EXPECT_EQ(batch->last_sequence(), 11);
  EXPECT_EQ(batch->record_count(), 3);
  EXPECT_EQ(batch->last_offset(), Offset(2));

  BatchBuilder builder;
  builder.producer(ProducerId(4711), 3, 9).place(Offset(0), Epoch(0));
  builder.timestamp(1700000000000).add("k1", "v1", {{"h", "x"}, {"n", std::nullopt}});
  builder.timestamp(1700000000005)
      .add(std::nullopt, "value value value value value value value value ");
  builder.timestamp(1700000000002).add("k3", std::nullopt);
  EXPECT_EQ(*builder.build(), known);
}

TEST(Batch, PlacementLeavesTheChecksumAndLogAppendTimeRenewsIt) {
  std::string bytes = *BatchBuilder().timestamp(5).add("k", "v").build();
  set_placement(writable(bytes), Offset(1234567890123), Epoch(77));
  auto batch = BatchView::parse(as_bytes(bytes));
  ASSERT_TRUE(batch && batch->crc_ok());
  EXPECT_EQ(batch->base_offset(), Offset(1234567890123));
  EXPECT_EQ(batch->partition_leader_epoch(), Epoch(77));
  EXPECT_EQ(batch->next_offset(), Offset(1234567890124));

  const uint32_t before = batch->crc();
  set_log_append_time(writable(bytes), 99);
  EXPECT_TRUE(batch->crc_ok());
  EXPECT_NE(batch->crc(), before);
  EXPECT_EQ(batch->timestamp_type(), TimestampType::log_append_time);
  EXPECT_EQ(batch->max_timestamp(), 99);
  auto reader = RecordReader::open(*batch);
  EXPECT_EQ((*reader->next())->timestamp, 99);

  bytes[kBatchHeaderBytes] ^= 1;
  EXPECT_FALSE(batch->crc_ok());
}

TEST(Batch, SequencesWrapToZero) {
  EXPECT_EQ(advance_sequence(kSequenceMax, 1), 0);
  EXPECT_EQ(advance_sequence(kSequenceMax - 1, 3), 1);
  EXPECT_EQ(advance_sequence(0, 0), 0);
}

TEST(BatchCursor, WalksARunAndStopsBeforeACutBatch) {
  const std::string one = *BatchBuilder().add("a", "1").build();
  const std::string two = *BatchBuilder().add("b", "2").add("c", "3").build();
  const std::string run = one + two;
  for (size_t cut = 0; cut <= run.size(); ++cut) {
    BatchCursor cursor(as_bytes(run).first(cut));
    size_t walked = 0;
    for (;;) {
      auto batch = cursor.next();
      if (!batch) {
        EXPECT_EQ(batch.error().code, Code::out_of_range);
        break;
      }
      if (!*batch) break;
      ++walked;
    }
    EXPECT_EQ(walked, cut == run.size() ? 2u : cut >= one.size() ? 1u : 0u) << cut;
    EXPECT_EQ(cursor.rest().size(),
              cut - (walked > 0 ? one.size() : 0) - (walked > 1 ? two.size() : 0));
  }
}

TEST(Batch, LengthsAndMagicThatCannotBeAreRefused) {
  const std::string good = *BatchBuilder().add("a", "1").build();
  for (int32_t length : {-1, 0, 48, INT32_MIN}) {
    std::string bad = good;
    store_be(writable(bad).data() + kBatchLengthAt, length);
    EXPECT_EQ(BatchView::parse(as_bytes(bad)).error().code, Code::corrupt) << length;
  }
  std::string beyond = good;
  store_be(writable(beyond).data() + kBatchLengthAt, INT32_MAX);
  EXPECT_EQ(BatchView::parse(as_bytes(beyond)).error().code, Code::out_of_range);
  std::string old = good;
  old[kMagicAt] = 1;
  EXPECT_EQ(BatchView::parse(as_bytes(old)).error().code, Code::corrupt);
}

}  // namespace
}  // namespace paceline::record
