#include "partition/test_storage.h"

namespace paceline::partition {
namespace {

using enum record::KafkaError;

TEST_F(PartitionTest, OffsetsFollowTheOrderOfCalls) {
  stream().hold = true;
  auto first = start(plain(3));
  auto second = start(plain(2));
  EXPECT_FALSE(*first);
  EXPECT_EQ(partition->high_watermark(), Offset(0));
  stream().release();
  settle();
  EXPECT_EQ((**first)->base, Offset(0));
  EXPECT_EQ((**second)->base, Offset(3));
  EXPECT_EQ(partition->high_watermark(), Offset(5));
  auto view = record::BatchView::parse(stream().batches[1].bytes.bytes());
  EXPECT_EQ(view->base_offset(), Offset(3));
  EXPECT_EQ(view->partition_leader_epoch(), Epoch(0));
  EXPECT_TRUE(view->crc_ok());
}

TEST_F(PartitionTest, ADuplicateGetsTheOriginalOffset) {
  ASSERT_TRUE(append(from(9, 0, 2)));
  ASSERT_TRUE(append(plain()));
  ASSERT_TRUE(append(from(9, 2)));
  auto again = append(from(9, 0, 2));
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ(again->base, Offset(0));
  EXPECT_EQ(partition->high_watermark(), Offset(4));
  EXPECT_EQ(code(append(from(9, 5))), out_of_order_sequence_number);
  EXPECT_EQ(code(append(from(9, 0, 1, 1))), none);  // a new epoch
  EXPECT_EQ(code(append(from(9, 3))), invalid_producer_epoch);
}

// Its clients may have written more elsewhere.
TEST_F(PartitionTest, ALeaderThatWasFencedAndDoesNotKnowItRefusesNoSequence) {
  ASSERT_TRUE(append(from(9, 0)));
  EXPECT_EQ(stream().confirmed, 0);
  EXPECT_EQ(code(append(from(9, 5))), out_of_order_sequence_number);
  EXPECT_EQ(stream().confirmed, 1);
  stream().sealed = true;
  EXPECT_EQ(code(append(from(9, 5))), not_leader_or_follower);
}

TEST_F(PartitionTest, ADuplicateOfABatchInFlightWaitsForIt) {
  stream().hold = true;
  auto original = start(from(9, 0));
  auto retry = start(from(9, 0));
  auto gap = start(from(9, 7));
  EXPECT_FALSE(*retry);
  EXPECT_FALSE(*gap);  // the refusal follows from what may be lost
  stream().release();
  settle();
  ASSERT_TRUE(*retry && **retry);
  EXPECT_EQ((**retry)->base, Offset(0));
  EXPECT_TRUE((**retry)->duplicate);
  EXPECT_EQ(code(**gap), out_of_order_sequence_number);
}

TEST_F(PartitionTest, ADuplicateOfABatchThatFailsFailsWithIt) {
  stream().hold = true;
  stream().failures = {Code::no_space};
  auto original = start(from(9, 0));
  auto retry = start(from(9, 0));
  stream().release();
  settle();
  EXPECT_EQ(code(**original), kafka_storage_error);
  EXPECT_EQ(code(**retry), kafka_storage_error);
  auto again = append(from(9, 0));
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->duplicate);
}

TEST_F(PartitionTest, ARefusedWriteLeavesNoHole) {
  ASSERT_TRUE(append(from(9, 0, 2)));
  stream().hold = true;
  stream().failures = {Code::unavailable};
  auto first = start(from(9, 2));
  auto second = start(from(9, 3));
  auto third = start(plain(4));
  stream().release();
  settle();
  EXPECT_EQ(code(**first), kafka_storage_error);
  EXPECT_EQ(code(**second), kafka_storage_error);
  EXPECT_EQ(code(**third), kafka_storage_error);
  EXPECT_EQ(append(from(9, 2))->base, Offset(2));
  EXPECT_EQ(append(from(9, 3))->base, Offset(3));
  EXPECT_EQ(append(plain())->base, Offset(4));
}

TEST_F(PartitionTest, WhatWasOnItsWayBehindABatchRefusedBeforeTheOpeningWaitsForIt) {
  partition->refused_before(9, 0, 0);
  EXPECT_EQ(code(append(from(9, 3))), out_of_order_sequence_number);
  EXPECT_EQ(append(from(9, 0, 3))->base, Offset(0));
  EXPECT_EQ(append(from(9, 3))->base, Offset(3));
  partition->refused_before(9, 0, 0);  // known by now
  EXPECT_EQ(append(from(9, 4))->base, Offset(4));
}

// An unknown producer may start anywhere, but not behind its own first batch.
TEST_F(PartitionTest, WhatANewProducerHasInFlightDoesNotOvertakeItsRefusedFirstBatch) {
  stream().failures = {Code::no_space};
  EXPECT_EQ(code(append(from(9, 0, 3))), kafka_storage_error);
  EXPECT_EQ(code(append(from(9, 3))), out_of_order_sequence_number);
  EXPECT_EQ(append(from(8, 7))->base, Offset(0));
  EXPECT_EQ(append(from(9, 0, 3))->base, Offset(1));
  EXPECT_EQ(append(from(9, 3))->base, Offset(4));
}

TEST_F(PartitionTest, WhatWasDurableBeforeAFailureStays) {
  stream().hold = true;
  auto good = start(from(9, 0));
  stream().release();
  settle();
  stream().hold = true;
  stream().failures = {Code::no_space};
  auto bad = start(from(9, 1));
  auto retry_of_good = start(from(9, 0));
  EXPECT_TRUE(*retry_of_good);  // at once: it is durable
  stream().release();
  settle();
  EXPECT_EQ(code(**bad), kafka_storage_error);
  EXPECT_EQ((**retry_of_good)->base, Offset(0));
}

TEST_F(PartitionTest, AnUnknownOutcomeClosesThePartitionForWrites) {
  ASSERT_TRUE(append(plain()));
  stream().hold = true;
  stream().failures = {Code::maybe_written};
  auto unknown = start(from(9, 0));
  auto retry = start(from(9, 0));
  stream().release();
  settle();
  EXPECT_EQ(code(**unknown), not_leader_or_follower);
  EXPECT_EQ(code(**retry), not_leader_or_follower);
  EXPECT_EQ(code(append(plain())), not_leader_or_follower);
  EXPECT_EQ(code(world.wait(0, partition->fetch({.from = Offset(0), .bytes_max = 100}))), none);
  close();
}

TEST_F(PartitionTest, EpochsAreChecked) {
  close();
  open(3);
  AppendRequest older = request(plain());
  older.expected_epoch = Epoch(2);
  EXPECT_EQ(code(world.wait(0, partition->append(older))), fenced_leader_epoch);
  older.expected_epoch = Epoch(4);
  EXPECT_EQ(code(world.wait(0, partition->append(older))), unknown_leader_epoch);
  older.expected_epoch = Epoch(3);
  EXPECT_EQ(code(world.wait(0, partition->append(older))), none);
}

TEST_F(PartitionTest, LogAppendTimeIsTheBrokersAndADuplicateGetsTheFirst) {
  config.log_append_time = true;
  partition->set_config(config);
  auto first = append(from(9, 0));
  world.run_for(std::chrono::seconds(5));
  auto again = append(from(9, 0));
  ASSERT_TRUE(first && again);
  EXPECT_GT(first->log_append_time_ms, 0);
  EXPECT_EQ(again->log_append_time_ms, first->log_append_time_ms);
  auto view = record::BatchView::parse(stream().batches[0].bytes.bytes());
  EXPECT_EQ(view->max_timestamp(), first->log_append_time_ms);
  EXPECT_EQ(view->timestamp_type(), record::TimestampType::log_append_time);
  EXPECT_TRUE(view->crc_ok());
}

TEST_F(PartitionTest, BadBatchesAreRefusedWithTheirRecords) {
  config.compact = true;
  partition->set_config(config);
  record::BatchBuilder keyless;
  keyless.timestamp(1'700'000'000'000).add("k", "v").add(std::nullopt, "v");
  auto refused = append(keyless);
  EXPECT_EQ(code(refused), invalid_record);
  ASSERT_EQ(refused.error().records.size(), 1u);
  EXPECT_EQ(refused.error().records[0].batch_index, 1);
  AppendRequest cut = request(plain());
  cut.records = cut.records.subslice(0, cut.records.size() - 1);
  EXPECT_NE(code(world.wait(0, partition->append(cut))), none);
  config.max_message_bytes = 10;
  partition->set_config(config);
  EXPECT_EQ(code(append(plain())), message_too_large);
}

TEST_F(PartitionTest, CloseWaitsForThoseInsideAndRefusesTheRest) {
  stream().hold = true;
  auto inside = start(plain());
  bool closed = false;
  auto end = [](Partition* which, bool* done) -> Task<void> {
    co_await which->close();
    *done = true;
  };
  shard().spawn(end(partition.get(), &closed));
  settle();
  EXPECT_FALSE(closed);
  EXPECT_EQ(code(append(plain())), not_leader_or_follower);
  stream().release();
  settle();
  EXPECT_TRUE(closed);
  EXPECT_EQ(code(**inside), none);
  EXPECT_EQ(partition->high_watermark(), Offset(1));
}

TEST_F(PartitionTest, SubscribersHearOfNewRecordsUntilTheyLeave) {
  int heard = 0;
  auto subscription = partition->subscribe([&heard] { ++heard; });
  ASSERT_TRUE(append(plain()));
  settle();
  EXPECT_EQ(heard, 1);
  ASSERT_TRUE(world.wait(0, partition->delete_records(Offset(1))));
  settle();
  EXPECT_EQ(heard, 2);
  subscription.reset();
  ASSERT_TRUE(append(plain()));
  settle();
  EXPECT_EQ(heard, 2);
}

}  // namespace
}  // namespace paceline::partition
