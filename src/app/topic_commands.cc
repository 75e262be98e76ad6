#include "app/brokers.h"
#include "app/commands.h"
#include "app/print.h"
#include "protocol/gen/create_topics.h"
#include "protocol/gen/delete_topics.h"

namespace paceline::app {

using client::Client;

int complain(int code, const std::string& message) {
  std::fprintf(stderr, "paceline: %s\n", message.c_str());
  return code;
}

Task<int> topic_list(env::Shard& shard, Target target) {
  auto client = co_await Client::connect(shard, target.bootstrap);
  if (!client) co_return complain(kFailed, client.error().message);
  auto response = co_await ask_metadata(**client, std::nullopt);
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
  auto brokers = co_await Brokers::find(shard, target.bootstrap);
  if (!brokers) co_return complain(kFailed, brokers.error().message);
  auto topic = co_await brokers->topic(name);
  if (!topic) co_return complain(kFailed, topic.error().message);
  if (topic->error_code != 0)
    co_return complain(topic->error_code == 3 ? kNotFound : kFailed,
                       fmt::format("topic '{}': {}", name, words(topic->error_code, std::nullopt)));
  auto starts = co_await brokers->offsets(*topic, -2);
  auto ends = co_await brokers->offsets(*topic, -1);
  if (!starts || !ends) co_return complain(kFailed, (starts ? ends : starts).error().message);
  Listing listing("TopicDescription",
                  {"partition", "leader", "leader_epoch", "start_offset", "end_offset", "records"});
  for (const auto& partition : topic->partitions) {
    const auto start = starts->find(partition.partition_index);
    const auto end = ends->find(partition.partition_index);
    const bool known = start != starts->end() && end != ends->end();
    listing.row({Cell::of(int64_t{partition.partition_index}),
                 Cell::of(int64_t{partition.leader_id}), Cell::of(int64_t{partition.leader_epoch}),
                 known ? Cell::of(start->second) : Cell::none(),
                 known ? Cell::of(end->second) : Cell::none(),
                 known ? Cell::of(end->second - start->second) : Cell::none()});
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
