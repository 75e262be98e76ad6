#include "probe/outbox.h"

#include <gtest/gtest.h>

#include "probe/sender.h"

namespace paceline::probe {
namespace {

using Kind = evidence::LedgerRow::Kind;

Outbox::Record record(int32_t partition, int64_t intended_ns) {
  return {.topic = 2, .partition = partition, .intended_ns = intended_ns, .key = 9, .amount = -5};
}
uint64_t send(Outbox& outbox, const Outbox::Record& what, int64_t at_ns) {
  const uint64_t number = outbox.next_number();
  outbox.sent(outbox.next(what, at_ns));
  return number;
}

TEST(Outbox, EachPartitionCountsFromZero) {
  Outbox outbox(3);
  send(outbox, record(0, 10), 11);
  send(outbox, record(1, 20), 21);
  const auto row = outbox.next(record(0, 30), 31);
  EXPECT_EQ(row.kind, Kind::sent);
  EXPECT_EQ(row.client, 3);
  EXPECT_EQ(row.topic, 2);
  EXPECT_EQ(row.seq, 1u);
  EXPECT_EQ(row.intended_ns, 30);
  EXPECT_EQ(row.at_ns, 31);
  EXPECT_EQ(row.amount, -5);
  EXPECT_EQ(row.key, 9u);
  EXPECT_EQ(outbox.next(record(0, 40), 41).seq, 1u) << "the queue was full: it was not sent";
}

TEST(Outbox, AnAnswerIsARowOfTheRecordItIsFor) {
  Outbox outbox(3);
  send(outbox, record(0, 10), 11);
  const uint64_t second = send(outbox, record(0, 20), 21);
  EXPECT_EQ(outbox.unanswered(), 2u);
  const auto row = outbox.answered(second, {.kind = Kind::acked, .offset = 77, .broker = 4}, 99);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->kind, Kind::acked);
  EXPECT_EQ(row->seq, 1u);
  EXPECT_EQ(row->offset, 77);
  EXPECT_EQ(row->broker, 4);
  EXPECT_EQ(row->intended_ns, 20);
  EXPECT_EQ(row->at_ns, 99);
  EXPECT_EQ(outbox.oldest_ns(), 10);
  EXPECT_FALSE(outbox.answered(second, {.kind = Kind::acked}, 100)) << "told twice";
}

TEST(Outbox, WhatIsLeftMayBeThere) {
  Outbox outbox(3);
  const uint64_t first = send(outbox, record(0, 10), 11);
  send(outbox, record(0, 20), 21);
  (void)outbox.answered(first, {.kind = Kind::acked, .offset = 1}, 30);
  const auto rows = outbox.abandon(50);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].kind, Kind::unknown);
  EXPECT_EQ(rows[0].seq, 1u);
  EXPECT_EQ(rows[0].at_ns, 50);
  EXPECT_EQ(outbox.unanswered(), 0u);
  EXPECT_FALSE(outbox.oldest_ns());
}

TEST(Delivery, OnlyWhatTheLibraryIsSureOfIsCertain) {
  const auto acked = answer_of(RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_MSG_STATUS_PERSISTED, 12, 2);
  EXPECT_EQ(acked.kind, Kind::acked);
  EXPECT_EQ(acked.offset, 12);
  EXPECT_EQ(acked.broker, 2);
  const auto never = answer_of(RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, RD_KAFKA_MSG_STATUS_NOT_PERSISTED,
                               RD_KAFKA_OFFSET_INVALID, -1);
  EXPECT_EQ(never.kind, Kind::failed);
  EXPECT_EQ(never.error, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
  EXPECT_EQ(never.offset, -1);
  const auto perhaps =
      answer_of(RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED, 0, 1);
  EXPECT_EQ(perhaps.kind, Kind::unknown);
  EXPECT_EQ(perhaps.offset, -1);
}

}  // namespace
}  // namespace paceline::probe
