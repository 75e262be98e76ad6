#include "app/commands.h"
#include "app/print.h"
#include "client/client.h"
#include "protocol/gen/create_topics.h"
#include "protocol/gen/delete_topics.h"
#include "protocol/gen/list_offsets.h"
#include "protocol/gen/metadata.h"
#include "record/kafka_error.h"

namespace paceline::app {
namespace {

using client::Client;

std::string words(int16_t code, const std::optional<std::string>& message) {
  const std::string name(record::kafka_error_name(static_cast<record::KafkaError>(code)));
  return message && !message->empty() ? fmt::format("{} ({})", *message, name) : name;
}

Task<Result<protocol::MetadataResponse>> metadata(Client& client, std::optional<std::string> name) {
  protocol::MetadataRequest request;
  request.allow_auto_topic_creation = false;
  if (name) {
    protocol::MetadataRequest::Topic topic;
    topic.name = *name;
    request.topics->push_back(topic);
  } else {
    request.topics.reset();
  }
  co_return co_await client.call<protocol::MetadataResponse>(12, request);
}

Task<Result<std::vector<int64_t>>> offsets(Client& client, const std::string& topic, size_t count,
                                           int64_t which) {
  protocol::ListOffsetsRequest request;
  request.replica_id = -1;
  auto& asked = request.topics.emplace_back();
  asked.name = topic;
  for (size_t index = 0; index < count; ++index) {
    auto& one = asked.partitions.emplace_back();
    one.partition_index = static_cast<int32_t>(index);
    one.timestamp = which;
  }
  CO_TRY(auto response, co_await client.call<protocol::ListOffsetsResponse>(7, request));
  std::vector<int64_t> found(count, -1);
  for (const auto& answer : response.topics) {
    for (const auto& one : answer.partitions) {
      if (one.partition_index >= 0 && static_cast<size_t>(one.partition_index) < count)
        found[static_cast<size_t>(one.partition_index)] = one.offset;
    }
  }
  co_return found;
}

}  // namespace

int complain(int code, const std::string& message) {
  std::fprintf(stderr, "paceline: %s\n", message.c_str());
  return code;
}

Task<int> topic_list(env::Shard& shard, Target target) {
  auto client = co_await Client::connect(shard, target.bootstrap);
  if (!client) co_return complain(kFailed, client.error().message);
  auto response = co_await metadata(**client, std::nullopt);
  if (!response) co_return complain(kFailed, response.error().message);
  Listing listing("TopicList", {"topic", "partitions", "internal", "topic_id"});
  std::sort(response->topics.begin(), response->topics.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  for (const auto& topic : response->topics)
    listing.row({Cell::of(topic.name.value_or("")),
                 Cell::of(static_cast<int64_t>(topic.partitions.size())),
                 Cell::of(topic.is_internal), Cell::of(topic.topic_id.to_string())});
  listing.print(target.json);
  co_return kDone;
}

Task<int> topic_create(env::Shard& shard, Target target, TopicSpec topic) {
  auto client = co_await Client::connect(shard, target.bootstrap);
  if (!client) co_return complain(kFailed, client.error().message);
  protocol::CreateTopicsRequest request;
  auto& asked = request.topics.emplace_back();
  asked.name = topic.name;
  asked.num_partitions = topic.partitions;
  asked.replication_factor = topic.replication_factor;
  for (const std::string& config : topic.configs) {
    const size_t equals = config.find('=');
    if (equals == std::string::npos)
      co_return complain(kUsage, fmt::format("'{}' is not of the form key=value", config));
    auto& one = asked.configs.emplace_back();
    one.name = std::string_view(config).substr(0, equals);
    one.value = std::string_view(config).substr(equals + 1);
  }
  auto response = co_await (*client)->call<protocol::CreateTopicsResponse>(7, request);
  if (!response) co_return complain(kFailed, response.error().message);
  const auto& answer = response->topics.front();
  if (answer.error_code != 0)
    co_return complain(answer.error_code == 36 ? kRefused : kFailed,
                       words(answer.error_code, answer.error_message));
  Listing listing("TopicCreated", {"topic", "partitions", "topic_id"});
  listing.row({Cell::of(topic.name), Cell::of(int64_t{answer.num_partitions}),
               Cell::of(answer.topic_id.to_string())});
  listing.print(target.json);
  co_return kDone;
}

Task<int> topic_describe(env::Shard& shard, Target target, std::string name) {
  auto client = co_await Client::connect(shard, target.bootstrap);
  if (!client) co_return complain(kFailed, client.error().message);
  auto response = co_await metadata(**client, name);
  if (!response) co_return complain(kFailed, response.error().message);
  const auto& topic = response->topics.front();
  if (topic.error_code != 0)
    co_return complain(topic.error_code == 3 ? kNotFound : kFailed,
                       fmt::format("topic '{}': {}", name, words(topic.error_code, std::nullopt)));
  const size_t count = topic.partitions.size();
  auto starts = co_await offsets(**client, name, count, -2);
  auto ends = co_await offsets(**client, name, count, -1);
  if (!starts || !ends) co_return complain(kFailed, (starts ? ends : starts).error().message);
  Listing listing("TopicDescription",
                  {"partition", "leader", "leader_epoch", "start_offset", "end_offset", "records"});
  for (size_t index = 0; index < count; ++index) {
    const auto& partition = topic.partitions[index];
    const auto at = static_cast<size_t>(partition.partition_index);
    if (at >= count) continue;
    listing.row({Cell::of(int64_t{partition.partition_index}),
                 Cell::of(int64_t{partition.leader_id}), Cell::of(int64_t{partition.leader_epoch}),
                 Cell::of((*starts)[at]), Cell::of((*ends)[at]),
                 Cell::of((*ends)[at] - (*starts)[at])});
  }
  listing.print(target.json);
  co_return kDone;
}

Task<int> topic_delete(env::Shard& shard, Target target, std::string name) {
  auto client = co_await Client::connect(shard, target.bootstrap);
  if (!client) co_return complain(kFailed, client.error().message);
  protocol::DeleteTopicsRequest request;
  auto& asked = request.topics.emplace_back();
  asked.name = name;
  request.timeout_ms = 30'000;
  auto response = co_await (*client)->call<protocol::DeleteTopicsResponse>(6, request);
  if (!response) co_return complain(kFailed, response.error().message);
  const auto& answer = response->responses.front();
  if (answer.error_code != 0)
    co_return complain(
        answer.error_code == 3 ? kNotFound : kFailed,
        fmt::format("topic '{}': {}", name, words(answer.error_code, answer.error_message)));
  if (!target.json) std::printf("topic %s deleted\n", name.c_str());
  co_return kDone;
}

}  // namespace paceline::app
