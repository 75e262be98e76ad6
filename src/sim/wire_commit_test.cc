#include <gmock/gmock.h>

#include "protocol/gen/consumer_protocol.h"
#include "protocol/gen/offset_commit.h"
#include "protocol/gen/offset_delete.h"
#include "protocol/gen/offset_fetch.h"
#include "sim/wire_group_test.h"

// Offsets that groups commit, and get back.

namespace paceline::sim {
namespace {

using protocol::OffsetCommitRequest;
using protocol::OffsetCommitResponse;
using protocol::OffsetDeleteRequest;
using protocol::OffsetDeleteResponse;
using protocol::OffsetFetchRequest;
using protocol::OffsetFetchResponse;
using testing::ElementsAre;
using testing::IsEmpty;

class WireCommit : public WireGroupTest {
 protected:
  static OffsetCommitRequest commit_request(std::string_view group, std::string_view topic,
                                            int32_t index, int64_t offset,
                                            std::optional<std::string_view> metadata = "") {
    OffsetCommitRequest request;
    request.group_id = group;
    auto& one = request.topics.emplace_back();
    one.name = topic;
    auto& at = one.partitions.emplace_back();
    at.partition_index = index;
    at.committed_offset = offset;
    at.committed_metadata = metadata;
    return request;
  }
  std::string commit(const OffsetCommitRequest& request, int16_t version = 7) {
    auto answer = ask<OffsetCommitResponse>(version, request);
    CHECK(answer.topics.size() == 1 && answer.topics[0].partitions.size() == 1);
    return name(answer.topics[0].partitions[0].error_code);
  }
  std::string commit_as(const Member& member, int64_t offset) {
    auto request = commit_request(member.group, "t", 0, offset);
    request.member_id = member.id;
    request.generation_id_or_member_epoch = member.generation;
    return commit(request);
  }
  OffsetFetchResponse::Topic::Partition committed(std::string_view group, std::string_view topic,
                                                  int32_t index, int16_t version = 5) {
    OffsetFetchRequest request;
    request.group_id = group;
    auto& one = request.topics.emplace().emplace_back();
    one.name = topic;
    one.partition_indexes = {index};
    auto answer = ask<OffsetFetchResponse>(version, request);
    EXPECT_EQ(name(answer.error_code), "NONE");
    CHECK(answer.topics.size() == 1 && answer.topics[0].partitions.size() == 1);
    return answer.topics[0].partitions[0];
  }
  int64_t offset_of(std::string_view group, std::string_view topic = "t") {
    return committed(group, topic, 0).committed_offset;
  }
  OffsetDeleteResponse delete_offset(std::string_view group, std::string_view topic) {
    OffsetDeleteRequest request;
    request.group_id = group;
    auto& one = request.topics.emplace_back();
    one.name = topic;
    one.partitions.push_back({0});
    return ask<OffsetDeleteResponse>(0, request);
  }
};
PACELINE_ON_ONE_AND_TWO_SHARDS(WireCommit);

// Trap 38: an error here breaks clients.
TEST_P(WireCommit, NothingCommittedIsMinusOneAndNoErrorInEveryVersion) {
  create_topic("t");
  for (int16_t version = 1; version <= 7; ++version) {
    for (std::string_view topic : {"t", "none"}) {
      const auto told = committed("unknown", topic, 0, version);
      EXPECT_EQ(name(told.error_code), "NONE");
      EXPECT_EQ(told.committed_offset, -1);
      EXPECT_EQ(told.committed_leader_epoch, -1);
      EXPECT_EQ(told.metadata, "");
    }
  }
  for (int16_t version : {8, 9}) {
    OffsetFetchRequest request;
    request.groups.emplace_back().group_id = "unknown";
    auto& one = request.groups[0].topics.emplace().emplace_back();
    one.name = "t";
    one.partition_indexes = {0};
    auto answer = ask<OffsetFetchResponse>(version, request);
    EXPECT_EQ(name(answer.groups.at(0).error_code), "NONE");
    EXPECT_EQ(answer.groups.at(0).topics.at(0).partitions.at(0).committed_offset, -1);
  }
}

// Trap 38.
TEST_P(WireCommit, ACommitWithoutAMemberMakesASimpleGroupInEveryVersion) {
  create_topic("t");
  for (int16_t version = 1; version <= 9; ++version) {
    const std::string group = "g" + std::to_string(version);
    EXPECT_EQ(commit(commit_request(group, "t", 0, 40 + version), version), "NONE") << version;
    EXPECT_EQ(offset_of(group), 40 + version);
  }
}

// Trap 38.
TEST_P(WireCommit, MetadataComesBackAsItWasAlsoAfterARestart) {
  create_topic("t");
  const std::string longest(4096, 'm');
  const std::vector<std::optional<std::string>> all = {std::nullopt, "", "text", longest};
  for (size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(commit(commit_request("g" + std::to_string(i), "t", 0, 1, all[i])), "NONE");
  EXPECT_EQ(commit(commit_request("g9", "t", 0, 1, std::string(4097, 'm'))),
            "OFFSET_METADATA_TOO_LARGE");
  EXPECT_EQ(offset_of("g9"), -1);
  for (End how : {End::crash, End::stop}) {
    for (size_t i = 0; i < all.size(); ++i)
      EXPECT_EQ(committed("g" + std::to_string(i), "t", 0).metadata, all[i]) << i;
    restart(how);
  }
}

TEST_P(WireCommit, WhatWasAcknowledgedSurvivesEveryEndOfTheBroker) {
  create_topic("t");
  int64_t offset = 0;
  for (End how : {End::stop, End::kill, End::crash, End::crash}) {
    auto request = commit_request("g", "t", 0, ++offset);
    request.topics[0].partitions[0].committed_leader_epoch = 3;
    EXPECT_EQ(commit(request), "NONE");
    restart(how);
    EXPECT_EQ(committed("g", "t", 0).committed_offset, offset);
    EXPECT_EQ(committed("g", "t", 0).committed_leader_epoch, 3);
  }
}

// Trap 38.
TEST_P(WireCommit, AnUnknownPartitionIsRefusedAndTheOthersAreNot) {
  create_topic("t");
  OffsetCommitRequest request = commit_request("g", "none", 0, 5);
  request.topics.push_back(commit_request("g", "t", 0, 7).topics[0]);
  request.topics[1].partitions.push_back(request.topics[1].partitions[0]);
  request.topics[1].partitions[1].partition_index = 3;
  auto answer = ask<OffsetCommitResponse>(7, request);
  std::vector<std::string> errors;
  for (const auto& topic : answer.topics)
    for (const auto& one : topic.partitions)
      errors.push_back(topic.name + std::to_string(one.partition_index) + name(one.error_code));
  EXPECT_THAT(errors, ElementsAre("none0UNKNOWN_TOPIC_OR_PARTITION", "t0NONE",
                                  "t3UNKNOWN_TOPIC_OR_PARTITION"));
  EXPECT_EQ(offset_of("g"), 7);
}

// Trap 5.
TEST_P(WireCommit, NoListOfTopicsMeansAllOfTheGroup) {
  create_topic("a", 2);
  create_topic("b");
  create_topic("c");
  EXPECT_EQ(commit(commit_request("g", "a", 0, 1)), "NONE");
  EXPECT_EQ(commit(commit_request("g", "a", 1, 2)), "NONE");
  EXPECT_EQ(commit(commit_request("g", "b", 0, 3)), "NONE");
  EXPECT_EQ(commit(commit_request("other", "c", 0, 4)), "NONE");
  auto flat = [](const auto& topics) {
    std::vector<std::string> all;
    for (const auto& topic : topics)
      for (const auto& one : topic.partitions)
        all.push_back(
            fmt::format("{}{}={}", topic.name, one.partition_index, one.committed_offset));
    return all;
  };
  for (int16_t version : {2, 5, 7}) {
    OffsetFetchRequest request;
    request.group_id = "g";
    request.topics = std::nullopt;
    EXPECT_THAT(flat(ask<OffsetFetchResponse>(version, request).topics),
                testing::UnorderedElementsAre("a0=1", "a1=2", "b0=3"));
    request.topics.emplace();
    EXPECT_THAT(flat(ask<OffsetFetchResponse>(version, request).topics), IsEmpty());
  }
  OffsetFetchRequest many;
  for (std::string_view group : {"other", "g", "unknown"}) {
    auto& one = many.groups.emplace_back();
    one.group_id = group;
    one.topics = std::nullopt;
  }
  auto answer = ask<OffsetFetchResponse>(8, many);
  ASSERT_EQ(answer.groups.size(), 3u);
  EXPECT_THAT(flat(answer.groups[0].topics), ElementsAre("c0=4"));
  EXPECT_EQ(flat(answer.groups[1].topics).size(), 3u);
  EXPECT_THAT(flat(answer.groups[2].topics), IsEmpty());
}

// Trap 37.
TEST_P(WireCommit, OnlyAMemberOfThisGenerationCommitsToALivingGroup) {
  create_topic("t");
  Member member = enter("g");
  EXPECT_EQ(commit_as(member, 5), "NONE");
  EXPECT_EQ(commit_as({"g", member.id, 0}, 6), "ILLEGAL_GENERATION");
  EXPECT_EQ(commit_as({"g", "nobody", 1}, 6), "UNKNOWN_MEMBER_ID");
  EXPECT_EQ(commit(commit_request("g", "t", 0, 6)), "UNKNOWN_MEMBER_ID");  // a simple commit
  EXPECT_EQ(commit_as({"no-such-group", "m", 1}, 6), "ILLEGAL_GENERATION");
  EXPECT_EQ(offset_of("g"), 5);
  // The nameless group may commit and no more (KIP-289).
  EXPECT_EQ(commit(commit_request("", "t", 0, 6)), "NONE");
}

// Trap 37.
TEST_P(WireCommit, AMemberMayStillCommitWhileOthersJoin) {
  create_topic("t");
  Member member = enter("g");
  auto connection = connect();
  auto waiting = begin<JoinGroupResponse>(*connection, 3, join_request("g"));
  world_.run_for(100ms);
  EXPECT_EQ(beat(member), "REBALANCE_IN_PROGRESS");
  EXPECT_EQ(commit_as(member, 8), "NONE");
  auto [leader, follower] = rejoin_with(member, waiting);
  // Joined, and not yet assigned: whose partitions are these?
  EXPECT_EQ(commit_as({"g", leader.member_id, 2}, 9), "REBALANCE_IN_PROGRESS");
  EXPECT_EQ(offset_of("g"), 8);
}

// Trap 23: no transaction is ever pending.
TEST_P(WireCommit, StableOffsetsAreAllThereAre) {
  create_topic("t");
  EXPECT_EQ(commit(commit_request("g", "t", 0, 5)), "NONE");
  OffsetFetchRequest request;
  request.group_id = "g";
  request.require_stable = true;
  auto& one = request.topics.emplace().emplace_back();
  one.name = "t";
  one.partition_indexes = {0};
  auto told = ask<OffsetFetchResponse>(7, request).topics.at(0).partitions.at(0);
  EXPECT_EQ(name(told.error_code), "NONE");
  EXPECT_EQ(told.committed_offset, 5);
}

// Trap 42.
TEST_P(WireCommit, OffsetsAreDeletedUnlessTheirTopicIsConsumed) {
  create_topic("t");
  create_topic("u");
  protocol::ConsumerSubscription subscription;
  subscription.topics = {"t"};
  protocol::Output out;
  out.put(int16_t{0});  // the version that consumers write in front
  CHECK(subscription.encode(0, out));
  const std::string metadata = protocol::join(out.take());
  auto request = join_request("g");
  request.protocols[0].metadata = as_bytes(metadata);
  auto joined = join(client(), request, 3);
  Member member{"g", joined.member_id, 1};
  (void)ask<SyncGroupResponse>(3, sync_request("g", 1, member.id, {}));
  EXPECT_EQ(commit_as(member, 5), "NONE");
  auto other = commit_request("g", "u", 0, 6);
  other.member_id = member.id;
  other.generation_id_or_member_epoch = 1;
  EXPECT_EQ(commit(other), "NONE");

  auto error_of = [&](std::string_view topic) {
    auto answer = delete_offset("g", topic);
    EXPECT_EQ(name(answer.error_code), "NONE");
    return name(answer.topics.at(0).partitions.at(0).error_code);
  };
  EXPECT_EQ(error_of("t"), "GROUP_SUBSCRIBED_TO_TOPIC");
  EXPECT_EQ(error_of("none"), "UNKNOWN_TOPIC_OR_PARTITION");
  EXPECT_EQ(error_of("u"), "NONE");
  restart(End::crash);
  EXPECT_EQ(offset_of("g", "u"), -1);
  EXPECT_EQ(offset_of("g", "t"), 5);
  EXPECT_EQ(name(delete_offset("unknown", "t").error_code), "GROUP_ID_NOT_FOUND");
}

// Trap 42.
TEST_P(WireCommit, OffsetsOfALivingGroupOfAnotherKindAreNotDeleted) {
  create_topic("t");
  auto request = join_request("g");
  request.protocol_type = "connect";
  auto joined = join(client(), request, 3);
  (void)ask<SyncGroupResponse>(3, sync_request("g", 1, joined.member_id, {}));
  EXPECT_EQ(commit_as({"g", joined.member_id, 1}, 5), "NONE");
  EXPECT_EQ(name(delete_offset("g", "t").error_code), "NON_EMPTY_GROUP");
}

// Trap 42: lag is what ListOffsets tells above what OffsetFetch tells; a reset commits to an empty
// group.
TEST_P(WireCommit, AnEmptyGroupsOffsetsCanBeReset) {
  create_topic("t");
  (void)produce("t", 0, batch({"a", "b", "c"}));
  Member member = enter("g");
  EXPECT_EQ(commit_as(member, 1), "NONE");
  EXPECT_EQ(list_offset("t", 0, -1).offset - offset_of("g"), 2);
  EXPECT_EQ(leave("g", member.id, 3), "NONE");
  EXPECT_EQ(commit(commit_request("g", "t", 0, 0)), "NONE");
  EXPECT_EQ(offset_of("g"), 0);
}

TEST_P(WireCommit, OffsetsOfAGroupThatIsGoneExpire) {
  settings().group.offsets_retention_ms = 60'000;
  settings().group.offsets_check_interval_ms = 5'000;
  create_topic("t");
  EXPECT_EQ(commit(commit_request("simple", "t", 0, 1)), "NONE");
  auto shorter = commit_request("shorter", "t", 0, 3);  // old versions choose for themselves
  shorter.retention_time_ms = 20'000;
  EXPECT_EQ(commit(shorter, 4), "NONE");
  Member member = enter("living");
  EXPECT_EQ(commit_as(member, 2), "NONE");
  for (int i = 0; i < 20; ++i) {
    world_.run_for(4s);
    EXPECT_EQ(beat(member), "NONE");
    if (i == 2) EXPECT_EQ(offset_of("shorter"), 3);
    if (i == 10) EXPECT_EQ(offset_of("shorter"), -1);
    if (i == 10) EXPECT_EQ(offset_of("simple"), 1);
  }
  EXPECT_EQ(offset_of("simple"), -1);
  EXPECT_EQ(offset_of("living"), 2);
}

}  // namespace
}  // namespace paceline::sim
