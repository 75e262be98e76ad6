#include <algorithm>
#include <charconv>
#include <map>

#include "app/brokers.h"
#include "app/commands.h"
#include "app/print.h"
#include "protocol/gen/alter_partition_reassignments.h"
#include "protocol/gen/drain_broker.h"
#include "protocol/gen/elect_leaders.h"

namespace paceline::app {
namespace {

using client::Client;

constexpr int16_t kElectionNotNeeded = 84;

struct Named {
  std::string topic;
  std::optional<int32_t> partition;
};
// TOPIC or TOPIC:P. A topic's name holds no colon.
std::optional<Named> parse_named(const std::string& text) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos) return Named{text, std::nullopt};
  int32_t index = -1;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, index);
  if (parsed.ec != std::errc{} || parsed.ptr != end || index < 0) return std::nullopt;
  return Named{text.substr(0, colon), index};
}

// What became of each partition.
using Results = std::map<int32_t, std::string>;

// The new leader first, the others as they were.
Task<Result<Results>> set_preferences(Client& client, const std::string& topic,
                                      const std::map<int32_t, std::vector<int32_t>>& replicas,
                                      int32_t to) {
  protocol::AlterPartitionReassignmentsRequest request;
  auto& asked = request.topics.emplace_back();
  asked.name = topic;
  for (const auto& [index, old] : replicas) {
    auto& one = asked.partitions.emplace_back();
    one.partition_index = index;
    one.replicas.emplace(1, to);
    for (int32_t id : old)
      if (id != to && one.replicas->size() < old.size()) one.replicas->push_back(id);
  }
  CO_TRY(auto response,
         co_await client.call<protocol::AlterPartitionReassignmentsResponse>(0, request));
  Results failed;
  for (const auto& answer : response.responses)
    for (const auto& one : answer.partitions)
      if (one.error_code != 0)
        failed[one.partition_index] = words(one.error_code, one.error_message);
  co_return failed;
}

Task<Result<Results>> elect(Client& client, const std::string& topic,
                            const std::vector<int32_t>& partitions) {
  protocol::ElectLeadersRequest request;
  auto& asked = request.topic_partitions->emplace_back();
  asked.topic = topic;
  asked.partitions = partitions;
  CO_TRY(auto response, co_await client.call<protocol::ElectLeadersResponse>(2, request));
  Results failed;
  for (const auto& answer : response.replica_election_results)
    for (const auto& one : answer.partition_result)
      if (one.error_code != 0 && one.error_code != kElectionNotNeeded)
        failed[one.partition_id] = words(one.error_code, one.error_message);
  co_return failed;
}

size_t led_by(const protocol::MetadataResponse& response, int32_t broker) {
  size_t count = 0;
  for (const auto& topic : response.topics)
    for (const auto& partition : topic.partitions)
      if (partition.leader_id == broker) ++count;
  return count;
}

}  // namespace

Task<int> leader_list(env::Shard& shard, Target target, std::string named) {
  const auto which = parse_named(named);
  if (!which) co_return complain(kUsage, fmt::format("'{}' is not TOPIC or TOPIC:P", named));
  auto client = co_await Client::connect(shard, target.bootstrap);
  if (!client) co_return complain(kFailed, client.error().message);
  auto response =
      co_await ask_metadata(**client, named.empty() ? std::nullopt : std::optional(which->topic));
  if (!response) co_return complain(kFailed, response.error().message);
  Listing listing("LeaderList", {"topic", "partition", "leader", "leader_epoch", "replicas"});
  std::ranges::sort(response->topics, [](const auto& a, const auto& b) { return a.name < b.name; });
  for (const auto& topic : response->topics) {
    if (topic.error_code != 0)
      co_return complain(topic.error_code == 3 ? kNotFound : kFailed,
                         fmt::format("topic '{}': {}", topic.name.value_or(""),
                                     words(topic.error_code, std::nullopt)));
    for (const auto& partition : topic.partitions) {
      if (which->partition && *which->partition != partition.partition_index) continue;
      std::string replicas;
      for (int32_t id : partition.replica_nodes)
        replicas += fmt::format("{}{}", replicas.empty() ? "" : ",", id);
      listing.row({Cell::of(topic.name.value_or("")), Cell::of(int64_t{partition.partition_index}),
                   Cell::of(int64_t{partition.leader_id}),
                   Cell::of(int64_t{partition.leader_epoch}), Cell::of(replicas)});
    }
  }
  listing.print(target.json);
  co_return kDone;
}

Task<int> leader_move(env::Shard& shard, Target target, std::string named, int32_t to) {
  const auto which = parse_named(named);
  if (!which || which->topic.empty())
    co_return complain(kUsage, fmt::format("'{}' is not TOPIC or TOPIC:P", named));
  auto client = co_await Client::connect(shard, target.bootstrap);
  if (!client) co_return complain(kFailed, client.error().message);
  auto before = co_await ask_metadata(**client, which->topic);
  if (!before) co_return complain(kFailed, before.error().message);
  const auto& topic = before->topics.front();
  if (topic.error_code != 0)
    co_return complain(
        topic.error_code == 3 ? kNotFound : kFailed,
        fmt::format("topic '{}': {}", which->topic, words(topic.error_code, std::nullopt)));
  std::map<int32_t, std::vector<int32_t>> replicas;
  for (const auto& partition : topic.partitions)
    if (!which->partition || *which->partition == partition.partition_index)
      replicas[partition.partition_index] = partition.replica_nodes;
  if (replicas.empty())
    co_return complain(kNotFound, fmt::format("there is no partition '{}'", named));
  auto failed = co_await set_preferences(**client, which->topic, replicas, to);
  if (!failed) co_return complain(kFailed, failed.error().message);
  std::vector<int32_t> wanted;
  for (const auto& [index, old] : replicas)
    if (!failed->contains(index)) wanted.push_back(index);
  auto elected = co_await elect(**client, which->topic, wanted);
  if (!elected) co_return complain(kFailed, elected.error().message);
  failed->merge(*elected);
  Listing listing("LeaderMoved", {"topic", "partition", "leader", "outcome"});
  for (const auto& [index, old] : replicas) {
    const auto why = failed->find(index);
    listing.row({Cell::of(which->topic), Cell::of(int64_t{index}), Cell::of(int64_t{to}),
                 Cell::of(why == failed->end() ? std::string("moved") : why->second)});
  }
  listing.print(target.json);
  if (failed->empty()) co_return kDone;
  co_return failed->size() == replicas.size() ? kRefused : kPartly;
}

Task<int> leader_drain(env::Shard& shard, Target target, int32_t broker, bool wait) {
  constexpr env::Duration kPatience = std::chrono::seconds(60);
  auto client = co_await Client::connect(shard, target.bootstrap);
  if (!client) co_return complain(kFailed, client.error().message);
  protocol::DrainBrokerRequest request;
  request.broker_id = broker;
  auto response = co_await (*client)->call<protocol::DrainBrokerResponse>(0, request);
  if (!response) co_return complain(kFailed, response.error().message);
  if (response->error_code != 0)
    co_return complain(response->error_code == 8 ? kNotFound : kRefused,
                       words(response->error_code, response->error_message));
  const env::Instant deadline = shard.now() + kPatience;
  size_t left = 0;
  do {
    auto now = co_await ask_metadata(**client, std::nullopt);
    if (!now) co_return complain(kFailed, now.error().message);
    left = led_by(*now, broker);
    if (!wait || left == 0) break;
    if (shard.now() >= deadline)
      co_return complain(kTimeout, fmt::format("broker {} still leads {}", broker, left));
    co_await env::sleep_for(shard, std::chrono::milliseconds(50));
  } while (true);
  Listing listing("LeaderDrain", {"broker", "partitions_left"});
  listing.row({Cell::of(int64_t{broker}), Cell::of(static_cast<int64_t>(left))});
  listing.print(target.json);
  co_return kDone;
}

}  // namespace paceline::app
