#include <gmock/gmock.h>

#include <set>

#include "protocol/gen/describe_producers.h"
#include "protocol/gen/init_producer_id.h"
#include "sim/wire_world_test.h"

// Idempotent producers: what a retry gets, and what is refused, over every kind of restart.

namespace paceline::sim {
namespace {

using protocol::InitProducerIdRequest;
using protocol::InitProducerIdResponse;
using testing::ElementsAre;

class WireIdempotence : public WireTest {
 protected:
  InitProducerIdResponse new_producer(int16_t version = 4) {
    InitProducerIdRequest request;
    request.transactional_id = std::nullopt;
    request.transaction_timeout_ms = INT32_MAX;
    return ask<InitProducerIdResponse>(version, request);
  }
  std::string records(int64_t id, int16_t epoch, int32_t sequence, int count = 1) {
    auto builder =
        batch(std::vector<std::string>(static_cast<size_t>(count), "s" + std::to_string(sequence)));
    return *builder.producer(record::ProducerId(id), epoch, sequence).build();
  }
  Produced send(int64_t id, int16_t epoch, int32_t sequence, int count = 1) {
    return produce("t", 0, records(id, epoch, sequence, count));
  }
  std::string error_of(int64_t id, int16_t epoch, int32_t sequence, int count = 1) {
    return name(send(id, epoch, sequence, count).error_code);
  }
};
PACELINE_ON_ONE_AND_TWO_SHARDS(WireIdempotence);

// Trap 19.
TEST_P(WireIdempotence, EveryProducerGetsAnIdOfItsOwnOverAllLivesOfTheBroker) {
  std::set<int64_t> ids;
  size_t asked = 0;
  for (End how : {End::stop, End::kill, End::crash}) {
    for (int16_t version = 0; version <= 5; ++version) {
      auto made = new_producer(version);
      EXPECT_EQ(name(made.error_code), "NONE");
      EXPECT_GE(made.producer_id, 0);
      EXPECT_EQ(made.producer_epoch, 0);
      ids.insert(made.producer_id);
      ++asked;
    }
    restart(how);
  }
  EXPECT_EQ(ids.size(), asked);
}

// Trap 19 (KIP-360): without a transactional id a recovery is a new producer.
TEST_P(WireIdempotence, AProducerThatAsksAgainGetsSomethingItCanStartOverWith) {
  create_topic("t");
  const int64_t id = new_producer().producer_id;
  EXPECT_EQ(error_of(id, 0, 0), "NONE");
  InitProducerIdRequest request;
  request.transactional_id = std::nullopt;
  request.producer_id = id;
  request.producer_epoch = 0;
  auto again = ask<InitProducerIdResponse>(4, request);
  EXPECT_EQ(name(again.error_code), "NONE");
  EXPECT_TRUE(again.producer_id != id || again.producer_epoch > 0);
  EXPECT_EQ(error_of(again.producer_id, again.producer_epoch, 0), "NONE");
}

// Trap 19.
TEST_P(WireIdempotence, TransactionalIdsAreRefused) {
  InitProducerIdRequest request;
  request.transaction_timeout_ms = 60'000;
  request.transactional_id = "";
  EXPECT_EQ(name(ask<InitProducerIdResponse>(4, request).error_code), "INVALID_REQUEST");
  request.transactional_id = "txn";
  for (int16_t version : {0, 4, 5}) {
    auto refused = ask<InitProducerIdResponse>(version, request);
    EXPECT_EQ(name(refused.error_code), "TRANSACTIONAL_ID_AUTHORIZATION_FAILED");
    EXPECT_EQ(refused.producer_id, -1);
    EXPECT_EQ(refused.producer_epoch, -1);
  }
}

// Trap 16.
TEST_P(WireIdempotence, ARetryGetsTheFirstOffsetAndNoSecondRecord) {
  create_topic("t");
  const int64_t id = new_producer().producer_id;
  EXPECT_EQ(send(id, 0, 0, 3).base_offset, 0);
  EXPECT_EQ(send(id, 0, 3, 2).base_offset, 3);
  for (int i = 0; i < 3; ++i) {
    const Produced retry = send(id, 0, 0, 3);
    EXPECT_EQ(name(retry.error_code), "NONE");
    EXPECT_EQ(retry.base_offset, 0);
    EXPECT_EQ(send(id, 0, 3, 2).base_offset, 3);
  }
  EXPECT_EQ(list_offset("t", 0, -1).offset, 5);
}

// Trap 16.
TEST_P(WireIdempotence, TheLastFiveBatchesAreRemembered) {
  create_topic("t");
  const int64_t id = new_producer().producer_id;
  for (int32_t sequence = 0; sequence < 8; ++sequence)
    EXPECT_EQ(send(id, 0, sequence).base_offset, sequence);
  for (int32_t sequence = 3; sequence < 8; ++sequence)
    EXPECT_EQ(send(id, 0, sequence).base_offset, sequence);
  EXPECT_EQ(error_of(id, 0, 2), "OUT_OF_ORDER_SEQUENCE_NUMBER");
  // Of another length it is not the same batch.
  EXPECT_EQ(error_of(id, 0, 6, 2), "OUT_OF_ORDER_SEQUENCE_NUMBER");
  EXPECT_EQ(list_offset("t", 0, -1).offset, 8);
}

// Trap 16.
TEST_P(WireIdempotence, AGapIsRefusedUntilItIsFilled) {
  create_topic("t");
  const int64_t id = new_producer().producer_id;
  EXPECT_EQ(error_of(id, 0, 0), "NONE");
  EXPECT_EQ(error_of(id, 0, 2), "OUT_OF_ORDER_SEQUENCE_NUMBER");
  EXPECT_EQ(error_of(id, 0, 1), "NONE");
  EXPECT_EQ(error_of(id, 0, 2), "NONE");
  EXPECT_THAT(values_from("t", 0), ElementsAre("s0", "s1", "s2"));
}

// Traps 16 and 17.
TEST_P(WireIdempotence, ANewEpochStartsAtZeroAndFencesTheOldOne) {
  create_topic("t");
  const int64_t id = new_producer().producer_id;
  EXPECT_EQ(error_of(id, 0, 0), "NONE");
  EXPECT_EQ(error_of(id, 1, 1), "OUT_OF_ORDER_SEQUENCE_NUMBER");
  EXPECT_EQ(error_of(id, 1, 0), "NONE");
  EXPECT_EQ(error_of(id, 0, 1), "INVALID_PRODUCER_EPOCH");
  EXPECT_EQ(error_of(id, 1, 1), "NONE");
  restart(End::crash);
  EXPECT_EQ(error_of(id, 0, 1), "INVALID_PRODUCER_EPOCH");
  EXPECT_EQ(error_of(id, 1, 2), "NONE");
}

// Trap 16.
TEST_P(WireIdempotence, SequencesWrapToZero) {
  create_topic("t");
  const int64_t id = new_producer().producer_id;
  EXPECT_EQ(error_of(id, 0, INT32_MAX - 1), "NONE");  // an unknown producer starts anywhere
  EXPECT_EQ(error_of(id, 0, INT32_MAX, 3), "NONE");   // INT32_MAX, 0, 1
  EXPECT_EQ(send(id, 0, INT32_MAX, 3).base_offset, 1);
  EXPECT_EQ(error_of(id, 0, 1), "OUT_OF_ORDER_SEQUENCE_NUMBER");
  EXPECT_EQ(error_of(id, 0, 2), "NONE");
  restart(End::kill);
  EXPECT_EQ(send(id, 0, INT32_MAX, 3).base_offset, 1);
  EXPECT_EQ(error_of(id, 0, 3), "NONE");
}

// Traps 16 and 18: producer state is part of the data.
TEST_P(WireIdempotence, ARetryAfterARestartGetsTheFirstOffset) {
  create_topic("t");
  const int64_t id = new_producer().producer_id;
  int32_t next = 0;
  for (End how : {End::stop, End::kill, End::crash, End::stop, End::crash}) {
    for (int i = 0; i < 3; ++i, ++next) EXPECT_EQ(send(id, 0, next).base_offset, next);
    restart(how);
    for (int32_t last = next - 3; last < next; ++last)
      EXPECT_EQ(send(id, 0, last).base_offset, last) << "of " << next;
    EXPECT_EQ(error_of(id, 0, next + 1), "OUT_OF_ORDER_SEQUENCE_NUMBER");
  }
  EXPECT_EQ(list_offset("t", 0, -1).offset, next);
}

// The answer never came: the broker died with the request, or just after it.
TEST_P(WireIdempotence, ARequestUnderWayInACrashIsThereOnceAfterItsRetry) {
  create_topic("t");
  const int64_t id = new_producer().producer_id;
  for (int32_t sequence = 0; sequence < 20; ++sequence) {
    const std::string batch = records(id, 0, sequence);
    auto lost = begin<protocol::ProduceResponse>(client(), 9, produce_request("t", 0, batch));
    world_.run_for(std::chrono::microseconds(150 * sequence));
    restart(sequence % 2 ? End::kill : End::crash);
    EXPECT_EQ(produce("t", 0, batch).base_offset, sequence);
  }
  EXPECT_EQ(values_from("t", 0).size(), 20u);
}

// Trap 16.
TEST_P(WireIdempotence, ARetryHearsTheOriginalAppendTime) {
  create_topic("t", 1, {{"message.timestamp.type", "LogAppendTime"}});
  const int64_t id = new_producer().producer_id;
  const Produced first = send(id, 0, 0);
  EXPECT_GT(first.log_append_time_ms, 0);
  world_.run_for(5s);
  EXPECT_EQ(send(id, 0, 0).log_append_time_ms, first.log_append_time_ms);
  restart(End::kill);
  EXPECT_EQ(send(id, 0, 0).log_append_time_ms, first.log_append_time_ms);
}

// A client that pipelines may send a batch again before the first one is durable.
TEST_P(WireIdempotence, TwoOfTheSameBatchInFlightAreOneRecord) {
  create_topic("t");
  const int64_t id = new_producer().producer_id;
  const std::string same = records(id, 0, 0);
  auto second = connect();
  auto one = begin<protocol::ProduceResponse>(client(), 9, produce_request("t", 0, same));
  auto two = begin<protocol::ProduceResponse>(*second, 9, produce_request("t", 0, same));
  for (auto& later : {one, two}) {
    auto answer = end(later);
    ASSERT_TRUE(answer);
    const Produced& told = answer->responses.at(0).partition_responses.at(0);
    EXPECT_EQ(name(told.error_code), "NONE");
    EXPECT_EQ(told.base_offset, 0);
  }
  EXPECT_EQ(list_offset("t", 0, -1).offset, 1);
}

// Trap 18. Time is that of the partition's appends, so that every replay of them agrees.
TEST_P(WireIdempotence, AnIdleProducerIsForgottenOnceOthersHaveGoneOn) {
  options().given["producer.id.expiration.ms"] = "60000";
  settings().retention_check_ms = 10'000;
  create_topic("t");
  EXPECT_EQ(error_of(7, 0, 0), "NONE");
  world_.run_for(30s);
  EXPECT_EQ(error_of(7, 0, 9), "OUT_OF_ORDER_SEQUENCE_NUMBER");
  world_.run_for(120s);
  EXPECT_EQ(error_of(8, 0, 0), "NONE");
  world_.run_for(40s);  // an upload, and a look at what is old
  EXPECT_EQ(error_of(8, 0, 9), "OUT_OF_ORDER_SEQUENCE_NUMBER");
  EXPECT_EQ(error_of(7, 0, 9), "NONE");
}

TEST_P(WireIdempotence, EveryPartitionHasSequencesOfItsOwnAndToolsSeeThem) {
  create_topic("t", 2);
  const int64_t id = new_producer().producer_id;
  EXPECT_EQ(error_of(id, 0, 0, 4), "NONE");
  EXPECT_EQ(name(produce("t", 1, records(id, 0, 0)).error_code), "NONE");
  protocol::DescribeProducersRequest request;
  auto& topic = request.topics.emplace_back();
  topic.name = "t";
  topic.partition_indexes = {0, 1, 2};
  auto answer = ask<protocol::DescribeProducersResponse>(0, request);
  const auto& told = answer.topics.at(0).partitions;
  ASSERT_EQ(told.size(), 3u);
  ASSERT_EQ(told[0].active_producers.size(), 1u);
  EXPECT_EQ(told[0].active_producers[0].producer_id, id);
  EXPECT_EQ(told[0].active_producers[0].last_sequence, 3);
  EXPECT_EQ(told[0].active_producers[0].current_txn_start_offset, -1);
  EXPECT_EQ(told[1].active_producers.at(0).last_sequence, 0);
  EXPECT_EQ(name(told[2].error_code), "UNKNOWN_TOPIC_OR_PARTITION");
}

}  // namespace
}  // namespace paceline::sim
