#pragma once

#include <string>
#include <utility>
#include <vector>

#include "protocol/gen/heartbeat.h"
#include "protocol/gen/join_group.h"
#include "protocol/gen/leave_group.h"
#include "protocol/gen/sync_group.h"
#include "sim/wire_world_test.h"

namespace paceline::sim {

using protocol::HeartbeatRequest;
using protocol::HeartbeatResponse;
using protocol::JoinGroupRequest;
using protocol::JoinGroupResponse;
using protocol::SyncGroupRequest;
using protocol::SyncGroupResponse;

// Members of classic groups, played by hand. A join or a sync may keep its connection waiting, so
// whoever plays two members needs two connections.
class WireGroupTest : public WireTest {
 protected:
  static constexpr std::string_view kMetadata = "what a member says";
  static constexpr std::string_view kAssignment = "what a member gets";

  struct Member {
    std::string group;
    std::string id;
    int32_t generation = -1;
  };

  static JoinGroupRequest join_request(std::string_view group, std::string_view member = "") {
    JoinGroupRequest request;
    request.group_id = group;
    request.member_id = member;
    request.session_timeout_ms = 10'000;
    request.rebalance_timeout_ms = 60'000;
    request.protocol_type = "consumer";
    auto& protocol = request.protocols.emplace_back();
    protocol.name = "range";
    protocol.metadata = as_bytes(kMetadata);
    return request;
  }
  JoinGroupResponse join(WireClient& connection, JoinGroupRequest request, int16_t version) {
    auto joined = end(begin<JoinGroupResponse>(connection, version, std::move(request)));
    EXPECT_TRUE(joined);
    return joined ? std::move(*joined) : JoinGroupResponse{};
  }
  static SyncGroupRequest sync_request(
      std::string_view group, int32_t generation, std::string_view member,
      const std::vector<std::pair<std::string_view, std::string_view>>& assignments) {
    SyncGroupRequest request;
    request.group_id = group;
    request.generation_id = generation;
    request.member_id = member;
    for (const auto& [to, what] : assignments) request.assignments.push_back({to, as_bytes(what)});
    return request;
  }
  // Alone in a new group, with its assignment.
  Member enter(const std::string& group) {
    auto joined = join(client(), join_request(group), 3);
    EXPECT_EQ(name(joined.error_code), "NONE");
    auto sync =
        ask<SyncGroupResponse>(3, sync_request(group, joined.generation_id, joined.member_id,
                                               {{joined.member_id, kAssignment}}));
    EXPECT_EQ(name(sync.error_code), "NONE");
    return {group, joined.member_id, joined.generation_id};
  }
  // The one who is in joins again, so that the one who waits gets in: both answers.
  std::pair<JoinGroupResponse, JoinGroupResponse> rejoin_with(
      const Member& inside, const Later<JoinGroupResponse>& waiting) {
    world_.run_for(100ms);
    auto first = join(client(), join_request(inside.group, inside.id), 3);
    auto second = end(waiting);
    EXPECT_TRUE(second);
    return {std::move(first), second ? std::move(*second) : JoinGroupResponse{}};
  }
  std::string beat(const Member& member) {
    HeartbeatRequest request;
    request.group_id = member.group;
    request.member_id = member.id;
    request.generation_id = member.generation;
    return name(ask<HeartbeatResponse>(3, request).error_code);
  }
  std::string leave(std::string_view group, std::string_view member, int16_t version,
                    std::optional<std::string_view> instance = std::nullopt) {
    protocol::LeaveGroupRequest request;
    request.group_id = group;
    if (version < 3) {
      request.member_id = member;
      return name(ask<protocol::LeaveGroupResponse>(version, request).error_code);
    }
    auto& one = request.members.emplace_back();
    one.member_id = member;
    one.group_instance_id = instance;
    auto answer = ask<protocol::LeaveGroupResponse>(version, request);
    EXPECT_EQ(name(answer.error_code), "NONE");
    return name(answer.members.at(0).error_code);
  }
};

}  // namespace paceline::sim
