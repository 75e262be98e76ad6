#include "sim/clients.h"

#include <charconv>

#include "protocol/gen/create_topics.h"
#include "protocol/gen/offset_for_leader_epoch.h"
#include "record/kafka_error.h"
#include "sim/router.h"

namespace paceline::sim {

using namespace std::chrono_literals;
using record::KafkaError;

namespace {

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

std::string group_name(uint32_t group) {
  return fmt::format("group-{}", group);
}

std::string Clients::told_by(const Link& link) const {
  return link.teller() == 0 ? std::string() : " by " + history.name_of(link.teller());
}

Task<WireClient*> Link::get() {
  while (!co_await reach()) co_await env::sleep_for(clients_.shard, clients_.between(10ms, 100ms));
  co_return client_.get();
}

Task<bool> Link::reach() {
  if (client_ && !client_->broken()) co_return true;
  client_.reset();
  host_ = fixed_.empty() ? clients_.host : fixed_;
  auto connected = co_await WireClient::connect(clients_.shard, host_, 9092, patience_);
  if (!connected) co_return false;
  client_ = std::move(*connected);
  if (clients_.cluster()) teller_ = clients_.history.teller(clients_.life_of(host_));
  co_return true;
}

Task<void> create_topic(Clients& clients) {
  Router router(clients);
  for (;;) {
    protocol::CreateTopicsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = clients.topic;
    topic.num_partitions = static_cast<int32_t>(clients.partition_count);
    topic.replication_factor = 1;
    request.timeout_ms = 5000;
    Link* link = co_await router.any();
    if (link) {
      auto answer = co_await link->current()->call<protocol::CreateTopicsResponse>(7, request);
      if (!answer) link->drop();
      const auto error = answer ? static_cast<KafkaError>(answer->topics.at(0).error_code)
                                : KafkaError::network_exception;
      if (error == KafkaError::none || error == KafkaError::topic_already_exists) {
        clients.topic_made = true;
        co_return;
      }
    }
    co_await env::sleep_for(clients.shard, 50ms);
  }
}

namespace {

// Asks the leader where an epoch ends, one that it should know.
Task<void> ask_for_end(Clients& clients, Router& router, Key key) {
  Link* link = co_await router.leader(key);
  const int32_t current = router.epoch(key);
  if (!link || current < 0) co_return;
  protocol::OffsetForLeaderEpochRequest request;
  request.replica_id = -1;
  auto& topic = request.topics.emplace_back();
  topic.topic = clients.topic;
  auto& partition = topic.partitions.emplace_back();
  partition.partition = static_cast<int32_t>(key);
  partition.current_leader_epoch = current;
  partition.leader_epoch =
      static_cast<int32_t>(clients.random.below(static_cast<uint64_t>(current) + 1));
  const history::Time asked = clients.now();
  auto answer = co_await link->current()->call<protocol::OffsetForLeaderEpochResponse>(4, request);
  if (!answer) {
    link->drop();
    router.doubt(key);
    co_return;
  }
  const auto& told = answer->topics.at(0).partitions.at(0);
  if (told.error_code != 0) router.doubt(key);
  if (told.error_code != 0 || told.end_offset < 0) co_return;
  clients.history.add(
      EpochEnd{key, partition.leader_epoch, told.end_offset, current, link->teller()}, asked,
      clients.now());
}

}  // namespace

Task<void> run_watcher(Clients& clients) {
  Router router(clients, 3s);
  for (;;) {
    co_await env::sleep_for(clients.shard, clients.between(50ms, 500ms));
    co_await router.look();
    if (clients.topic_made)
      co_await ask_for_end(clients, router,
                           static_cast<Key>(clients.random.below(clients.partition_count)));
  }
}

}  // namespace paceline::sim
