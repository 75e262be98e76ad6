#include "broker/api.h"
#include "broker/group_lookup.h"
#include "protocol/gen/find_coordinator.h"
#include "protocol/gen/heartbeat.h"
#include "protocol/gen/join_group.h"
#include "protocol/gen/leave_group.h"
#include "protocol/gen/sync_group.h"

// Members of classic groups.

namespace paceline::broker {
namespace {

constexpr int8_t kGroupKey = 0;

struct Found {
  KafkaError error = KafkaError::none;
  std::string message;
  int32_t node = -1;
  std::string host;
  int32_t port = -1;
};

Task<Found> find_group(Request& request, std::string_view key, int8_t key_type) {
  Found found;
  if (key_type != kGroupKey) {
    found.error = key_type == 1 ? KafkaError::transactional_id_authorization_failed
                                : KafkaError::invalid_request;
    found.message = key_type == 1 ? "transactions are not served yet" : "unknown coordinator type";
    co_return found;
  }
  auto topic = co_await request.node.offsets_topic(request.shard);
  if (!topic) {
    found.error = KafkaError::coordinator_not_available;
    co_return found;
  }
  const auto index = static_cast<size_t>(request.node.group_partition(key));
  const auto image = request.node.image();
  for (const cluster::BrokerImage& broker : image->brokers) {
    if (broker.id != topic->partitions[index].leader || broker.endpoints.empty()) continue;
    const meta::Endpoint* endpoint = &broker.endpoints.front();
    for (const meta::Endpoint& other : broker.endpoints) {
      if (other.listener == request.peer.listener) endpoint = &other;
    }
    found.node = broker.id.value;
    found.host = endpoint->host;
    found.port = endpoint->port;
    co_return found;
  }
  found.error = KafkaError::coordinator_not_available;
  co_return found;
}

}  // namespace

Task<Reply> handle_find_coordinator(Request& request) {
  PACELINE_DECODE(FindCoordinatorRequest, message);
  if (PeerCalls* others = request.node.calls()) co_await others->decided(request.shard);
  protocol::FindCoordinatorResponse response;
  if (request.version < 4) {
    Found found = co_await find_group(request, message.key, message.key_type);
    response.error_code = wire(found.error);
    if (!found.message.empty()) response.error_message = found.message;
    response.node_id = found.node;
    response.host = found.host;
    response.port = found.port;
    co_return reply_with(request, response);
  }
  for (std::string_view key : message.coordinator_keys) {
    Found found = co_await find_group(request, key, message.key_type);
    auto& one = response.coordinators.emplace_back();
    one.key = std::string(key);
    one.node_id = found.node;
    one.host = found.host;
    one.port = found.port;
    one.error_code = wire(found.error);
    if (!found.message.empty()) one.error_message = found.message;
  }
  co_return reply_with(request, response);
}

Task<Reply> handle_join_group(Request& request) {
  PACELINE_DECODE(JoinGroupRequest, message);
  group::JoinRequest join;
  join.group = std::string(message.group_id);
  join.member = std::string(message.member_id);
  join.instance = own(message.group_instance_id);
  join.client_id = request.client_id;
  const std::string& address = request.peer.address;
  join.client_host = "/" + address.substr(0, address.rfind(':'));
  join.session_timeout_ms = message.session_timeout_ms;
  join.rebalance_timeout_ms =
      message.rebalance_timeout_ms < 0 ? message.session_timeout_ms : message.rebalance_timeout_ms;
  join.protocol_type = std::string(message.protocol_type);
  for (const auto& protocol : message.protocols)
    join.protocols.push_back({std::string(protocol.name), to_string(protocol.metadata)});
  join.require_known_member = request.version >= 4;
  join.supports_skip_assignment = request.version >= 9;
  join.reason = std::string(message.reason.value_or(""));
  const std::string group = join.group;
  auto step = [&join](group::Coordinator& coordinator) {
    return coordinator.join(std::move(join));
  };
  auto joined = co_await with_coordinator(request, group, step, [&message](KafkaError error) {
    group::JoinResponse refused;
    refused.error = error;
    refused.member = std::string(message.member_id);
    return refused;
  });

  protocol::JoinGroupResponse response;
  request.complain(joined.error, group);
  response.error_code = wire(joined.error);
  response.generation_id = joined.generation;
  response.protocol_type = std::move(joined.protocol_type);
  response.protocol_name = std::move(joined.protocol);
  if (request.version < 7 && !response.protocol_name) response.protocol_name = "";
  response.leader = std::move(joined.leader);
  response.skip_assignment = request.version >= 9 && joined.skip_assignment;
  response.member_id = std::move(joined.member);
  for (auto& member : joined.members) {
    auto& one = response.members.emplace_back();
    one.member_id = std::move(member.member);
    one.group_instance_id = std::move(member.instance);
    one.metadata = std::move(member.metadata);
  }
  co_return reply_with(request, response);
}

Task<Reply> handle_sync_group(Request& request) {
  PACELINE_DECODE(SyncGroupRequest, message);
  group::SyncRequest sync;
  sync.group = std::string(message.group_id);
  sync.generation = message.generation_id;
  sync.member = std::string(message.member_id);
  sync.instance = own(message.group_instance_id);
  sync.protocol_type = own(message.protocol_type);
  sync.protocol = own(message.protocol_name);
  for (const auto& assignment : message.assignments)
    sync.assignments.emplace_back(std::string(assignment.member_id),
                                  to_string(assignment.assignment));
  const std::string group = sync.group;
  auto step = [&sync](group::Coordinator& coordinator) {
    return coordinator.sync(std::move(sync));
  };
  auto synced = co_await with_coordinator(request, group, step, [](KafkaError error) {
    group::SyncResponse refused;
    refused.error = error;
    return refused;
  });
  protocol::SyncGroupResponse response;
  request.complain(synced.error, group);
  response.error_code = wire(synced.error);
  response.protocol_type = std::move(synced.protocol_type);
  response.protocol_name = std::move(synced.protocol);
  response.assignment = std::move(synced.assignment);
  co_return reply_with(request, response);
}

Task<Reply> handle_heartbeat(Request& request) {
  PACELINE_DECODE(HeartbeatRequest, message);
  group::HeartbeatRequest beat;
  beat.group = std::string(message.group_id);
  beat.generation = message.generation_id;
  beat.member = std::string(message.member_id);
  beat.instance = own(message.group_instance_id);
  const std::string group = beat.group;
  auto step = [&beat](group::Coordinator& coordinator) {
    return coordinator.heartbeat(std::move(beat));
  };
  protocol::HeartbeatResponse response;
  const KafkaError error =
      co_await with_coordinator(request, group, step, [](KafkaError why) { return why; });
  request.complain(error, group);
  response.error_code = wire(error);
  co_return reply_with(request, response);
}

Task<Reply> handle_leave_group(Request& request) {
  PACELINE_DECODE(LeaveGroupRequest, message);
  std::vector<group::LeavingMember> members;
  if (request.version < 3) {
    members.push_back({std::string(message.member_id), std::nullopt, std::nullopt});
  } else {
    for (const auto& member : message.members)
      members.push_back(
          {std::string(member.member_id), own(member.group_instance_id), own(member.reason)});
  }
  const std::string group(message.group_id);
  auto step = [&group, &members](group::Coordinator& coordinator) {
    return coordinator.leave(group, members);
  };
  const KafkaError error =
      co_await with_coordinator(request, group, step, [](KafkaError why) { return why; });
  protocol::LeaveGroupResponse response;
  response.error_code = wire(error);
  if (request.version < 3) {
    if (error == KafkaError::none && !members.empty())
      response.error_code = wire(members.front().error);
  } else if (error == KafkaError::none) {
    for (auto& member : members)
      response.members.push_back(
          {std::move(member.member), std::move(member.instance), wire(member.error)});
  }
  co_return reply_with(request, response);
}

}  // namespace paceline::broker
