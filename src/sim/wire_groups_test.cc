#include <gmock/gmock.h>

#include "protocol/gen/delete_groups.h"
#include "protocol/gen/describe_groups.h"
#include "protocol/gen/find_coordinator.h"
#include "protocol/gen/list_groups.h"
#include "sim/wire_group_test.h"

// Classic groups: who is in, who leads, who is told what.

namespace paceline::sim {
namespace {

using protocol::DescribeGroupsRequest;
using protocol::DescribeGroupsResponse;
using protocol::FindCoordinatorRequest;
using protocol::FindCoordinatorResponse;
using testing::ElementsAre;
using testing::IsEmpty;

class WireGroups : public WireGroupTest {
 protected:
  DescribeGroupsResponse::Group describe(std::string_view group, int16_t version = 5) {
    DescribeGroupsRequest request;
    request.groups = {group};
    auto answer = ask<DescribeGroupsResponse>(version, request);
    CHECK(answer.groups.size() == 1);
    return answer.groups[0];
  }
  std::vector<std::string> list(std::vector<std::string_view> states,
                                std::vector<std::string_view> types, int16_t version = 5) {
    protocol::ListGroupsRequest request;
    request.states_filter = std::move(states);
    request.types_filter = std::move(types);
    auto answer = ask<protocol::ListGroupsResponse>(version, request);
    EXPECT_EQ(name(answer.error_code), "NONE");
    std::vector<std::string> groups;
    for (const auto& group : answer.groups) groups.push_back(group.group_id);
    return groups;
  }
  std::string delete_group(std::string_view group) {
    protocol::DeleteGroupsRequest request;
    request.groups_names = {group};
    return name(ask<protocol::DeleteGroupsResponse>(2, request).results.at(0).error_code);
  }
};
PACELINE_ON_ONE_AND_TWO_SHARDS(WireGroups);

// Trap 35.
TEST_P(WireGroups, TheCoordinatorIsFoundAtOnceInEveryVersion) {
  for (int16_t version = 0; version <= 3; ++version) {
    FindCoordinatorRequest request;
    request.key = "g";
    auto found = ask<FindCoordinatorResponse>(version, request);
    EXPECT_EQ(name(found.error_code), "NONE");
    EXPECT_EQ(found.node_id, 1);
    EXPECT_EQ(found.host, "broker");
    EXPECT_EQ(found.port, BrokerHost::kPort);
  }
  for (int16_t version : {4, 5}) {
    FindCoordinatorRequest request;
    request.coordinator_keys = {"a", "b", "c"};
    auto found = ask<FindCoordinatorResponse>(version, request);
    std::vector<std::string> keys;
    for (const auto& one : found.coordinators) {
      keys.push_back(one.key);
      EXPECT_EQ(name(one.error_code), "NONE");
      EXPECT_EQ(one.host, "broker");
    }
    EXPECT_THAT(keys, ElementsAre("a", "b", "c"));
  }
}

// There are neither transactions nor share groups: no coordinator of theirs is found.
TEST_P(WireGroups, OnlyGroupsHaveCoordinators) {
  FindCoordinatorRequest request;
  request.key = "txn";
  request.key_type = 1;
  EXPECT_EQ(name(ask<FindCoordinatorResponse>(2, request).error_code),
            "TRANSACTIONAL_ID_AUTHORIZATION_FAILED");
  for (int8_t type : {2, 3, -1}) {
    request.key_type = type;
    EXPECT_EQ(name(ask<FindCoordinatorResponse>(3, request).error_code), "INVALID_REQUEST");
  }
  FindCoordinatorRequest many;
  many.coordinator_keys = {"txn"};
  many.key_type = 1;
  EXPECT_EQ(name(ask<FindCoordinatorResponse>(4, many).coordinators.at(0).error_code),
            "TRANSACTIONAL_ID_AUTHORIZATION_FAILED");
}

// Trap 36.
TEST_P(WireGroups, FromVersion4OnAFirstJoinOnlyGetsAnId) {
  for (int16_t version = 0; version <= 9; ++version) {
    const std::string group = "g" + std::to_string(version);
    auto joined = join(client(), join_request(group), version);
    EXPECT_FALSE(joined.member_id.empty());
    if (version < 4) {
      EXPECT_EQ(name(joined.error_code), "NONE") << version;
      EXPECT_EQ(joined.generation_id, 1);
      continue;
    }
    EXPECT_EQ(name(joined.error_code), "MEMBER_ID_REQUIRED") << version;
    auto again = join(client(), join_request(group, joined.member_id), version);
    EXPECT_EQ(name(again.error_code), "NONE") << version;
    EXPECT_EQ(again.member_id, joined.member_id);
    EXPECT_EQ(again.generation_id, 1);
  }
}

// Trap 36.
TEST_P(WireGroups, AStaticMemberNeedNotAskTwice) {
  auto request = join_request("g");
  request.group_instance_id = "i";
  auto joined = join(client(), request, 5);
  EXPECT_EQ(name(joined.error_code), "NONE");
  ASSERT_EQ(joined.members.size(), 1u);
  EXPECT_EQ(joined.members[0].group_instance_id, "i");
}

// Trap 36.
TEST_P(WireGroups, OnlyTheLeaderIsToldTheMembersAndEachGetsItsAssignment) {
  Member first = enter("g");
  auto connection = connect();
  auto waiting = begin<JoinGroupResponse>(*connection, 3, join_request("g"));
  auto [leader, follower] = rejoin_with(first, waiting);
  EXPECT_EQ(leader.leader, leader.member_id);
  EXPECT_EQ(follower.leader, leader.member_id);
  EXPECT_EQ(leader.generation_id, 2);
  EXPECT_EQ(follower.generation_id, 2);
  EXPECT_EQ(leader.protocol_name, "range");
  std::vector<std::string> ids;
  for (const auto& member : leader.members) {
    ids.push_back(member.member_id);
    EXPECT_EQ(member.metadata, kMetadata);
  }
  EXPECT_THAT(ids, testing::UnorderedElementsAre(leader.member_id, follower.member_id));
  EXPECT_THAT(follower.members, IsEmpty());

  auto hers =
      begin<SyncGroupResponse>(*connection, 3, sync_request("g", 2, follower.member_id, {}));
  world_.run_for(1s);
  EXPECT_FALSE(hers->has_value());  // until the leader has decided
  auto mine = ask<SyncGroupResponse>(3, sync_request("g", 2, leader.member_id,
                                                     {{leader.member_id, "for the leader"},
                                                      {follower.member_id, "for the other"}}));
  EXPECT_EQ(mine.assignment, "for the leader");
  EXPECT_EQ(end(hers)->assignment, "for the other");
}

// Trap 36.
TEST_P(WireGroups, ANewGroupWaitsForItsOtherMembers) {
  settings().group.initial_rebalance_delay_ms = 3'000;
  (void)client();
  auto second = connect();
  const env::Instant start = world_.now();
  auto one = begin<JoinGroupResponse>(client(), 3, join_request("g"));
  world_.run_for(1s);
  auto two = begin<JoinGroupResponse>(*second, 3, join_request("g"));
  auto first = end(one);
  auto other = end(two);
  ASSERT_TRUE(first && other);
  EXPECT_GE(world_.now() - start, 3s);
  EXPECT_LT(world_.now() - start, 8s);
  EXPECT_EQ(first->generation_id, 1);
  EXPECT_EQ(other->generation_id, 1);
}

// Trap 36.
TEST_P(WireGroups, AMemberNeedsAProtocolInCommon) {
  Member member = enter("g");
  auto error_of = [&](JoinGroupRequest request) {
    return name(join(client(), request, 3).error_code);
  };
  auto other_type = join_request("g");
  other_type.protocol_type = "connect";
  EXPECT_EQ(error_of(other_type), "INCONSISTENT_GROUP_PROTOCOL");
  auto other_protocol = join_request("g");
  other_protocol.protocols[0].name = "sticky";
  EXPECT_EQ(error_of(other_protocol), "INCONSISTENT_GROUP_PROTOCOL");
  auto none = join_request("h");
  none.protocols.clear();
  EXPECT_EQ(error_of(none), "INCONSISTENT_GROUP_PROTOCOL");
  auto no_type = join_request("h");
  no_type.protocol_type = "";
  EXPECT_EQ(error_of(no_type), "INCONSISTENT_GROUP_PROTOCOL");
  EXPECT_EQ(beat(member), "NONE");  // none of them disturbed it
}

// Trap 36.
TEST_P(WireGroups, SessionsHaveBounds) {
  for (int32_t bad : {5'999, 1'800'001, 0, -1}) {
    auto request = join_request("g");
    request.session_timeout_ms = bad;
    EXPECT_EQ(name(join(client(), request, 3).error_code), "INVALID_SESSION_TIMEOUT") << bad;
  }
  EXPECT_EQ(name(join(client(), join_request(""), 3).error_code), "INVALID_GROUP_ID");
}

TEST_P(WireGroups, AGroupHasAMostOfMembers) {
  settings().group.group_size_max = 1;
  Member member = enter("g");
  EXPECT_EQ(name(join(client(), join_request("g"), 3).error_code), "GROUP_MAX_SIZE_REACHED");
  EXPECT_EQ(beat(member), "NONE");
}

// Trap 37.
TEST_P(WireGroups, OthersThanTheMembersOfThisGenerationAreRefused) {
  Member member = enter("g");
  EXPECT_EQ(beat(member), "NONE");
  Member early = member;
  early.generation = 0;
  Member late = member;
  late.generation = 2;
  Member stranger = member;
  stranger.id = "nobody";
  EXPECT_EQ(beat(early), "ILLEGAL_GENERATION");
  EXPECT_EQ(beat(late), "ILLEGAL_GENERATION");
  EXPECT_EQ(beat(stranger), "UNKNOWN_MEMBER_ID");
  auto sync_error = [&](const Member& one) {
    return name(
        ask<SyncGroupResponse>(3, sync_request("g", one.generation, one.id, {})).error_code);
  };
  EXPECT_EQ(sync_error(member), "NONE");
  EXPECT_EQ(sync_error(early), "ILLEGAL_GENERATION");
  EXPECT_EQ(sync_error(stranger), "UNKNOWN_MEMBER_ID");
  EXPECT_EQ(name(join(client(), join_request("g", "nobody"), 3).error_code), "UNKNOWN_MEMBER_ID");
}

// Trap 37.
TEST_P(WireGroups, ARebalanceIsToldByHeartbeats) {
  Member member = enter("g");
  auto connection = connect();
  auto waiting = begin<JoinGroupResponse>(*connection, 3, join_request("g"));
  world_.run_for(1s);
  EXPECT_EQ(beat(member), "REBALANCE_IN_PROGRESS");
  EXPECT_FALSE(waiting->has_value());
  EXPECT_EQ(describe("g").group_state, "PreparingRebalance");
  (void)rejoin_with(member, waiting);
  EXPECT_EQ(describe("g").group_state, "CompletingRebalance");
}

// Trap 37.
TEST_P(WireGroups, AWaitingSyncIsReleasedByTheNextRebalance) {
  Member first = enter("g");
  auto connection = connect();
  auto waiting = begin<JoinGroupResponse>(*connection, 3, join_request("g"));
  auto [leader, follower] = rejoin_with(first, waiting);
  auto sync =
      begin<SyncGroupResponse>(*connection, 3, sync_request("g", 2, follower.member_id, {}));
  world_.run_for(100ms);
  EXPECT_FALSE(sync->has_value());
  auto third = connect();
  auto joining = begin<JoinGroupResponse>(*third, 3, join_request("g"));
  EXPECT_TRUE(world_.run_until([&] { return sync->has_value(); }, 1s));
  EXPECT_EQ(name(end(sync)->error_code), "REBALANCE_IN_PROGRESS");
}

TEST_P(WireGroups, ASyncOfAnotherProtocolIsRefused) {
  Member member = enter("g");
  auto request = sync_request("g", member.generation, member.id, {});
  request.protocol_type = "consumer";
  request.protocol_name = "range";
  auto good = ask<SyncGroupResponse>(5, request);
  EXPECT_EQ(name(good.error_code), "NONE");
  EXPECT_EQ(good.protocol_name, "range");
  request.protocol_name = "sticky";
  EXPECT_EQ(name(ask<SyncGroupResponse>(5, request).error_code), "INCONSISTENT_GROUP_PROTOCOL");
  request.protocol_name = "range";
  request.protocol_type = "connect";
  EXPECT_EQ(name(ask<SyncGroupResponse>(5, request).error_code), "INCONSISTENT_GROUP_PROTOCOL");
}

TEST_P(WireGroups, ASilentMemberLosesItsPlace) {
  Member member = enter("g");
  for (int i = 0; i < 5; ++i) {
    world_.run_for(4s);
    EXPECT_EQ(beat(member), "NONE");
  }
  world_.run_for(12s);
  EXPECT_EQ(beat(member), "UNKNOWN_MEMBER_ID");
  EXPECT_EQ(describe("g").group_state, "Empty");
}

TEST_P(WireGroups, WhoLeavesMakesTheOthersRebalance) {
  for (int16_t version : {0, 2, 3, 5}) {
    const std::string group = "g" + std::to_string(version);
    Member first = enter(group);
    auto connection = connect();
    auto waiting = begin<JoinGroupResponse>(*connection, 3, join_request(group));
    auto [leader, follower] = rejoin_with(first, waiting);
    (void)ask<SyncGroupResponse>(3, sync_request(group, 2, leader.member_id, {}));
    EXPECT_EQ(leave(group, follower.member_id, version), "NONE");
    EXPECT_EQ(beat({group, leader.member_id, 2}), "REBALANCE_IN_PROGRESS");
    EXPECT_EQ(leave(group, "nobody", version), "UNKNOWN_MEMBER_ID");
  }
}

// Traps 36 and 37.
TEST_P(WireGroups, ARestartedStaticMemberTakesItsPlaceAndFencesItsOldSelf) {
  auto request = join_request("g");
  request.group_instance_id = "i";
  auto before = join(client(), request, 9);
  (void)ask<SyncGroupResponse>(
      3, sync_request("g", 1, before.member_id, {{before.member_id, "kept"}}));
  auto after = join(client(), request, 9);
  EXPECT_EQ(name(after.error_code), "NONE");
  EXPECT_NE(after.member_id, before.member_id);
  EXPECT_EQ(after.generation_id, 1);  // nobody rebalances
  EXPECT_TRUE(after.skip_assignment);
  EXPECT_EQ(after.leader, after.member_id);
  auto sync = sync_request("g", 1, after.member_id, {});
  sync.group_instance_id = "i";
  EXPECT_EQ(ask<SyncGroupResponse>(3, sync).assignment, "kept");

  HeartbeatRequest old;
  old.group_id = "g";
  old.generation_id = 1;
  old.member_id = before.member_id;
  old.group_instance_id = "i";
  EXPECT_EQ(name(ask<HeartbeatResponse>(3, old).error_code), "FENCED_INSTANCE_ID");
  request.member_id = before.member_id;
  EXPECT_EQ(name(join(client(), request, 5).error_code), "FENCED_INSTANCE_ID");
  // An administrator names the instance alone.
  EXPECT_EQ(leave("g", "", 3, "i"), "NONE");
  EXPECT_EQ(describe("g").group_state, "Empty");
}

// Trap 39.
TEST_P(WireGroups, AnUnknownGroupIsDeadAndFromVersion6OnAnError) {
  for (int16_t version = 0; version <= 6; ++version) {
    auto told = describe("none", version);
    EXPECT_EQ(told.group_state, "Dead");
    EXPECT_EQ(name(told.error_code), version < 6 ? "NONE" : "GROUP_ID_NOT_FOUND");
    EXPECT_THAT(told.members, IsEmpty());
  }
}

// Traps 39 and 43: what members say is theirs alone, whatever the bytes.
TEST_P(WireGroups, AGroupIsDescribedWithTheBytesOfItsMembers) {
  const std::string bytes("\x00\xff opaque \x80", 11);
  auto request = join_request("g");
  request.protocol_type = "connect";
  request.protocols[0].name = "sessioned";
  request.protocols[0].metadata = as_bytes(bytes);
  auto joined = join(client(), request, 3);
  ASSERT_EQ(name(joined.error_code), "NONE");
  EXPECT_EQ(joined.members.at(0).metadata, bytes);
  (void)ask<SyncGroupResponse>(3,
                               sync_request("g", 1, joined.member_id, {{joined.member_id, bytes}}));
  for (int16_t version = 0; version <= 6; ++version) {
    auto told = describe("g", version);
    EXPECT_EQ(told.group_state, "Stable");
    EXPECT_EQ(told.protocol_type, "connect");
    EXPECT_EQ(told.protocol_data, "sessioned");
    ASSERT_EQ(told.members.size(), 1u);
    EXPECT_EQ(told.members[0].client_id, WireClient::kClientId);
    EXPECT_EQ(told.members[0].client_host, "/client");
    EXPECT_EQ(told.members[0].member_metadata, bytes);
    EXPECT_EQ(told.members[0].member_assignment, bytes);
    EXPECT_EQ(told.authorized_operations, INT32_MIN);
  }
  DescribeGroupsRequest operations;
  operations.groups = {"g"};
  operations.include_authorized_operations = true;
  EXPECT_EQ(ask<DescribeGroupsResponse>(3, operations).groups.at(0).authorized_operations,
            0b1101'0100'1000);
}

// Trap 39.
TEST_P(WireGroups, GroupsAreListedByStateAndTypeInAnyCase) {
  enter("stable");
  Member gone = enter("empty");
  EXPECT_EQ(leave("empty", gone.id, 3), "NONE");
  EXPECT_THAT(list({}, {}), testing::UnorderedElementsAre("stable", "empty"));
  for (int16_t version = 0; version <= 3; ++version)
    EXPECT_EQ(list({}, {}, version).size(), 2u) << version;
  EXPECT_THAT(list({"STABLE"}, {}, 4), ElementsAre("stable"));
  EXPECT_THAT(list({"empty", "dead"}, {}, 4), ElementsAre("empty"));
  EXPECT_EQ(list({}, {"Classic"}).size(), 2u);
  EXPECT_THAT(list({}, {"consumer"}), IsEmpty());
}

// Trap 42.
TEST_P(WireGroups, OnlyAnEmptyGroupIsDeleted) {
  Member member = enter("g");
  EXPECT_EQ(delete_group("g"), "NON_EMPTY_GROUP");
  EXPECT_EQ(delete_group("none"), "GROUP_ID_NOT_FOUND");
  EXPECT_EQ(beat(member), "NONE");
  EXPECT_EQ(leave("g", member.id, 3), "NONE");
  EXPECT_EQ(delete_group("g"), "NONE");
  for (End how : {End::crash, End::stop}) {
    EXPECT_THAT(list({}, {}), IsEmpty());
    EXPECT_EQ(describe("g").group_state, "Dead");
    restart(how);
  }
}

TEST_P(WireGroups, MembersKeepTheirPlaceAndAssignmentOverARestart) {
  Member member = enter("g");
  for (End how : {End::stop, End::kill, End::crash}) {
    restart(how);
    EXPECT_EQ(describe("g").group_state, "Stable");
    EXPECT_EQ(describe("g").members.at(0).member_assignment, kAssignment);
    EXPECT_EQ(beat(member), "NONE");
    auto sync = ask<SyncGroupResponse>(3, sync_request("g", member.generation, member.id, {}));
    EXPECT_EQ(sync.assignment, kAssignment);
  }
}

}  // namespace
}  // namespace paceline::sim
