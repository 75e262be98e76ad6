#include "partition/test_storage.h"

namespace paceline::partition {
namespace {

using enum record::KafkaError;

class ReadTest : public PartitionTest {
 protected:
  KafkaResult<Fetched> fetch(int64_t from, size_t bytes_max = 1 << 20, int32_t epoch = -1) {
    FetchRequest request;
    request.from = Offset(from);
    request.bytes_max = bytes_max;
    request.expected_epoch = Epoch(epoch);
    return world.wait(0, partition->fetch(request));
  }
  KafkaResult<TimestampAndOffset> list(int64_t query) {
    return world.wait(0, partition->list_offset(query, Epoch(-1), false));
  }
  // One batch with a record for each time.
  void append_at(std::vector<int64_t> times) {
    record::BatchBuilder builder;
    for (int64_t time : times) builder.timestamp(kBase + time).add("k", "v");
    ASSERT_TRUE(append(builder));
  }
  void expect_first(int64_t time, int64_t offset, int64_t found) {
    auto answer = list(kBase + time);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->offset, Offset(offset)) << time;
    EXPECT_EQ(answer->timestamp, offset < 0 ? -1 : kBase + found) << time;
  }
  static constexpr int64_t kBase = 1'700'000'000'000;
};

TEST_F(ReadTest, OnlyWhatIsDurableIsRead) {
  ASSERT_TRUE(append(plain(2)));
  stream().hold = true;
  auto in_flight = start(plain(2));
  auto fetched = fetch(0);
  ASSERT_TRUE(fetched);
  EXPECT_EQ(fetched->records.size(), 1u);
  EXPECT_EQ(fetched->high_watermark, Offset(2));
  EXPECT_EQ(fetched->last_stable_offset, Offset(2));
  EXPECT_TRUE(fetch(2)->records.empty());
  EXPECT_EQ(code(fetch(3)), offset_out_of_range);
  stream().release();
  settle();
  EXPECT_EQ(fetch(2)->records.size(), 1u);
}

TEST_F(ReadTest, ALeaderThatWasFencedAndDoesNotKnowItCallsNoOffsetTooHigh) {
  ASSERT_TRUE(append(plain(2)));
  EXPECT_EQ(code(fetch(3)), offset_out_of_range);
  EXPECT_TRUE(fetch(2));
  EXPECT_EQ(stream().confirmed, 1);
  stream().sealed = true;
  EXPECT_EQ(code(fetch(3)), not_leader_or_follower);
  EXPECT_TRUE(fetch(2));
}

TEST_F(ReadTest, AnOffsetInsideABatchGetsItWhole) {
  ASSERT_TRUE(append(plain(5)));
  auto fetched = fetch(3, 1);
  ASSERT_EQ(fetched->records.size(), 1u);
  EXPECT_EQ(fetched->bytes, fetched->records[0].size());
  EXPECT_EQ(record::BatchView::parse(fetched->records[0].bytes())->base_offset(), Offset(0));
}

TEST_F(ReadTest, EpochsAreCheckedAndOffsetsBelowTheStartAreOut) {
  ASSERT_TRUE(append(plain(5)));
  EXPECT_EQ(code(fetch(0, 100, 1)), unknown_leader_epoch);
  ASSERT_TRUE(world.wait(0, partition->delete_records(Offset(3))));
  EXPECT_EQ(code(fetch(2)), offset_out_of_range);
  EXPECT_EQ(code(fetch(3)), none);
  EXPECT_EQ(code(world.wait(0, partition->delete_records(Offset(6)))), offset_out_of_range);
  EXPECT_EQ(*world.wait(0, partition->delete_records(Offset(-1))), Offset(5));
}

TEST_F(ReadTest, TheEndsAreListed) {
  append_at({10, 30, 20});
  EXPECT_EQ(list(-1)->offset, Offset(3));
  EXPECT_EQ(list(-2)->offset, Offset(0));
  EXPECT_EQ(list(-4)->offset, Offset(0));
  EXPECT_EQ(list(-5)->offset, Offset(-1));
  EXPECT_EQ(list(-3)->offset, Offset(1));
  EXPECT_EQ(list(-3)->timestamp, kBase + 30);
  EXPECT_EQ(code(list(-77)), invalid_request);
}

TEST_F(ReadTest, TimeFindsTheFirstRecordExactly) {
  append_at({10, 30, 20});
  append_at({15, 40});
  expect_first(0, 0, 10);
  expect_first(20, 1, 30);
  expect_first(31, 4, 40);
  expect_first(41, -1, -1);
}

TEST_F(ReadTest, ARecordBelowTheLogStartIsNotFound) {
  append_at({10, 30, 20});
  append_at({15, 25});
  ASSERT_TRUE(world.wait(0, partition->delete_records(Offset(2))));
  expect_first(5, 2, 20);
  expect_first(25, 4, 25);  // the first batch's 30 is gone, though its header promises it
}

TEST_F(ReadTest, RetentionMovesTheStartOnlyIfOldDataMayGo) {
  append_at({10});
  append_at({20});
  stream().retained_from = Offset(1);
  config.delete_old = false;
  partition->set_config(config);
  world.wait_void(0, partition->tick(kBase));
  EXPECT_EQ(partition->log_start(), Offset(0));
  config.delete_old = true;
  config.retention_ms = 5;
  config.retention_bytes = 100;
  partition->set_config(config);
  world.wait_void(0, partition->tick(kBase));
  EXPECT_EQ(partition->log_start(), Offset(1));
  EXPECT_EQ(stream().asked.older_than_ms, kBase - 5);
  EXPECT_EQ(stream().asked.bytes_max, 100u);
}

TEST_F(ReadTest, ProducersExpireByTheTimesInTheLog) {
  ASSERT_TRUE(append(from(9, 0)));
  storage.checkpoint(kStream);
  ASSERT_TRUE(append(plain()));
  storage.checkpoint(kStream);
  world.wait_void(0, partition->tick(kBase * 2));  // the local clock says nothing
  EXPECT_EQ(partition->producers().size(), 1u);
  world.run_for(std::chrono::hours(25));
  ASSERT_TRUE(append(plain()));
  world.wait_void(0, partition->tick(0));
  EXPECT_TRUE(partition->producers().empty());
}

}  // namespace
}  // namespace paceline::partition
