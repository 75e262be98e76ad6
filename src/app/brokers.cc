#include "app/brokers.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "protocol/gen/find_coordinator.h"
#include "protocol/gen/list_offsets.h"
#include "record/kafka_error.h"

namespace paceline::app {

using client::Client;

std::string words(int16_t code, const std::optional<std::string>& message) {
  const std::string name(record::kafka_error_name(static_cast<record::KafkaError>(code)));
  return message && !message->empty() ? fmt::format("{} ({})", *message, name) : name;
}

Task<Result<protocol::MetadataResponse>> ask_metadata(Client& client,
                                                      std::optional<std::string> topic) {
  protocol::MetadataRequest request;
  request.allow_auto_topic_creation = false;
  if (topic) {
    protocol::MetadataRequest::Topic one;
    one.name = *topic;
    request.topics->push_back(one);
  } else {
    request.topics.reset();
  }
  co_return co_await client.call<protocol::MetadataResponse>(12, request);
}

Task<Result<Brokers>> Brokers::find(env::Shard& shard, std::string bootstrap) {
  Brokers found(shard);
  CO_TRY(found.first_, co_await Client::connect(shard, std::move(bootstrap)));
  // Of no topic.
  CO_TRY(auto response,
         co_await found.first_->call<protocol::MetadataResponse>(12, protocol::MetadataRequest()));
  found.all_ = std::move(response.brokers);
  co_return found;
}

Task<Result<Client*>> Brokers::at(int32_t broker) {
  if (const auto found = connected_.find(broker); found != connected_.end())
    co_return found->second.get();
  const auto named = std::ranges::find(all_, broker, &protocol::MetadataResponse::Broker::node_id);
  if (named == all_.end())
    co_return fail(Code::unavailable, fmt::format("there is no broker {}", broker));
  auto client = co_await Client::connect(*shard_, fmt::format("{}:{}", named->host, named->port));
  if (!client)
    co_return fail(client.error().code,
                   fmt::format("broker {}: {}", broker, client.error().message));
  co_return connected_.emplace(broker, std::move(*client)).first->second.get();
}

Task<Result<Client*>> Brokers::coordinator_of(std::string group) {
  protocol::FindCoordinatorRequest request;
  request.coordinator_keys.push_back(group);
  CO_TRY(auto response, co_await first_->call<protocol::FindCoordinatorResponse>(4, request));
  if (response.coordinators.empty())
    co_return fail(Code::corrupt, "the broker names no coordinator");
  const auto& one = response.coordinators.front();
  if (one.error_code != 0)
    co_return fail(Code::unavailable, fmt::format("the coordinator of '{}': {}", group,
                                                  words(one.error_code, one.error_message)));
  co_return co_await at(one.node_id);
}

Task<Result<Brokers::Topic>> Brokers::topic(std::string name) {
  CO_TRY(auto response, co_await ask_metadata(*first_, std::move(name)));
  if (response.topics.empty()) co_return fail(Code::corrupt, "the broker names no topic");
  co_return std::move(response.topics.front());
}

Task<Result<Brokers::Offsets>> Brokers::offsets(const Topic& topic, int64_t which) {
  std::map<int32_t, std::vector<int32_t>> led;
  for (const auto& partition : topic.partitions)
    if (partition.leader_id >= 0) led[partition.leader_id].push_back(partition.partition_index);
  Offsets offsets;
  for (const auto& [leader, partitions] : led) {
    protocol::ListOffsetsRequest request;
    request.replica_id = -1;
    auto& asked = request.topics.emplace_back();
    asked.name = topic.name.value_or("");
    for (const int32_t index : partitions) {
      auto& one = asked.partitions.emplace_back();
      one.partition_index = index;
      one.timestamp = which;
    }
    CO_TRY(Client * client, co_await at(leader));
    CO_TRY(auto response, co_await client->call<protocol::ListOffsetsResponse>(7, request));
    for (const auto& answer : response.topics)
      for (const auto& one : answer.partitions)
        if (one.error_code == 0) offsets[one.partition_index] = one.offset;
  }
  co_return offsets;
}

}  // namespace paceline::app
