#include <gmock/gmock.h>

#include "protocol/gen/create_partitions.h"
#include "protocol/gen/create_topics.h"
#include "protocol/gen/list_partition_reassignments.h"
#include "sim/wire_cluster_test.h"

// What tools write down about who is to have a partition.

namespace paceline::sim {
namespace {

class WireAssignmentTest : public WireClusterTest {};
PACELINE_ON_ONE_AND_TWO_SHARDS(WireAssignmentTest);

TEST_P(WireAssignmentTest, WhoAssignsBrokersByHandGetsThem) {
  protocol::CreateTopicsRequest request;
  auto& topic = request.topics.emplace_back();
  topic.name = "t";
  topic.num_partitions = topic.replication_factor = -1;
  topic.assignments = {{0, {3, 1}}, {1, {2, 3}}};
  const auto create_as_asked = [&] {
    auto answer = ask_at<protocol::CreateTopicsResponse>(1, 7, request);
    const auto& told = answer.topics.at(0);
    return fmt::format("{} {}", name(told.error_code), told.error_message.value_or(""));
  };
  topic.assignments[1].broker_ids = {9, 3};
  EXPECT_EQ(create_as_asked(),
            "INVALID_REPLICA_ASSIGNMENT partition 1: broker 9 is not registered");
  topic.assignments[1].broker_ids = {2, 2};
  EXPECT_EQ(create_as_asked(), "INVALID_REPLICA_ASSIGNMENT partition 1: broker 2 is named twice");
  topic.assignments[1].broker_ids = {2};
  EXPECT_THAT(create_as_asked(), testing::HasSubstr("as many brokers as the first one"));
  topic.assignments[1].broker_ids = {2, 3};
  EXPECT_EQ(create_as_asked(), "NONE ");
  CHECK(world_.run_until([&] { return knows_everywhere("t"); }, kPatience));

  protocol::CreatePartitionsRequest growing;
  auto& more = growing.topics.emplace_back();
  more.name = "t";
  more.count = 3;
  more.assignments.emplace().emplace_back().broker_ids = {1, 9};
  const auto grow = [&] {
    return std::string(
        name(ask_at<protocol::CreatePartitionsResponse>(1, 1, growing).results.at(0).error_code));
  };
  EXPECT_EQ(grow(), "INVALID_REPLICA_ASSIGNMENT");
  more.assignments->front().broker_ids = {1, 2};
  EXPECT_EQ(grow(), "NONE");
  CHECK(world_.run_until(
      [&] { return host(3).server().node().image()->topic("t")->partitions.size() == 3; },
      kPatience));
  const std::vector<std::vector<BrokerId>> wanted{
      {BrokerId(3), BrokerId(1)}, {BrokerId(2), BrokerId(3)}, {BrokerId(1), BrokerId(2)}};
  for (size_t index = 0; index < 3; ++index) {
    EXPECT_EQ(leader("t", index), wanted[index].front().value);
    EXPECT_EQ(led("t", index, 3).replicas, wanted[index]);
    expect_produced(wanted[index].front().value, "t", static_cast<int32_t>(index), 0);
  }
}

// A tool that gives fewer brokers than the topic was created with looks whether they are shown.
TEST_P(WireAssignmentTest, AListThatAToolHasWrittenIsShownAsItIs) {
  create("t", 1);
  EXPECT_EQ(name(reassign(3, "t", 0, {2, 1})), "NONE");
  const std::vector<BrokerId> wanted{BrokerId(2), BrokerId(1)};
  CHECK(world_.run_until([&] { return led("t", 0, 3).replicas == wanted; }, kPatience));
}

TEST_P(WireAssignmentTest, ReassignmentsAreOrdersOfPreference) {
  create("t", 1);
  move("t", 0, 2);
  EXPECT_EQ(name(reassign(1, "t", 0, {3, 2, 1})), "NONE");
  EXPECT_EQ(leader("t", 0, 1), 2);  // in the list: it stays
  EXPECT_EQ(led("t", 0, 2).replicas, (std::vector{BrokerId(3), BrokerId(2), BrokerId(1)}));
  EXPECT_EQ(name(elect(1, "t", 0)), "NONE");
  world_.run_for(1s);
  EXPECT_EQ(leader("t", 0, 1), 3);
  EXPECT_EQ(name(elect(1, "t", 0)), "ELECTION_NOT_NEEDED");
  EXPECT_EQ(name(reassign(2, "t", 0, {1, 2})), "NONE");
  world_.run_for(1s);
  EXPECT_EQ(leader("t", 0), 1);  // not in the list: it gives way
  EXPECT_EQ(name(reassign(2, "t", 0, {9})), "INVALID_REPLICA_ASSIGNMENT");
  EXPECT_EQ(name(reassign(2, "no", 0, {1})), "UNKNOWN_TOPIC_OR_PARTITION");
  auto listed = ask_at<protocol::ListPartitionReassignmentsResponse>(
      1, 0, protocol::ListPartitionReassignmentsRequest{});
  EXPECT_EQ(listed.error_code, 0);
  EXPECT_TRUE(listed.topics.empty());
}

}  // namespace
}  // namespace paceline::sim
