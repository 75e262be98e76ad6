#include "app/brokers.h"
#include "app/commands.h"
#include "app/print.h"
#include "protocol/gen/describe_configs.h"
#include "protocol/gen/describe_groups.h"
#include "protocol/gen/incremental_alter_configs.h"
#include "protocol/gen/list_groups.h"
#include "protocol/gen/offset_fetch.h"

// Groups and configuration.

namespace paceline::app {
namespace {

using client::Client;

struct Resource {
  int8_t type;
  std::string name;
};
Result<Resource> parse_resource(const std::string& text) {
  if (text.starts_with("topic/")) return Resource{2, text.substr(6)};
  if (text.starts_with("broker/")) return Resource{4, text.substr(7)};
  if (text == "broker") return Resource{4, ""};
  return fail(Code::invalid_argument,
              fmt::format("'{}' is neither topic/NAME nor broker/ID nor broker", text));
}

constexpr std::string_view kSources[] = {"?",      "topic",  "dynamic-broker", "dynamic-default",
                                         "static", "default"};

}  // namespace

// Each broker knows the groups that it coordinates. One that does not answer is named, after what
// the others have said.
Task<int> group_list(env::Shard& shard, Target target) {
  auto brokers = co_await Brokers::find(shard, target.bootstrap);
  if (!brokers) co_return complain(kFailed, brokers.error().message);
  std::map<std::string, protocol::ListGroupsResponse::Group> groups;
  std::string silent;
  for (const auto& broker : brokers->all()) {
    auto client = co_await brokers->at(broker.node_id);
    Result<protocol::ListGroupsResponse> response = fail(Code::unavailable, "");
    if (client)
      response =
          co_await (*client)->call<protocol::ListGroupsResponse>(5, protocol::ListGroupsRequest());
    if (!response)
      silent =
          fmt::format("broker {} does not answer: its groups are not in the list", broker.node_id);
    else
      for (auto& group : response->groups) groups[group.group_id] = std::move(group);
  }
  Listing listing("GroupList", {"group", "state", "protocol_type"});
  for (const auto& [name, group] : groups)
    listing.row({Cell::of(name), Cell::of(group.group_state), Cell::of(group.protocol_type)});
  listing.print(target.json);
  co_return silent.empty() ? kDone : complain(kPartly, silent);
}

Task<int> group_describe(env::Shard& shard, Target target, std::string group) {
  auto brokers = co_await Brokers::find(shard, target.bootstrap);
  if (!brokers) co_return complain(kFailed, brokers.error().message);
  auto client = co_await brokers->coordinator_of(group);
  if (!client) co_return complain(kFailed, client.error().message);
  protocol::DescribeGroupsRequest describe;
  describe.groups.push_back(group);
  auto described = co_await (*client)->call<protocol::DescribeGroupsResponse>(5, describe);
  if (!described) co_return complain(kFailed, described.error().message);
  const auto& found = described->groups.front();
  if (found.error_code != 0) co_return complain(kFailed, words(found.error_code, std::nullopt));
  protocol::OffsetFetchRequest fetch;
  fetch.group_id = group;
  fetch.topics.reset();
  auto fetched = co_await (*client)->call<protocol::OffsetFetchResponse>(7, fetch);
  if (!fetched) co_return complain(kFailed, fetched.error().message);
  if (found.group_state == "Dead" && fetched->topics.empty())
    co_return complain(kNotFound, fmt::format("there is no group '{}'", group));
  if (!target.json)
    std::printf("group %s  state %s  members %zu\n", group.c_str(), found.group_state.c_str(),
                found.members.size());
  Listing listing("GroupDescription",
                  {"topic", "partition", "committed_offset", "end_offset", "lag", "metadata"});
  for (const auto& topic : fetched->topics) {
    auto known_as = co_await brokers->topic(topic.name);
    if (!known_as) co_return complain(kFailed, known_as.error().message);
    auto ends = co_await brokers->offsets(*known_as, -1);
    if (!ends) co_return complain(kFailed, ends.error().message);
    for (const auto& partition : topic.partitions) {
      const auto end = ends->find(partition.partition_index);
      const bool known = end != ends->end();
      listing.row({Cell::of(topic.name), Cell::of(int64_t{partition.partition_index}),
                   Cell::of(partition.committed_offset),
                   known ? Cell::of(end->second) : Cell::none(),
                   known ? Cell::of(end->second - partition.committed_offset) : Cell::none(),
                   partition.metadata ? Cell::of(*partition.metadata) : Cell::none()});
    }
  }
  listing.print(target.json);
  co_return kDone;
}

Task<int> config_get(env::Shard& shard, Target target, std::string resource) {
  auto what = parse_resource(resource);
  if (!what) co_return complain(kUsage, what.error().message);
  auto client = co_await Client::connect(shard, target.bootstrap);
  if (!client) co_return complain(kFailed, client.error().message);
  protocol::DescribeConfigsRequest request;
  auto& asked = request.resources.emplace_back();
  asked.resource_type = what->type;
  asked.resource_name = what->name;
  asked.configuration_keys.reset();
  auto response = co_await (*client)->call<protocol::DescribeConfigsResponse>(4, request);
  if (!response) co_return complain(kFailed, response.error().message);
  const auto& answer = response->results.front();
  if (answer.error_code != 0)
    co_return complain(
        answer.error_code == 3 ? kNotFound : kFailed,
        fmt::format("{}: {}", resource,
                    answer.error_message.value_or(words(answer.error_code, std::nullopt))));
  Listing listing("Config", {"key", "value", "source", "read_only"});
  for (const auto& config : answer.configs) {
    const auto source = static_cast<size_t>(std::clamp<int>(config.config_source, 0, 5));
    listing.row({Cell::of(config.name), config.value ? Cell::of(*config.value) : Cell::none(),
                 Cell::of(std::string(kSources[source])), Cell::of(config.read_only)});
  }
  listing.print(target.json);
  co_return kDone;
}

Task<int> config_set(env::Shard& shard, Target target, std::string resource,
                     std::vector<std::string> values) {
  auto what = parse_resource(resource);
  if (!what) co_return complain(kUsage, what.error().message);
  auto client = co_await Client::connect(shard, target.bootstrap);
  if (!client) co_return complain(kFailed, client.error().message);
  protocol::IncrementalAlterConfigsRequest request;
  auto& asked = request.resources.emplace_back();
  asked.resource_type = what->type;
  asked.resource_name = what->name;
  for (const std::string& value : values) {
    const size_t equals = value.find('=');
    auto& one = asked.configs.emplace_back();
    one.name = std::string_view(value).substr(0, equals);
    // "key=" sets the empty value; "key" alone goes back to the default.
    one.config_operation = equals == std::string::npos ? 1 : 0;
    if (equals != std::string::npos) one.value = std::string_view(value).substr(equals + 1);
  }
  auto response = co_await (*client)->call<protocol::IncrementalAlterConfigsResponse>(1, request);
  if (!response) co_return complain(kFailed, response.error().message);
  const auto& answer = response->responses.front();
  if (answer.error_code != 0)
    co_return complain(
        answer.error_code == 3 ? kNotFound : kFailed,
        fmt::format("{}: {}", resource,
                    answer.error_message.value_or(words(answer.error_code, std::nullopt))));
  co_return kDone;
}

}  // namespace paceline::app
