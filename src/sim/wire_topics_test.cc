#include <gmock/gmock.h>

#include "protocol/gen/alter_replica_log_dirs.h"
#include "protocol/gen/create_partitions.h"
#include "protocol/gen/delete_topics.h"
#include "protocol/gen/describe_log_dirs.h"
#include "protocol/gen/metadata.h"
#include "protocol/gen/offset_commit.h"
#include "protocol/gen/offset_fetch.h"
#include "sim/wire_world_test.h"

// The life of topics: made, grown, deleted, made again.

namespace paceline::sim {
namespace {

using protocol::CreatePartitionsRequest;
using protocol::CreatePartitionsResponse;
using protocol::CreateTopicsRequest;
using protocol::CreateTopicsResponse;
using protocol::DeleteTopicsRequest;
using protocol::DeleteTopicsResponse;
using testing::ElementsAre;
using testing::IsEmpty;

class WireTopics : public WireTest {
 protected:
  static CreateTopicsRequest one_topic(std::string_view topic, int32_t partitions = 1,
                                       int16_t replicas = 1) {
    CreateTopicsRequest request;
    auto& one = request.topics.emplace_back();
    one.name = topic;
    one.num_partitions = partitions;
    one.replication_factor = replicas;
    return request;
  }
  std::string error_of(const CreateTopicsRequest& request, int16_t version = 5) {
    return name(ask<CreateTopicsResponse>(version, request).topics.at(0).error_code);
  }
  std::string delete_topic(std::string_view topic, int16_t version = 4) {
    DeleteTopicsRequest request;
    request.timeout_ms = 30'000;
    if (version >= 6) {
      request.topics.emplace_back().name = topic;
    } else {
      request.topic_names = {topic};
    }
    return name(ask<DeleteTopicsResponse>(version, request).responses.at(0).error_code);
  }
  std::vector<std::string> topics() {
    protocol::MetadataRequest request;
    request.topics = std::nullopt;
    std::vector<std::string> names;
    for (const auto& topic : ask<protocol::MetadataResponse>(9, request).topics)
      names.push_back(*topic.name);
    return names;
  }
  std::string grow(std::string_view topic, int32_t count, bool validate_only = false) {
    CreatePartitionsRequest request;
    request.validate_only = validate_only;
    request.timeout_ms = 30'000;
    auto& one = request.topics.emplace_back();
    one.name = topic;
    one.count = count;
    one.assignments = std::nullopt;
    return name(ask<CreatePartitionsResponse>(3, request).results.at(0).error_code);
  }
};
PACELINE_ON_ONE_AND_TWO_SHARDS(WireTopics);

TEST_P(WireTopics, ANewTopicTakesRecordsAtOnceInEveryVersion) {
  for (int16_t version = 2; version <= 7; ++version) {
    const std::string topic = "t" + std::to_string(version);
    auto answer = ask<CreateTopicsResponse>(version, one_topic(topic, 2));
    const auto& made = answer.topics.at(0);
    EXPECT_EQ(name(made.error_code), "NONE");
    EXPECT_EQ(name(produce(topic, 1, batch({"x"})).error_code), "NONE");
    EXPECT_EQ(made.topic_id.is_zero(), version < 7);
  }
}

// Trap 5: null breaks Java's topic tool.
TEST_P(WireTopics, AnAnswerNamesTheConfigurationEvenIfItRefuses) {
  for (int16_t version : {5, 6, 7}) {
    const std::string topic = "t" + std::to_string(version);
    auto request = one_topic(topic, 3);
    request.topics[0].configs.push_back({"retention.ms", "1234"});
    auto answer = ask<CreateTopicsResponse>(version, request);
    const auto& made = answer.topics.at(0);
    EXPECT_EQ(made.num_partitions, 3);
    EXPECT_EQ(made.replication_factor, 1);
    ASSERT_TRUE(made.configs);
    auto found = std::find_if(made.configs->begin(), made.configs->end(),
                              [](const auto& config) { return config.name == "retention.ms"; });
    ASSERT_TRUE(found != made.configs->end());
    EXPECT_EQ(found->value, "1234");
    EXPECT_EQ(found->config_source, 1);
    EXPECT_GT(made.configs->size(), 20u);
    EXPECT_TRUE(ask<CreateTopicsResponse>(version, request).topics.at(0).configs);
  }
}

// Trap 45.
TEST_P(WireTopics, MinusOneMeansTheBrokersDefaults) {
  settings().partitions_default = 4;
  settings().replication_factor_default = 1;
  auto answer = ask<CreateTopicsResponse>(5, one_topic("t", -1, -1));
  EXPECT_EQ(name(answer.topics.at(0).error_code), "NONE");
  EXPECT_EQ(answer.topics.at(0).num_partitions, 4);
  EXPECT_EQ(answer.topics.at(0).replication_factor, 1);
  EXPECT_EQ(name(produce("t", 3, batch({"x"})).error_code), "NONE");
}

// Trap 46.
TEST_P(WireTopics, ReplicationFactorsAboveTheBrokersAreAccepted) {
  EXPECT_EQ(error_of(one_topic("t", 1, 3)), "NONE");
  EXPECT_EQ(error_of(one_topic("u", 1, 0)), "INVALID_REPLICATION_FACTOR");
  EXPECT_EQ(error_of(one_topic("u", 1, -2)), "INVALID_REPLICATION_FACTOR");
}

TEST_P(WireTopics, WhatCannotBeMadeIsRefusedWithKafkasErrors) {
  create_topic("a.b");
  EXPECT_EQ(error_of(one_topic("a.b")), "TOPIC_ALREADY_EXISTS");
  EXPECT_EQ(error_of(one_topic("a_b")), "INVALID_TOPIC_EXCEPTION");
  for (std::string_view bad : {"", ".", "..", "a b", "\xc3\xa4"})
    EXPECT_EQ(error_of(one_topic(bad)), "INVALID_TOPIC_EXCEPTION") << bad;
  EXPECT_EQ(error_of(one_topic(std::string(250, 'x'))), "INVALID_TOPIC_EXCEPTION");
  EXPECT_EQ(error_of(one_topic("__consumer_offsets")), "INVALID_TOPIC_EXCEPTION");
  EXPECT_EQ(error_of(one_topic("t", 0)), "INVALID_PARTITIONS");
  EXPECT_EQ(error_of(one_topic("t", -2)), "INVALID_PARTITIONS");
  EXPECT_EQ(error_of(one_topic("t", INT32_MAX)), "POLICY_VIOLATION");
  for (const auto& [key, value] : std::map<std::string_view, std::string_view>{
           {"no.such.key", "1"}, {"retention.ms", "soon"}, {"cleanup.policy", "shred"}}) {
    auto request = one_topic("t");
    request.topics[0].configs.push_back({key, value});
    EXPECT_EQ(error_of(request), "INVALID_CONFIG") << key;
  }
  EXPECT_THAT(topics(), ElementsAre("a.b"));
}

TEST_P(WireTopics, OneTopicsErrorIsNotAnothersAndNamesMayNotRepeat) {
  CreateTopicsRequest request = one_topic("good");
  for (std::string_view topic : {"b ad", "twice", "twice"}) {
    request.topics.push_back(request.topics[0]);
    request.topics.back().name = topic;
  }
  std::map<std::string, std::string> errors;
  for (const auto& topic : ask<CreateTopicsResponse>(7, request).topics)
    errors[topic.name] = name(topic.error_code);
  EXPECT_EQ(errors["good"], "NONE");
  EXPECT_EQ(errors["b ad"], "INVALID_TOPIC_EXCEPTION");
  EXPECT_EQ(errors["twice"], "INVALID_REQUEST");
  EXPECT_THAT(topics(), ElementsAre("good"));
}

// Trap 45.
TEST_P(WireTopics, ValidationAloneMakesNothing) {
  CreateTopicsRequest request = one_topic("t", 2);
  request.validate_only = true;
  auto answer = ask<CreateTopicsResponse>(7, request);
  EXPECT_EQ(name(answer.topics.at(0).error_code), "NONE");
  EXPECT_EQ(answer.topics.at(0).num_partitions, 2);
  EXPECT_TRUE(answer.topics.at(0).topic_id.is_zero());
  request.topics[0].num_partitions = 0;
  EXPECT_EQ(error_of(request), "INVALID_PARTITIONS");
  world_.run_for(1s);
  EXPECT_THAT(topics(), IsEmpty());
}

TEST_P(WireTopics, AssignmentsGiveTheNumberOfPartitions) {
  CreateTopicsRequest request = one_topic("t", -1, -1);
  request.topics[0].assignments.push_back({0, {1}});
  request.topics[0].assignments.push_back({1, {1}});
  EXPECT_EQ(error_of(request), "NONE");
  EXPECT_EQ(name(produce("t", 1, batch({"x"})).error_code), "NONE");
  request.topics[0].name = "u";
  request.topics[0].num_partitions = 2;
  EXPECT_EQ(error_of(request), "INVALID_REQUEST");
  request.topics[0].num_partitions = -1;
  request.topics[0].assignments[1].partition_index = 5;
  EXPECT_EQ(error_of(request), "INVALID_REPLICA_ASSIGNMENT");
}

// Trap 48.
TEST_P(WireTopics, ADeletedTopicIsGoneByNameAndByIdInEveryVersion) {
  for (int16_t version = 1; version <= 6; ++version) {
    const Uuid id = create_topic("t");
    (void)produce("t", 0, batch({"old"}));
    EXPECT_EQ(delete_topic("t", version), "NONE");
    EXPECT_EQ(name(fetch("t", 0, 0, 12).error_code), "UNKNOWN_TOPIC_OR_PARTITION");
    auto request = fetch_request("", 0, 0);
    request.topics[0].topic_id = id;
    EXPECT_EQ(name(only_partition(ask<protocol::FetchResponse>(13, request)).error_code),
              "UNKNOWN_TOPIC_ID");
    EXPECT_EQ(name(produce("t", 0, batch({"x"})).error_code), "UNKNOWN_TOPIC_OR_PARTITION");
  }
  EXPECT_EQ(delete_topic("t", 5), "UNKNOWN_TOPIC_OR_PARTITION");
}

// Trap 48.
TEST_P(WireTopics, ATopicMadeAgainIsAnotherOne) {
  const Uuid first = create_topic("t", 2);
  auto old = batch({"old"}).producer(record::ProducerId(5), 0, 0);
  EXPECT_EQ(produce("t", 0, old).base_offset, 0);
  EXPECT_EQ(delete_topic("t", 6), "NONE");
  const Uuid second = create_topic("t", 2);
  EXPECT_NE(first, second);
  for (End how : {End::crash, End::stop}) {
    EXPECT_THAT(values_from("t", 0), IsEmpty());
    EXPECT_EQ(list_offset("t", 0, -1).offset, 0);
    restart(how);
  }
  // Neither are its producers known here.
  EXPECT_EQ(produce("t", 0, batch({"new"}).producer(record::ProducerId(5), 0, 0)).base_offset, 0);
  EXPECT_THAT(values_from("t", 0), ElementsAre("new"));
}

TEST_P(WireTopics, ATopicIsDeletedByItsIdAndOnlyThatOne) {
  DeleteTopicsRequest request;
  request.timeout_ms = 30'000;
  const Uuid old = create_topic("t");
  request.topics.emplace_back().topic_id = old;
  auto deleted = ask<DeleteTopicsResponse>(6, request).responses.at(0);
  EXPECT_EQ(name(deleted.error_code), "NONE");
  EXPECT_EQ(deleted.name, "t");
  create_topic("t");
  EXPECT_EQ(name(ask<DeleteTopicsResponse>(6, request).responses.at(0).error_code),
            "UNKNOWN_TOPIC_ID");
  EXPECT_THAT(topics(), ElementsAre("t"));
}

TEST_P(WireTopics, CommittedOffsetsGoWithTheirTopic) {
  create_topic("t");
  create_topic("stays");
  protocol::OffsetCommitRequest commit;
  commit.group_id = "g";
  for (std::string_view topic : {"t", "stays"}) {
    auto& one = commit.topics.emplace_back();
    one.name = topic;
    one.partitions.emplace_back().committed_offset = 1;
  }
  (void)ask<protocol::OffsetCommitResponse>(7, commit);
  EXPECT_EQ(delete_topic("t"), "NONE");
  create_topic("t");
  protocol::OffsetFetchRequest fetch;
  fetch.group_id = "g";
  fetch.topics = std::nullopt;
  for (int round = 0; round < 2; ++round) {
    auto answer = ask<protocol::OffsetFetchResponse>(5, fetch);
    ASSERT_EQ(answer.topics.size(), 1u);
    EXPECT_EQ(answer.topics[0].name, "stays");
    restart(End::crash);
  }
}

TEST_P(WireTopics, WhatMayNotBeDeletedStays) {
  create_topic("t");
  protocol::OffsetCommitRequest commit;
  commit.group_id = "g";
  commit.topics.emplace_back().name = "t";
  commit.topics[0].partitions.emplace_back();
  (void)ask<protocol::OffsetCommitResponse>(7, commit);
  EXPECT_EQ(delete_topic("__consumer_offsets"), "INVALID_REQUEST");
  EXPECT_EQ(delete_topic("none"), "UNKNOWN_TOPIC_OR_PARTITION");
  settings().delete_topics = false;
  restart(End::stop);
  EXPECT_EQ(delete_topic("t", 5), "TOPIC_DELETION_DISABLED");
  EXPECT_EQ(topics().size(), 2u);
}

// Nobody should sit out the wait for data of a topic that is gone.
TEST_P(WireTopics, ALongPollHearsOfTheDeletionOfItsTopic) {
  create_topic("t");
  auto poller = connect();
  auto request = fetch_request("t", 0, 0);
  request.max_wait_ms = 60'000;
  auto poll = begin<protocol::FetchResponse>(*poller, 11, request);
  world_.run_for(1s);
  EXPECT_EQ(delete_topic("t"), "NONE");
  EXPECT_TRUE(world_.run_until([&] { return poll->has_value(); }, 1s));
  auto answer = end(poll);
  ASSERT_TRUE(answer);
  EXPECT_NE(name(only_partition(*answer).error_code), "NONE");
}

TEST_P(WireTopics, AGrownTopicTakesRecordsInItsNewPartitionsAtOnce) {
  create_topic("t", 2);
  (void)produce("t", 0, batch({"before"}));
  EXPECT_EQ(grow("t", 5, true), "NONE");
  EXPECT_EQ(name(produce("t", 4, batch({"x"})).error_code), "UNKNOWN_TOPIC_OR_PARTITION");
  EXPECT_EQ(grow("t", 5), "NONE");
  for (int32_t index = 2; index < 5; ++index)
    EXPECT_EQ(name(produce("t", index, batch({"x"})).error_code), "NONE");
  restart(End::crash);
  EXPECT_THAT(values_from("t", 0), ElementsAre("before"));
  EXPECT_THAT(values_from("t", 4), ElementsAre("x"));
}

TEST_P(WireTopics, ATopicOnlyGrows) {
  create_topic("t", 3);
  for (int32_t count : {3, 2, 0, -1}) EXPECT_EQ(grow("t", count), "INVALID_PARTITIONS");
  EXPECT_EQ(grow("none", 3), "UNKNOWN_TOPIC_OR_PARTITION");
  EXPECT_EQ(grow("t", INT32_MAX), "POLICY_VIOLATION");
  CreatePartitionsRequest request;
  auto& one = request.topics.emplace_back();
  one.name = "t";
  one.count = 5;
  one.assignments.emplace().emplace_back().broker_ids = {1};
  EXPECT_EQ(name(ask<CreatePartitionsResponse>(1, request).results.at(0).error_code),
            "INVALID_REPLICA_ASSIGNMENT");
}

// What lies there already may be sent there; there is no other place.
TEST_P(WireTopics, EverythingLiesInTheOnePlaceThatToolsAreTold) {
  create_topic("t", 2);
  protocol::AlterReplicaLogDirsRequest request;
  for (const char* path : {"paceline:objects", "/somewhere/else"}) {
    auto& dir = request.dirs.emplace_back();
    dir.path = path;
    auto& topic = dir.topics.emplace_back();
    topic.name = "t";
    topic.partitions = {1, 2};
  }
  for (int16_t version = 1; version <= 2; ++version) {
    const auto answer = ask<protocol::AlterReplicaLogDirsResponse>(version, request);
    std::vector<std::string> told;
    for (const auto& result : answer.results)
      for (const auto& one : result.partitions) told.emplace_back(name(one.error_code));
    EXPECT_THAT(told, ElementsAre("NONE", "UNKNOWN_TOPIC_OR_PARTITION", "LOG_DIR_NOT_FOUND",
                                  "UNKNOWN_TOPIC_OR_PARTITION"));
  }
}

TEST_P(WireTopics, TheSizeOfPartitionsIsTold) {
  create_topic("t", 2);
  (void)produce("t", 1, batch({std::string(1000, 'x')}));
  protocol::DescribeLogDirsRequest request;
  request.topics = std::nullopt;
  for (int16_t version = 1; version <= 4; ++version) {
    auto answer = ask<protocol::DescribeLogDirsResponse>(version, request);
    ASSERT_EQ(answer.results.size(), 1u);
    EXPECT_EQ(name(answer.results[0].error_code), "NONE");
    std::map<int32_t, int64_t> sizes;
    for (const auto& one : answer.results[0].topics.at(0).partitions)
      sizes[one.partition_index] = one.partition_size;
    EXPECT_EQ(sizes.size(), 2u);
    EXPECT_EQ(sizes[0], 0);
    EXPECT_GT(sizes[1], 1000);
  }
  request.topics.emplace().emplace_back().topic = "none";
  EXPECT_THAT(ask<protocol::DescribeLogDirsResponse>(1, request).results.at(0).topics, IsEmpty());
}

}  // namespace
}  // namespace paceline::sim
