#include <gmock/gmock.h>

#include "protocol/gen/delete_records.h"
#include "sim/wire_world_test.h"

// What consumers read, how much of it, and how long they wait.

namespace paceline::sim {
namespace {

using protocol::FetchRequest;
using protocol::FetchResponse;
using testing::ElementsAre;
using testing::IsEmpty;

class WireFetch : public WireTest {
 protected:
  static FetchRequest with_wait(FetchRequest request, int32_t max_wait_ms, int32_t min_bytes = 1) {
    request.max_wait_ms = max_wait_ms;
    request.min_bytes = min_bytes;
    return request;
  }
  static void add_partition(FetchRequest& request, int32_t index) {
    auto copy = request.topics[0].partitions[0];
    copy.partition = index;
    request.topics[0].partitions.push_back(copy);
  }
  // How long the broker takes to answer, in ms.
  int64_t time_of(const FetchRequest& request, FetchResponse* answer = nullptr) {
    (void)client();
    const env::Instant start = world_.now();
    auto got = ask<FetchResponse>(11, request);
    if (answer) *answer = std::move(got);
    return std::chrono::duration_cast<std::chrono::milliseconds>(world_.now() - start).count();
  }
  std::vector<size_t> batch_sizes(const Fetched& fetched) {
    std::vector<size_t> sizes;
    const std::string run = bytes_of(fetched);
    record::BatchCursor cursor(as_bytes(run));
    for (auto one = cursor.next(); one && *one; one = cursor.next())
      sizes.push_back((*one)->size());
    return sizes;
  }
};
PACELINE_ON_ONE_AND_TWO_SHARDS(WireFetch);

TEST_P(WireFetch, EveryVersionReadsTheSame) {
  const Uuid id = create_topic("t", 2);
  (void)produce("t", 1, batch({"a", "b"}));
  for (int16_t version = 4; version <= 17; ++version) {
    FetchRequest request = fetch_request("t", 1, 0);
    request.topics[0].topic_id = id;
    auto answer = ask<FetchResponse>(version, request);
    const Fetched fetched = only_partition(answer);
    EXPECT_EQ(name(fetched.error_code), "NONE") << version;
    EXPECT_EQ(records_of(fetched).size(), 2u) << version;
    EXPECT_EQ(fetched.high_watermark, 2);
    EXPECT_EQ(fetched.last_stable_offset, 2);
    EXPECT_EQ(fetched.log_start_offset, version >= 5 ? 0 : -1);
    if (version >= 13) {
      EXPECT_EQ(answer.responses.at(0).topic_id, id);
    } else {
      EXPECT_EQ(answer.responses.at(0).topic, "t");
    }
  }
}

// Trap 5: null breaks librdkafka. The records are the last thing in a partition.
TEST_P(WireFetch, RecordsThatAreNotThereAreEmptyAndNotNull) {
  create_topic("t");
  for (int32_t index : {0, 5}) {
    for (int16_t version : {4, 10, 11}) {
      auto frame = protocol::request_frame(version, 1, "x", fetch_request("t", index, 0));
      auto answer = exchange(protocol::join(*frame));
      ASSERT_TRUE(answer);
      EXPECT_EQ(answer->substr(answer->size() - 4), std::string(4, '\0')) << version;
    }
    auto frame = protocol::request_frame(12, 1, "x", fetch_request("t", index, 0));
    auto answer = exchange(protocol::join(*frame));
    ASSERT_TRUE(answer);
    // A compact length of 0, and the tags of partition, topic and answer.
    EXPECT_EQ(answer->substr(answer->size() - 4), std::string("\1\0\0\0", 4));
  }
}

// Trap 29.
TEST_P(WireFetch, TheFirstBatchComesWholeHoweverSmallTheLimits) {
  create_topic("t");
  (void)produce("t", 0, batch({std::string(5000, 'x')}));
  (void)produce("t", 0, batch({std::string(5000, 'y')}));
  FetchRequest request = fetch_request("t", 0, 0);
  for (auto [max_bytes, partition_max] : {std::pair{1, 1}, {1, 1 << 20}, {1 << 20, 1}, {0, 0}}) {
    request.max_bytes = max_bytes;
    request.topics[0].partitions[0].partition_max_bytes = partition_max;
    const Fetched fetched = only_partition(ask<FetchResponse>(11, request));
    EXPECT_EQ(records_of(fetched).size(), 1u) << max_bytes << ", " << partition_max;
  }
  request.max_bytes = request.topics[0].partitions[0].partition_max_bytes = 1 << 20;
  EXPECT_EQ(records_of(only_partition(ask<FetchResponse>(11, request))).size(), 2u);
}

// Trap 29: only the first partition with data may go over the limit.
TEST_P(WireFetch, TheLimitOfTheAnswerIsSharedByItsPartitions) {
  create_topic("t", 4);
  for (int32_t index = 1; index < 4; ++index)
    (void)produce("t", index, batch({std::string(5000, 'x')}));
  FetchRequest request = fetch_request("t", 0, 0);
  for (int32_t index = 1; index < 4; ++index) add_partition(request, index);
  auto count = [&](int32_t max_bytes) {
    request.max_bytes = max_bytes;
    size_t full = 0;
    auto answer = ask<FetchResponse>(11, request);
    EXPECT_EQ(answer.responses.at(0).partitions.size(), 4u);
    for (const auto& one : answer.responses.at(0).partitions) full += !bytes_of(one).empty();
    return full;
  };
  EXPECT_EQ(count(1), 1u);
  EXPECT_EQ(count(12'000), 2u);
  EXPECT_EQ(count(1 << 20), 3u);
}

// Trap 30.
TEST_P(WireFetch, TheBrokersOwnLimitCapsAnAnswer) {
  settings().fetch_bytes_max = 12'000;
  create_topic("t");
  for (int i = 0; i < 5; ++i) (void)produce("t", 0, batch({std::string(5000, 'x')}));
  const Fetched fetched = fetch("t", 0, 0);
  EXPECT_EQ(batch_sizes(fetched).size(), 2u);
}

// Trap 29.
TEST_P(WireFetch, AnOffsetInsideABatchReturnsThatWholeBatch) {
  create_topic("t");
  (void)produce("t", 0, batch({"a", "b", "c"}));
  (void)produce("t", 0, batch({"d", "e"}));
  for (int64_t from = 0; from < 3; ++from) {
    const auto records = records_of(fetch("t", 0, from));
    ASSERT_EQ(records.size(), 5u);
    EXPECT_EQ(records[0].offset, 0);
  }
  for (int64_t from : {3, 4}) EXPECT_EQ(records_of(fetch("t", 0, from)).at(0).offset, 3);
}

// Trap 29.
TEST_P(WireFetch, OffsetsOutsideOfTheLogAreOutOfRangeAndItsEndIsNot) {
  create_topic("t");
  (void)produce("t", 0, batch({"a", "b", "c"}));
  (void)produce("t", 0, batch({"d"}));
  protocol::DeleteRecordsRequest trim;
  auto& topic = trim.topics.emplace_back();
  topic.name = "t";
  topic.partitions.push_back({0, 2});
  (void)ask<protocol::DeleteRecordsResponse>(1, trim);
  for (int64_t bad : {int64_t{0}, int64_t{1}, int64_t{5}, int64_t{-1}, INT64_MAX, INT64_MIN}) {
    const Fetched fetched = fetch("t", 0, bad);
    EXPECT_EQ(name(fetched.error_code), "OFFSET_OUT_OF_RANGE") << bad;
    EXPECT_THAT(fetched.records, IsEmpty());
  }
  // The start lies inside a batch, which still comes whole.
  EXPECT_EQ(records_of(fetch("t", 0, 2)).size(), 4u);
  EXPECT_EQ(fetch("t", 0, 2).log_start_offset, 2);
  const Fetched at_end = fetch("t", 0, 4);
  EXPECT_EQ(name(at_end.error_code), "NONE");
  EXPECT_THAT(at_end.records, IsEmpty());
}

// Trap 30.
TEST_P(WireFetch, ALongPollEndsAtItsDeadlineWithNothing) {
  create_topic("t");
  FetchResponse answer;
  const int64_t took = time_of(with_wait(fetch_request("t", 0, 0), 500), &answer);
  EXPECT_GE(took, 500);
  EXPECT_LT(took, 700);
  EXPECT_EQ(name(only_partition(answer).error_code), "NONE");
  EXPECT_THAT(only_partition(answer).records, IsEmpty());
}

// Trap 30.
TEST_P(WireFetch, WhatNeedNotWaitIsAnsweredAtOnce) {
  create_topic("t");
  (void)produce("t", 0, batch({"x"}));
  constexpr int64_t kAtOnce = 50;
  EXPECT_LT(time_of(with_wait(fetch_request("t", 0, 0), 10'000)), kAtOnce);  // there is data
  EXPECT_LT(time_of(with_wait(fetch_request("t", 0, 1), 0)), kAtOnce);       // no wait wanted
  EXPECT_LT(time_of(with_wait(fetch_request("t", 0, 1), 10'000, 0)), kAtOnce);
  FetchRequest nothing = with_wait(FetchRequest{}, 10'000);
  EXPECT_LT(time_of(nothing), kAtOnce);
  EXPECT_LT(time_of(with_wait(fetch_request("t", 9, 0), 10'000)), kAtOnce);  // an error
  EXPECT_LT(time_of(with_wait(fetch_request("t", 0, 99), 10'000)), kAtOnce);
  FetchRequest one_bad = with_wait(fetch_request("t", 0, 1), 10'000);
  add_partition(one_bad, 9);
  EXPECT_LT(time_of(one_bad), kAtOnce);
}

// Trap 30.
TEST_P(WireFetch, ALongPollIsWokenByAnyOfItsPartitions) {
  create_topic("t", 4);
  auto writer = connect();
  for (int32_t written = 0; written < 4; ++written) {
    FetchRequest request = with_wait(fetch_request("t", 0, written > 0), 30'000);
    for (int32_t index = 1; index < 4; ++index) {
      add_partition(request, index);
      request.topics[0].partitions.back().fetch_offset = index < written;
    }
    auto poll = begin<FetchResponse>(client(), 11, request);
    world_.run_for(1s);
    EXPECT_FALSE(poll->has_value());
    const std::string records = *batch({"wake"}).build();
    auto wrote =
        begin<protocol::ProduceResponse>(*writer, 9, produce_request("t", written, records));
    EXPECT_TRUE(world_.run_until([&] { return poll->has_value(); }, 100ms));
    auto answer = end(poll);
    ASSERT_TRUE(answer);
    EXPECT_EQ(
        records_of(answer->responses.at(0).partitions.at(static_cast<size_t>(written))).size(), 1u);
    ASSERT_TRUE(end(wrote));
  }
}

// Trap 30.
TEST_P(WireFetch, ALongPollWaitsUntilThereIsEnough) {
  create_topic("t");
  auto writer = connect();
  auto poll =
      begin<FetchResponse>(client(), 11, with_wait(fetch_request("t", 0, 0), 30'000, 10'000));
  const std::string records = *batch({std::string(4000, 'x')}).build();
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(poll->has_value()) << i;
    ASSERT_TRUE(
        end(begin<protocol::ProduceResponse>(*writer, 9, produce_request("t", 0, records))));
    world_.run_for(100ms);
  }
  ASSERT_TRUE(poll->has_value());
  auto answer = end(poll);
  ASSERT_TRUE(answer);
  EXPECT_EQ(batch_sizes(only_partition(*answer)).size(), 3u);
}

// A consumer must not hold up the end of its broker, nor one that is gone its memory.
TEST_P(WireFetch, ALongPollDoesNotHoldUpTheEndOfTheBroker) {
  create_topic("t");
  auto poll = begin<FetchResponse>(client(), 11, with_wait(fetch_request("t", 0, 0), 60'000));
  world_.run_for(1s);
  broker_.begin_stop();
  EXPECT_TRUE(world_.run_until([&] { return !broker_.running(); }, 5s));
}

// Trap 28 and 48.
TEST_P(WireFetch, AnUnknownTopicHasItsOwnErrorByNameAndById) {
  create_topic("t");
  EXPECT_EQ(name(fetch("none", 0, 0).error_code), "UNKNOWN_TOPIC_OR_PARTITION");
  EXPECT_EQ(name(fetch("t", 7, 0).error_code), "UNKNOWN_TOPIC_OR_PARTITION");
  FetchRequest request = fetch_request("", 0, 0);
  request.topics[0].topic_id = Uuid::from_random(3, 4);
  for (int16_t version : {13, 17})
    EXPECT_EQ(name(only_partition(ask<FetchResponse>(version, request)).error_code),
              "UNKNOWN_TOPIC_ID");
}

// Trap 26.
TEST_P(WireFetch, ALeaderEpochOtherThanTheCurrentOneIsRefused) {
  create_topic("t");
  restart(End::stop);
  restart(End::stop);
  (void)produce("t", 0, batch({"x"}));
  const int32_t epoch = list_offset("t", 0, -1).leader_epoch;
  auto error_with = [&](int32_t current) {
    FetchRequest request = fetch_request("t", 0, 0);
    request.topics[0].partitions[0].current_leader_epoch = current;
    return name(only_partition(ask<FetchResponse>(11, request)).error_code);
  };
  EXPECT_EQ(error_with(-1), "NONE");
  EXPECT_EQ(error_with(epoch), "NONE");
  EXPECT_EQ(error_with(epoch - 1), "FENCED_LEADER_EPOCH");
  EXPECT_EQ(error_with(0), "FENCED_LEADER_EPOCH");
  EXPECT_EQ(error_with(epoch + 1), "UNKNOWN_LEADER_EPOCH");
}

// Traps 21 and 22.
TEST_P(WireFetch, AbortedTransactionsAreNullForTheUncommittedAndAListForTheCommitted) {
  create_topic("t");
  (void)produce("t", 0, batch({"x"}));
  FetchRequest request = fetch_request("t", 0, 0);
  for (int16_t version : {4, 11, 12}) {
    request.isolation_level = 0;
    EXPECT_FALSE(only_partition(ask<FetchResponse>(version, request)).aborted_transactions);
    request.isolation_level = 1;
    const Fetched committed = only_partition(ask<FetchResponse>(version, request));
    ASSERT_TRUE(committed.aborted_transactions);
    EXPECT_THAT(*committed.aborted_transactions, IsEmpty());
    EXPECT_EQ(committed.last_stable_offset, committed.high_watermark);
    EXPECT_EQ(records_of(committed).size(), 1u);
  }
}

// Trap 31: sessions are declined, so every answer has all partitions.
TEST_P(WireFetch, ATopicOfZstdNeedsVersion10) {
  create_topic("t", 1, {{"compression.type", "zstd"}});
  EXPECT_EQ(name(produce("t", 0, batch({"x"})).error_code), "NONE");
  EXPECT_EQ(name(fetch("t", 0, 0, 9).error_code), "UNSUPPORTED_COMPRESSION_TYPE");
  EXPECT_EQ(name(fetch("t", 0, 0, 10).error_code), "NONE");
}

TEST_P(WireFetch, SessionsAreDeclined) {
  create_topic("t", 2);
  FetchRequest request = fetch_request("t", 0, 0);
  add_partition(request, 1);
  for (int32_t epoch : {0, -1}) {
    request.session_epoch = epoch;
    for (int i = 0; i < 2; ++i) {
      auto answer = ask<FetchResponse>(11, request);
      EXPECT_EQ(name(answer.error_code), "NONE");
      EXPECT_EQ(answer.session_id, 0);
      EXPECT_EQ(answer.responses.at(0).partitions.size(), 2u);
    }
  }
  request.session_id = 12345;
  request.session_epoch = 1;
  auto unknown = ask<FetchResponse>(11, request);
  EXPECT_EQ(name(unknown.error_code), "FETCH_SESSION_ID_NOT_FOUND");
  EXPECT_THAT(unknown.responses, IsEmpty());
}

TEST_P(WireFetch, NobodyReplicatesFromThisBroker) {
  create_topic("t");
  (void)produce("t", 0, batch({"x"}));
  FetchRequest request = fetch_request("t", 0, 0);
  request.replica_id = 2;
  const Fetched fetched = only_partition(ask<FetchResponse>(11, request));
  EXPECT_EQ(name(fetched.error_code), "CLUSTER_AUTHORIZATION_FAILED");
  EXPECT_THAT(fetched.records, IsEmpty());
}

TEST_P(WireFetch, OldRecordsAreReadFromTheObjectsAfterEveryRestart) {
  settings().fetch_bytes_max = 1 << 20;
  options().memory_bytes = 1 << 20;
  create_topic("t");
  std::vector<std::string> all;
  for (End how : {End::stop, End::kill, End::crash}) {
    for (int i = 0; i < 5; ++i) {
      all.push_back("v" + std::to_string(all.size()));
      EXPECT_EQ(name(produce("t", 0, batch({all.back()})).error_code), "NONE");
    }
    world_.run_for(30s);  // an upload by age
    restart(how);
    EXPECT_EQ(values_from("t", 0), all);
  }
}

}  // namespace
}  // namespace paceline::sim
