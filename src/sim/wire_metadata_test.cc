#include <gmock/gmock.h>

#include "protocol/gen/describe_cluster.h"
#include "protocol/gen/describe_topic_partitions.h"
#include "protocol/gen/find_coordinator.h"
#include "protocol/gen/metadata.h"
#include "sim/wire_world_test.h"

// What the cluster looks like to a client.

namespace paceline::sim {
namespace {

using protocol::MetadataRequest;
using protocol::MetadataResponse;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr int32_t kNotAsked = INT32_MIN;

class WireMetadata : public WireTest {
 protected:
  static MetadataRequest asking(std::vector<std::string_view> names) {
    MetadataRequest request;
    request.topics.emplace();
    for (std::string_view topic : names) request.topics->emplace_back().name = topic;
    return request;
  }
  static MetadataRequest asking_all() {
    MetadataRequest request;
    request.topics = std::nullopt;
    return request;
  }
  MetadataResponse metadata(int16_t version, const MetadataRequest& request) {
    return ask<MetadataResponse>(version, request);
  }
  std::vector<std::string> all_names() {
    std::vector<std::string> names;
    for (const auto& topic : metadata(9, asking_all()).topics) names.push_back(*topic.name);
    return names;
  }
  std::string error_of(int16_t version, std::string_view topic) {
    auto answer = metadata(version, asking({topic}));
    EXPECT_EQ(answer.topics.size(), 1u);
    return answer.topics.size() == 1 ? name(answer.topics[0].error_code) : "";
  }
};
PACELINE_ON_ONE_AND_TWO_SHARDS(WireMetadata);

// Trap 5.
TEST_P(WireMetadata, NoListMeansAllAndAnEmptyListNone) {
  create_topic("a");
  create_topic("b", 3);
  for (int16_t version : {1, 4, 8, 9, 12}) {
    EXPECT_EQ(metadata(version, asking_all()).topics.size(), 2u) << version;
    EXPECT_EQ(metadata(version, asking({})).topics.size(), 0u) << version;
  }
  EXPECT_EQ(metadata(0, asking({})).topics.size(), 2u);
}

// Traps 4 and 7: before version 4 there is no flag, and it means true.
TEST_P(WireMetadata, AnUnknownTopicIsCreatedInTheBackgroundFromTheOldestVersionOn) {
  settings().partitions_default = 3;
  for (int16_t version : {0, 1, 3, 4, 9}) {
    const std::string topic = "made-by-" + std::to_string(version);
    EXPECT_EQ(error_of(version, topic), "UNKNOWN_TOPIC_OR_PARTITION") << version;
    world_.run_for(1s);
    auto later = metadata(version, asking({topic}));
    EXPECT_EQ(name(later.topics.at(0).error_code), "NONE") << version;
    EXPECT_EQ(later.topics.at(0).partitions.size(), 3u) << version;
    EXPECT_EQ(name(produce(topic, 2, batch({"x"})).error_code), "NONE") << version;
  }
}

// Trap 7.
TEST_P(WireMetadata, NothingIsCreatedThatTheClientDidNotWant) {
  MetadataRequest request = asking({"unwanted"});
  request.allow_auto_topic_creation = false;
  for (int16_t version : {4, 9, 12}) {
    EXPECT_EQ(name(metadata(version, request).topics.at(0).error_code),
              "UNKNOWN_TOPIC_OR_PARTITION");
    (void)metadata(version, asking_all());
  }
  world_.run_for(1s);
  EXPECT_THAT(all_names(), IsEmpty());
}

// Trap 7.
TEST_P(WireMetadata, ABrokerThatMayNotCreateDoesNot) {
  settings().auto_create_topics = false;
  EXPECT_EQ(error_of(9, "a"), "UNKNOWN_TOPIC_OR_PARTITION");
  world_.run_for(1s);
  EXPECT_THAT(all_names(), IsEmpty());
}

// Trap 7.
TEST_P(WireMetadata, AnIllegalNameIsRefusedAndNotCreated) {
  const std::string longest(249, 'x');
  const std::string too_long(250, 'x');
  for (std::string_view bad : {"", ".", "..", "a b", "a/b", "\xc3\xa4", "a:", "a\n"})
    for (int16_t version : {0, 4, 9, 12})
      EXPECT_EQ(error_of(version, bad), "INVALID_TOPIC_EXCEPTION") << bad;
  EXPECT_EQ(error_of(9, too_long), "INVALID_TOPIC_EXCEPTION");
  EXPECT_EQ(error_of(9, longest), "UNKNOWN_TOPIC_OR_PARTITION");
  EXPECT_EQ(error_of(9, "...."), "UNKNOWN_TOPIC_OR_PARTITION");
  world_.run_for(1s);
  EXPECT_THAT(all_names(), testing::UnorderedElementsAre(longest, "...."));
}

// Trap 7: '.' and '_' are one in Kafka's metrics.
TEST_P(WireMetadata, ANameThatCollidesWithAnotherIsNotCreated) {
  create_topic("a.b");
  (void)error_of(9, "a_b");
  world_.run_for(1s);
  EXPECT_THAT(all_names(), ElementsAre("a.b"));
}

// Trap 6.
TEST_P(WireMetadata, TheControllerIsALiveBrokerThatTakesAdminCalls) {
  for (int16_t version : {1, 6, 9, 13}) {
    auto answer = metadata(version, asking_all());
    ASSERT_EQ(answer.brokers.size(), 1u);
    EXPECT_EQ(answer.controller_id, answer.brokers[0].node_id);
    EXPECT_EQ(answer.brokers[0].host, "broker");
    EXPECT_EQ(answer.brokers[0].port, BrokerHost::kPort);
  }
  create_topic("through-the-controller");
}

TEST_P(WireMetadata, TheClusterKeepsItsNameAndTopicsTheirIdsOverARestart) {
  const Uuid id = create_topic("t", 2);
  const auto before = metadata(12, asking({"t"}));
  ASSERT_TRUE(before.cluster_id);
  EXPECT_EQ(before.cluster_id->size(), 22u);
  for (End how : {End::stop, End::kill, End::crash}) {
    restart(how);
    const auto after = metadata(12, asking({"t"}));
    EXPECT_EQ(after.cluster_id, before.cluster_id);
    ASSERT_EQ(after.topics.size(), 1u);
    EXPECT_EQ(after.topics[0].topic_id, id);
    EXPECT_EQ(after.topics[0].partitions.size(), 2u);
  }
}

// Trap 26: it grows with every change of who writes.
TEST_P(WireMetadata, TheLeaderEpochGrowsWithEveryLifeOfTheBroker) {
  create_topic("t");
  int32_t before = metadata(9, asking({"t"})).topics.at(0).partitions.at(0).leader_epoch;
  EXPECT_GE(before, 0);
  for (End how : {End::stop, End::kill, End::crash}) {
    restart(how);
    const int32_t after = metadata(9, asking({"t"})).topics.at(0).partitions.at(0).leader_epoch;
    EXPECT_GT(after, before);
    before = after;
  }
}

// Trap 48 and KIP-516.
TEST_P(WireMetadata, ATopicIsFoundByItsId) {
  const Uuid id = create_topic("t");
  EXPECT_FALSE(id.is_zero());
  MetadataRequest request;
  request.topics.emplace().emplace_back().topic_id = id;
  auto answer = metadata(12, request);
  ASSERT_EQ(answer.topics.size(), 1u);
  EXPECT_EQ(name(answer.topics[0].error_code), "NONE");
  EXPECT_EQ(answer.topics[0].name, "t");
  EXPECT_EQ(metadata(10, asking({"t"})).topics.at(0).topic_id, id);

  request.topics->at(0).topic_id = Uuid::from_random(1, 2);
  answer = metadata(12, request);
  EXPECT_EQ(name(answer.topics.at(0).error_code), "UNKNOWN_TOPIC_ID");
}

// Trap 47.
TEST_P(WireMetadata, OperationsAreBitsAndOnlyToldWhenAsked) {
  create_topic("t");
  MetadataRequest request = asking({"t"});
  for (int16_t version : {8, 9, 10}) {
    auto quiet = metadata(version, request);
    EXPECT_EQ(quiet.cluster_authorized_operations, kNotAsked);
    EXPECT_EQ(quiet.topics.at(0).topic_authorized_operations, kNotAsked);
  }
  request.include_cluster_authorized_operations = true;
  request.include_topic_authorized_operations = true;
  auto told = metadata(9, request);
  // Bits of Kafka's AclOperation: read 3 .. alter-configs 11; idempotent-write 12 of a cluster.
  EXPECT_EQ(told.topics.at(0).topic_authorized_operations, 0b1101'1111'1000);
  EXPECT_EQ(told.cluster_authorized_operations, 0b1'1111'1010'0000);
}

// Traps 41 and 35.
TEST_P(WireMetadata, TheTopicOfTheCoordinatorsIsInternalAndHasItsPartitions) {
  settings().offsets_topic_partitions = 7;
  protocol::FindCoordinatorRequest find;
  find.key = "g";
  (void)ask<protocol::FindCoordinatorResponse>(2, find);
  create_topic("plain");
  for (const auto& topic : metadata(9, asking_all()).topics) {
    EXPECT_EQ(topic.is_internal, topic.name == "__consumer_offsets");
    EXPECT_EQ(topic.partitions.size(), topic.is_internal ? 7u : 1u);
  }
  EXPECT_EQ(all_names().size(), 2u);
}

// Trap 41: a client cannot make it by asking for it.
TEST_P(WireMetadata, AskingForTheTopicOfTheCoordinatorsDoesNotMakeAPlainOne) {
  (void)error_of(9, "__consumer_offsets");
  world_.run_for(1s);
  for (const auto& topic : metadata(9, asking_all()).topics) EXPECT_TRUE(topic.is_internal);
}

// Trap 46.
TEST_P(WireMetadata, EveryReplicaIsALiveBroker) {
  protocol::CreateTopicsRequest request;
  auto& one = request.topics.emplace_back();
  one.name = "t";
  one.num_partitions = 2;
  one.replication_factor = 3;
  (void)ask<protocol::CreateTopicsResponse>(5, request);
  auto answer = metadata(9, asking({"t"}));
  for (const auto& partition : answer.topics.at(0).partitions) {
    EXPECT_EQ(partition.leader_id, answer.brokers.at(0).node_id);
    EXPECT_THAT(partition.replica_nodes, testing::Each(partition.leader_id));
    EXPECT_FALSE(partition.replica_nodes.empty());
    EXPECT_EQ(partition.isr_nodes, partition.replica_nodes);
    EXPECT_THAT(partition.offline_replicas, IsEmpty());
  }
}

TEST_P(WireMetadata, DescribeClusterTellsWhatMetadataTells) {
  auto metadata_says = metadata(9, asking_all());
  protocol::DescribeClusterRequest request;
  for (int16_t version : {0, 1, 2}) {
    auto answer = ask<protocol::DescribeClusterResponse>(version, request);
    EXPECT_EQ(name(answer.error_code), "NONE");
    EXPECT_EQ(answer.cluster_id, *metadata_says.cluster_id);
    EXPECT_EQ(answer.controller_id, metadata_says.controller_id);
    ASSERT_EQ(answer.brokers.size(), 1u);
    EXPECT_EQ(answer.brokers[0].host, "broker");
    EXPECT_EQ(answer.brokers[0].port, BrokerHost::kPort);
    EXPECT_FALSE(answer.brokers[0].is_fenced);
    EXPECT_EQ(answer.cluster_authorized_operations, kNotAsked);
  }
  request.include_cluster_authorized_operations = true;
  EXPECT_EQ(ask<protocol::DescribeClusterResponse>(0, request).cluster_authorized_operations,
            0b1'1111'1010'0000);
  request.endpoint_type = 2;
  EXPECT_EQ(name(ask<protocol::DescribeClusterResponse>(1, request).error_code),
            "UNSUPPORTED_ENDPOINT_TYPE");
}

TEST_P(WireMetadata, DescribeTopicPartitionsGoesOnWhereItsCursorStands) {
  const Uuid id = create_topic("a", 3);
  create_topic("b", 2);
  protocol::DescribeTopicPartitionsRequest request;
  request.response_partition_limit = 2;
  std::vector<std::string> seen;
  int pages = 0;
  std::string cursor_topic;
  for (; pages < 10; ++pages) {
    auto page = ask<protocol::DescribeTopicPartitionsResponse>(0, request);
    for (const auto& topic : page.topics) {
      if (topic.name == "a") EXPECT_EQ(topic.topic_id, id);
      for (const auto& partition : topic.partitions) {
        seen.push_back(*topic.name + std::to_string(partition.partition_index));
        // The Java client fails on null.
        EXPECT_TRUE(partition.eligible_leader_replicas && partition.last_known_elr);
      }
    }
    if (!page.next_cursor) break;
    cursor_topic = page.next_cursor->topic_name;
    request.cursor = {cursor_topic, page.next_cursor->partition_index};
  }
  EXPECT_THAT(seen, ElementsAre("a0", "a1", "a2", "b0", "b1"));
  EXPECT_EQ(pages, 2);
}

TEST_P(WireMetadata, DescribeTopicPartitionsNamesWhatItCannotFind) {
  create_topic("a");
  protocol::DescribeTopicPartitionsRequest request;
  for (std::string_view topic : {"none", "b ad", "a"}) request.topics.emplace_back().name = topic;
  auto answer = ask<protocol::DescribeTopicPartitionsResponse>(0, request);
  std::map<std::string, std::string> errors;
  for (const auto& topic : answer.topics) errors[*topic.name] = name(topic.error_code);
  EXPECT_EQ(errors["a"], "NONE");
  EXPECT_EQ(errors["none"], "UNKNOWN_TOPIC_OR_PARTITION");
  EXPECT_EQ(errors["b ad"], "INVALID_TOPIC_EXCEPTION");
}

}  // namespace
}  // namespace paceline::sim
