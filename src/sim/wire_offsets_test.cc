#include <gmock/gmock.h>

#include "protocol/gen/delete_records.h"
#include "protocol/gen/find_coordinator.h"
#include "protocol/gen/offset_for_leader_epoch.h"
#include "sim/wire_world_test.h"

// Questions about offsets: by name, by time, by leader epoch; and where a log starts.

namespace paceline::sim {
namespace {

using protocol::ListOffsetsRequest;
using protocol::ListOffsetsResponse;
using protocol::OffsetForLeaderEpochRequest;
using protocol::OffsetForLeaderEpochResponse;
using testing::ElementsAre;

enum : int64_t { kLatest = -1, kEarliest = -2, kMaxTimestamp = -3, kLocalStart = -4, kTiered = -5 };

class WireOffsets : public WireTest {
 protected:
  // Three batches of records at the given ms after `base`.
  int64_t fill_with_times() {
    create_topic("t");
    const int64_t base = now_ms() - 100'000;
    for (auto times : {std::vector<int64_t>{1000, 1010, 1020}, {1030, 1025}, {1015, 1028}}) {
      record::BatchBuilder builder;
      for (int64_t time : times) builder.timestamp(base + time).add("k", "v");
      EXPECT_EQ(name(produce("t", 0, builder).error_code), "NONE");
    }
    return base;
  }
  std::pair<int64_t, int64_t> at_time(int64_t timestamp) {
    const Listed listed = list_offset("t", 0, timestamp);
    EXPECT_EQ(name(listed.error_code), "NONE");
    return {listed.offset, listed.timestamp};
  }
  protocol::DeleteRecordsResponse::Topic::Partition delete_before(std::string_view topic,
                                                                  int32_t index, int64_t offset) {
    protocol::DeleteRecordsRequest request;
    request.timeout_ms = 30'000;
    auto& one = request.topics.emplace_back();
    one.name = topic;
    one.partitions.push_back({index, offset});
    auto answer = ask<protocol::DeleteRecordsResponse>(2, request);
    CHECK(answer.topics.size() == 1 && answer.topics[0].partitions.size() == 1);
    return answer.topics[0].partitions[0];
  }
  OffsetForLeaderEpochResponse::Topic::Partition end_of_epoch(int32_t epoch, int32_t current = -1,
                                                              int32_t index = 0,
                                                              int16_t version = 3) {
    OffsetForLeaderEpochRequest request;
    auto& one = request.topics.emplace_back();
    one.topic = "t";
    one.partitions.push_back({index, current, epoch});
    auto answer = ask<OffsetForLeaderEpochResponse>(version, request);
    CHECK(answer.topics.size() == 1 && answer.topics[0].partitions.size() == 1);
    return answer.topics[0].partitions[0];
  }
};
PACELINE_ON_ONE_AND_TWO_SHARDS(WireOffsets);

// Trap 32.
TEST_P(WireOffsets, ALogHasNamedOffsets) {
  const int64_t base = fill_with_times();
  EXPECT_EQ(at_time(kLatest), std::pair(int64_t{7}, int64_t{-1}));
  EXPECT_EQ(at_time(kEarliest), std::pair(int64_t{0}, int64_t{-1}));
  EXPECT_EQ(at_time(kMaxTimestamp), std::pair(int64_t{3}, base + 1030));
  EXPECT_EQ(list_offset("t", 0, kLocalStart, 8).offset, 0);
  EXPECT_EQ(list_offset("t", 0, kTiered, 9).offset, -1);
  EXPECT_EQ(name(list_offset("t", 0, -6).error_code), "INVALID_REQUEST");
}

// Trap 32: the first record, not its batch, with its own time.
TEST_P(WireOffsets, ATimeIsFoundExactlyInLogCacheAndObjects) {
  const int64_t base = fill_with_times();
  options().memory_bytes = 1 << 20;
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(at_time(0), std::pair(int64_t{0}, base + 1000));
    EXPECT_EQ(at_time(base + 1000), std::pair(int64_t{0}, base + 1000));
    EXPECT_EQ(at_time(base + 1001), std::pair(int64_t{1}, base + 1010));
    EXPECT_EQ(at_time(base + 1020), std::pair(int64_t{2}, base + 1020));
    EXPECT_EQ(at_time(base + 1021), std::pair(int64_t{3}, base + 1030));
    EXPECT_EQ(at_time(base + 1030), std::pair(int64_t{3}, base + 1030));
    EXPECT_EQ(at_time(base + 1031), std::pair(int64_t{-1}, int64_t{-1}));
    EXPECT_EQ(at_time(INT64_MAX), std::pair(int64_t{-1}, int64_t{-1}));
    EXPECT_EQ(at_time(kMaxTimestamp), std::pair(int64_t{3}, base + 1030));
    if (round == 0) world_.run_for(30s);  // an upload
    if (round == 1) restart(End::crash);
  }
}

TEST_P(WireOffsets, AnEmptyLogHasNoTimes) {
  create_topic("t");
  EXPECT_EQ(at_time(kLatest).first, 0);
  EXPECT_EQ(at_time(kEarliest).first, 0);
  EXPECT_EQ(at_time(kMaxTimestamp), std::pair(int64_t{-1}, int64_t{-1}));
  EXPECT_EQ(at_time(1), std::pair(int64_t{-1}, int64_t{-1}));
}

// Traps 21 and 32: without transactions the last stable offset is the end.
TEST_P(WireOffsets, EveryVersionAndIsolationTellsTheSameEnd) {
  create_topic("t", 2);
  (void)produce("t", 1, batch({"a", "b"}));
  for (int16_t version = 1; version <= 10; ++version) {
    for (int8_t isolation : {0, 1}) {
      ListOffsetsRequest request;
      request.replica_id = -1;
      if (version >= 2) request.isolation_level = isolation;
      request.topics.emplace_back().name = "t";
      request.topics[0].partitions.push_back({1, -1, kLatest});
      const auto told = ask<ListOffsetsResponse>(version, request).topics.at(0).partitions.at(0);
      EXPECT_EQ(name(told.error_code), "NONE");
      EXPECT_EQ(told.offset, 2) << version;
      EXPECT_EQ(told.leader_epoch >= 0, version >= 4);
    }
  }
}

// Traps 26 and 28.
TEST_P(WireOffsets, QuestionsAreRefusedForAnotherEpochOrAnUnknownPartition) {
  create_topic("t");
  restart(End::stop);
  const int32_t epoch = list_offset("t", 0, kLatest).leader_epoch;
  auto error_with = [&](int32_t current, int32_t index = 0) {
    ListOffsetsRequest request;
    request.topics.emplace_back().name = "t";
    request.topics[0].partitions.push_back({index, current, kLatest});
    return name(ask<ListOffsetsResponse>(5, request).topics.at(0).partitions.at(0).error_code);
  };
  EXPECT_EQ(error_with(epoch), "NONE");
  EXPECT_EQ(error_with(epoch - 1), "FENCED_LEADER_EPOCH");
  EXPECT_EQ(error_with(epoch + 1), "UNKNOWN_LEADER_EPOCH");
  EXPECT_EQ(error_with(-1, 4), "UNKNOWN_TOPIC_OR_PARTITION");
  EXPECT_EQ(name(list_offset("none", 0, kLatest).error_code), "UNKNOWN_TOPIC_OR_PARTITION");
  EXPECT_EQ(name(end_of_epoch(epoch, epoch).error_code), "NONE");
  EXPECT_EQ(name(end_of_epoch(epoch, epoch - 1).error_code), "FENCED_LEADER_EPOCH");
  EXPECT_EQ(name(end_of_epoch(epoch, epoch + 1).error_code), "UNKNOWN_LEADER_EPOCH");
  EXPECT_EQ(name(end_of_epoch(epoch, -1, 4).error_code), "UNKNOWN_TOPIC_OR_PARTITION");
}

// Trap 27.
TEST_P(WireOffsets, AnEpochEndsWhereTheNextOneWithRecordsBegins) {
  create_topic("t");
  std::vector<std::pair<int32_t, int64_t>> ends;  // of the epochs with records
  int64_t end = 0;
  for (End how : {End::stop, End::kill, End::crash}) {
    (void)produce("t", 0, batch({"a", "b"}));
    end += 2;
    ends.emplace_back(list_offset("t", 0, kLatest).leader_epoch, end);
    restart(how);
    restart(how);  // an epoch without records
  }
  (void)produce("t", 0, batch({"last"}));
  const int32_t current = list_offset("t", 0, kLatest).leader_epoch;
  for (int16_t version : {2, 3, 4}) {
    for (const auto& [epoch, wanted] : ends) {
      for (int32_t asked : {epoch, epoch + 1}) {
        const auto told = end_of_epoch(asked, -1, 0, version);
        EXPECT_EQ(name(told.error_code), "NONE");
        EXPECT_EQ(told.leader_epoch, epoch) << asked;
        EXPECT_EQ(told.end_offset, wanted) << asked;
      }
    }
    EXPECT_EQ(end_of_epoch(current, -1, 0, version).end_offset, end + 1);
    EXPECT_EQ(end_of_epoch(current, -1, 0, version).leader_epoch, current);
    const auto unknown = end_of_epoch(current + 1, -1, 0, version);
    EXPECT_EQ(name(unknown.error_code), "NONE");
    EXPECT_EQ(unknown.leader_epoch, -1);
    EXPECT_EQ(unknown.end_offset, -1);
  }
}

TEST_P(WireOffsets, DeletedRecordsStayDeleted) {
  create_topic("t", 2);
  for (int i = 0; i < 5; ++i) (void)produce("t", 1, batch({"v" + std::to_string(i)}));
  EXPECT_EQ(delete_before("t", 1, 2).low_watermark, 2);
  EXPECT_EQ(name(delete_before("t", 1, 1).error_code), "NONE");  // no way back, and no error
  EXPECT_EQ(delete_before("t", 1, 1).low_watermark, 2);
  for (int64_t bad : {int64_t{6}, INT64_MAX, int64_t{-2}}) {
    const auto refused = delete_before("t", 1, bad);
    EXPECT_EQ(name(refused.error_code), "OFFSET_OUT_OF_RANGE") << bad;
    EXPECT_EQ(refused.low_watermark, -1);
  }
  EXPECT_EQ(name(delete_before("t", 2, 0).error_code), "UNKNOWN_TOPIC_OR_PARTITION");
  for (End how : {End::crash, End::kill, End::stop}) {
    EXPECT_EQ(list_offset("t", 1, kEarliest).offset, 2);
    EXPECT_EQ(name(fetch("t", 1, 1).error_code), "OFFSET_OUT_OF_RANGE");
    EXPECT_THAT(values_from("t", 1, 2), ElementsAre("v2", "v3", "v4"));
    restart(how);
  }
  EXPECT_EQ(delete_before("t", 1, -1).low_watermark, 5);  // all there is
  EXPECT_EQ(list_offset("t", 1, kEarliest).offset, 5);
  EXPECT_EQ(produce("t", 1, batch({"next"})).base_offset, 5);
}

// What a log no longer has is not found by time either.
TEST_P(WireOffsets, TimesBelowTheStartAreNotFound) {
  const int64_t base = fill_with_times();
  (void)delete_before("t", 0, 1);
  EXPECT_EQ(at_time(base + 1000), std::pair(int64_t{1}, base + 1010));
  (void)delete_before("t", 0, 4);
  EXPECT_EQ(at_time(base + 1000), std::pair(int64_t{4}, base + 1025));
}

TEST_P(WireOffsets, RecordsOfTheCoordinatorsAreNotDeletedByClients) {
  protocol::FindCoordinatorRequest find;
  find.key = "g";
  (void)ask<protocol::FindCoordinatorResponse>(2, find);
  EXPECT_EQ(name(delete_before("__consumer_offsets", 0, -1).error_code), "POLICY_VIOLATION");
}

}  // namespace
}  // namespace paceline::sim
