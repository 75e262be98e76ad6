#include "broker/api.h"
#include "broker/group_lookup.h"
#include "protocol/gen/delete_groups.h"
#include "protocol/gen/describe_groups.h"
#include "protocol/gen/list_groups.h"

// Groups as tools look at them.

namespace paceline::broker {
namespace {

// Read 3, delete 6, describe 8, describe-configs 10, alter-configs 11: Kafka's bits for groups.
constexpr int32_t kGroupOperations = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

std::string lower(std::string_view text) {
  std::string folded(text);
  std::transform(folded.begin(), folded.end(), folded.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  });
  return folded;
}

bool wanted(const std::vector<std::string_view>& filter, std::string_view value) {
  if (filter.empty()) return true;
  return std::any_of(filter.begin(), filter.end(),
                     [&](std::string_view one) { return lower(one) == lower(value); });
}

}  // namespace

Task<Reply> handle_list_groups(Request& request) {
  PACELINE_DECODE(ListGroupsRequest, message);
  using Listed = std::vector<group::Coordinator::Listed>;
  protocol::ListGroupsResponse response;
  for (size_t shard = 0; shard < request.node.shard_count(); ++shard) {
    ShardHost& host = request.node.host(shard);
    auto list = [](ShardHost* where) -> Task<Listed> {
      Listed all;
      for (const auto& [id, hosted] : where->hosted) {
        if (!hosted->coordinator || !hosted->partition) continue;
        for (auto& group : hosted->coordinator->list()) all.push_back(std::move(group));
      }
      co_return all;
    };
    Listed all =
        co_await env::call_on(*host.shard, request.shard, [list, &host] { return list(&host); });
    for (auto& group : all) {
      if (!wanted(message.states_filter, group.state) || !wanted(message.types_filter, "classic"))
        continue;
      auto& one = response.groups.emplace_back();
      one.group_id = std::move(group.group);
      one.protocol_type = std::move(group.protocol_type);
      one.group_state = std::move(group.state);
      one.group_type = "classic";
    }
  }
  co_return reply_with(request, response);
}

Task<Reply> handle_describe_groups(Request& request) {
  PACELINE_DECODE(DescribeGroupsRequest, message);
  struct Described {
    KafkaError error = KafkaError::none;
    std::optional<group::DescribedGroup> group;
  };
  protocol::DescribeGroupsResponse response;
  for (std::string_view asked : message.groups) {
    const std::string id(asked);
    auto step = [&id](group::Coordinator& coordinator) -> Task<Described> {
      co_return Described{KafkaError::none, coordinator.describe(id)};
    };
    Described described = co_await with_coordinator(
        request, id, step, [](KafkaError error) { return Described{error, std::nullopt}; });
    auto& answer = response.groups.emplace_back();
    answer.group_id = id;
    answer.error_code = wire(described.error);
    if (message.include_authorized_operations) answer.authorized_operations = kGroupOperations;
    if (described.error != KafkaError::none) continue;
    if (!described.group) {
      answer.group_state = "Dead";
      if (request.version >= 6) {
        answer.error_code = wire(KafkaError::group_id_not_found);
        answer.error_message = fmt::format("Group {} not found.", id);
      }
      continue;
    }
    answer.group_state = std::move(described.group->state);
    answer.protocol_type = std::move(described.group->protocol_type);
    answer.protocol_data = std::move(described.group->protocol);
    for (auto& member : described.group->members) {
      auto& one = answer.members.emplace_back();
      one.member_id = std::move(member.member);
      one.group_instance_id = std::move(member.instance);
      one.client_id = std::move(member.client_id);
      one.client_host = std::move(member.client_host);
      one.member_metadata = std::move(member.metadata);
      one.member_assignment = std::move(member.assignment);
    }
  }
  co_return reply_with(request, response);
}

Task<Reply> handle_delete_groups(Request& request) {
  PACELINE_DECODE(DeleteGroupsRequest, message);
  protocol::DeleteGroupsResponse response;
  for (std::string_view asked : message.groups_names) {
    const std::string id(asked);
    auto step = [&id](group::Coordinator& coordinator) { return coordinator.delete_group(id); };
    const KafkaError error =
        co_await with_coordinator(request, id, step, [](KafkaError why) { return why; });
    response.results.push_back({id, wire(error)});
  }
  co_return reply_with(request, response);
}

}  // namespace paceline::broker
