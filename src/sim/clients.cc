#include "sim/clients.h"

#include <charconv>

#include "protocol/gen/create_topics.h"
#include "protocol/gen/metadata.h"
#include "record/kafka_error.h"

namespace paceline::sim {

using namespace std::chrono_literals;
using record::KafkaError;

namespace {

constexpr auto kPatience = 10s;

// Mixes a value into the length of its text, so that texts differ in size as well.
size_t padding_of(Value value) {
  uint64_t mixed = value * 0x9e3779b97f4a7c15ull;
  mixed ^= mixed >> 29;
  return mixed % 16 == 0 ? mixed % 6000 : mixed % 200;
}

}  // namespace

std::string value_text(Value value) {
  return fmt::format("{}:{}", value, std::string(padding_of(value), 'x'));
}

std::optional<Value> parse_value(std::string_view text) {
  Value value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || value_text(value) != text) return std::nullopt;
  return value;
}

Task<WireClient*> Link::get() {
  while (!client_ || client_->broken()) {
    client_.reset();
    host_ = clients_.host;
    auto connected = co_await WireClient::connect(clients_.shard, host_, 9092, kPatience);
    if (connected) {
      client_ = std::move(*connected);
    } else {
      co_await env::sleep_for(clients_.shard, clients_.between(10ms, 100ms));
    }
  }
  co_return client_.get();
}

Task<void> create_topic(Clients& clients) {
  Link link(clients);
  for (;;) {
    protocol::CreateTopicsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = clients.topic;
    topic.num_partitions = static_cast<int32_t>(clients.partition_count);
    topic.replication_factor = 1;
    request.timeout_ms = 5000;
    WireClient* client = co_await link.get();
    auto answer = co_await client->call<protocol::CreateTopicsResponse>(7, request);
    if (answer) {
      const auto error = static_cast<KafkaError>(answer->topics.at(0).error_code);
      if (error == KafkaError::none || error == KafkaError::topic_already_exists) {
        clients.topic_made = true;
        co_return;
      }
    }
    co_await env::sleep_for(clients.shard, 50ms);
  }
}

Task<void> run_watcher(Clients& clients) {
  Link link(clients);
  for (;;) {
    co_await env::sleep_for(clients.shard, clients.between(50ms, 500ms));
    protocol::MetadataRequest request;
    request.topics.emplace().emplace_back().name = clients.topic;
    request.allow_auto_topic_creation = false;
    WireClient* client = co_await link.get();
    const history::Time asked = clients.now();
    auto answer = co_await client->call<protocol::MetadataResponse>(12, request);
    if (!answer || answer->topics.empty() || link.to_former()) continue;
    for (const auto& partition : answer->topics.front().partitions) {
      clients.history.add(
          EpochSeen{static_cast<Key>(partition.partition_index), partition.leader_epoch}, asked,
          clients.now());
    }
  }
}

}  // namespace paceline::sim
