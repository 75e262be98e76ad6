#include "broker/api.h"
#include "broker/lookup.h"
#include "broker/topic_names.h"
#include "protocol/gen/alter_replica_log_dirs.h"
#include "protocol/gen/describe_cluster.h"
#include "protocol/gen/describe_log_dirs.h"
#include "protocol/gen/describe_topic_partitions.h"
#include "protocol/gen/metadata.h"

// What the cluster looks like: brokers, topics, partitions, leaders.

namespace paceline::broker {
namespace {

// Everything is allowed until there are ACLs: the operations of Kafka's AclOperation, as bits.
// Topic: read 3, write 4, create 5, delete 6, alter 7, describe 8, describe-configs 10,
// alter-configs 11. Cluster: create 5, alter 7, describe 8, cluster-action 9, describe-configs 10,
// alter-configs 11, idempotent-write 12.
constexpr int32_t kTopicOperations =
    1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;
constexpr int32_t kClusterOperations =
    1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;

// Where tools are told that everything lies, whichever broker they ask.
constexpr std::string_view kLogDir = "paceline:objects";

const meta::Endpoint* endpoint_of(const cluster::BrokerImage& broker, std::string_view listener) {
  for (const meta::Endpoint& endpoint : broker.endpoints) {
    if (endpoint.listener == listener) return &endpoint;
  }
  return broker.endpoints.empty() ? nullptr : &broker.endpoints.front();
}

// As it is advertised for the listener that the client came by. Answers differ in what they call
// a broker's id.
template <class Entry>
void add_broker(const cluster::BrokerImage& broker, std::string_view listener, int32_t Entry::* id,
                std::vector<Entry>& to) {
  const meta::Endpoint* endpoint = endpoint_of(broker, listener);
  if (!endpoint) return;
  Entry& one = to.emplace_back();
  one.*id = broker.id.value;
  one.host = endpoint->host;
  one.port = endpoint->port;
  if (!broker.rack.empty()) one.rack = broker.rack;
}

std::vector<int32_t> ids(const std::vector<BrokerId>& brokers) {
  std::vector<int32_t> numbers;
  for (BrokerId broker : brokers) numbers.push_back(broker.value);
  return numbers;
}

template <class Response>
void add_topic(const cluster::TopicImage& topic, bool operations, Response& answer) {
  answer.name = topic.name;
  answer.topic_id = topic.id;
  answer.is_internal = topic.internal;
  if (operations) answer.topic_authorized_operations = kTopicOperations;
}

protocol::MetadataResponse::Topic describe(const cluster::TopicImage& topic, bool operations) {
  protocol::MetadataResponse::Topic answer;
  add_topic(topic, operations, answer);
  answer.partitions.reserve(topic.partitions.size());
  for (size_t index = 0; index < topic.partitions.size(); ++index) {
    const cluster::PartitionImage& partition = topic.partitions[index];
    auto& one = answer.partitions.emplace_back();
    one.partition_index = static_cast<int32_t>(index);
    one.leader_id = partition.leader.value;
    one.leader_epoch = partition.epoch.value;
    one.replica_nodes = ids(partition.replicas);
    one.isr_nodes = one.replica_nodes;
    if (partition.leader.value < 0) one.error_code = wire(KafkaError::leader_not_available);
  }
  return answer;
}

protocol::MetadataResponse::Topic find_topic(Request& request, const cluster::Image& image,
                                             const protocol::MetadataRequest& message,
                                             const protocol::MetadataRequest::Topic& asked) {
  protocol::MetadataResponse::Topic answer;
  answer.name = asked.name ? std::optional(std::string(*asked.name)) : std::nullopt;
  answer.topic_id = asked.topic_id;
  const bool by_id = request.version >= 10 && !asked.topic_id.is_zero();
  const cluster::TopicImage* topic =
      by_id ? image.topic(asked.topic_id) : image.topic(asked.name.value_or(""));
  if (topic) return describe(*topic, message.include_topic_authorized_operations);
  if (by_id) {
    answer.error_code = wire(KafkaError::unknown_topic_id);
  } else if (!asked.name || !valid_topic_name(*asked.name)) {
    answer.error_code = wire(KafkaError::invalid_topic_exception);
  } else {
    answer.error_code = wire(KafkaError::unknown_topic_or_partition);
    if (message.allow_auto_topic_creation && request.node.settings().auto_create_topics &&
        *asked.name != kOffsetsTopic && !colliding_topic(*asked.name, image))
      request.node.auto_create(request.shard, std::string(*asked.name));
  }
  return answer;
}

}  // namespace

Task<Reply> handle_metadata(Request& request) {
  PACELINE_DECODE(MetadataRequest, message);
  // Clients that have lost a leader ask at once, and after an old answer not so soon again.
  if (PeerCalls* others = request.node.calls()) co_await others->decided(request.shard);
  const auto image = request.node.image();
  protocol::MetadataResponse response;
  auto add = [&](const cluster::BrokerImage& broker) {
    add_broker(broker, request.peer.listener, &protocol::MetadataResponse::Broker::node_id,
               response.brokers);
  };
  for (const cluster::BrokerImage& broker : image->brokers) add(broker);
  // Those that have just gone, too, as Kafka has them for the nine seconds until it notices. A
  // client of librdkafka 2.15 that is told at once that a broker is gone and who leads its
  // partitions now mislays them with the broker, for up to a second.
  for (const cluster::GoneBroker& gone : image->gone)
    if (request.shard.now() - gone.at < cluster::kGoneKept) add(gone.broker);
  response.cluster_id = image->cluster_id.to_string();
  response.controller_id = request.node.settings().broker.value;
  if (message.include_cluster_authorized_operations)
    response.cluster_authorized_operations = kClusterOperations;
  // Version 0 has no null: there an empty list means all.
  const bool all = !message.topics || (request.version == 0 && message.topics->empty());
  if (all) {
    for (const auto& [name, topic] : image->topics)
      response.topics.push_back(describe(*topic, message.include_topic_authorized_operations));
  } else {
    for (const auto& asked : *message.topics)
      response.topics.push_back(find_topic(request, *image, message, asked));
  }
  co_return reply_with(request, response);
}

Task<Reply> handle_describe_cluster(Request& request) {
  PACELINE_DECODE(DescribeClusterRequest, message);
  protocol::DescribeClusterResponse response;
  const auto image = request.node.image();
  response.cluster_id = image->cluster_id.to_string();
  response.controller_id = request.node.settings().broker.value;
  response.endpoint_type = message.endpoint_type;
  if (message.endpoint_type != 1) {
    response.error_code = wire(KafkaError::unsupported_endpoint_type);
    response.error_message = "there is no separate controller to describe";
    co_return reply_with(request, response);
  }
  for (const cluster::BrokerImage& broker : image->brokers)
    add_broker(broker, request.peer.listener, &protocol::DescribeClusterResponse::Broker::broker_id,
               response.brokers);
  if (message.include_cluster_authorized_operations)
    response.cluster_authorized_operations = kClusterOperations;
  co_return reply_with(request, response);
}

Task<Reply> handle_describe_topic_partitions(Request& request) {
  PACELINE_DECODE(DescribeTopicPartitionsRequest, message);
  const auto image = request.node.image();
  std::vector<std::string> names;
  for (const auto& topic : message.topics) names.emplace_back(topic.name);
  if (names.empty()) {
    for (const auto& [name, topic] : image->topics) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());

  protocol::DescribeTopicPartitionsResponse response;
  int64_t room = std::clamp(message.response_partition_limit, 1, 2000);
  for (const std::string& name : names) {
    size_t first = 0;
    if (message.cursor) {
      if (name < message.cursor->topic_name) continue;
      if (name == message.cursor->topic_name)
        first = static_cast<size_t>(std::max(message.cursor->partition_index, 0));
    }
    const cluster::TopicImage* topic = image->topic(name);
    if (topic && room == 0) {
      response.next_cursor = {name, static_cast<int32_t>(first)};
      break;
    }
    auto& answer = response.topics.emplace_back();
    answer.name = name;
    if (!topic) {
      answer.error_code = wire(valid_topic_name(name) ? KafkaError::unknown_topic_or_partition
                                                      : KafkaError::invalid_topic_exception);
      continue;
    }
    add_topic(*topic, true, answer);
    for (size_t index = first; index < topic->partitions.size(); ++index) {
      if (room == 0) {
        response.next_cursor = {name, static_cast<int32_t>(index)};
        break;
      }
      --room;
      const cluster::PartitionImage& partition = topic->partitions[index];
      auto& one = answer.partitions.emplace_back();
      one.partition_index = static_cast<int32_t>(index);
      one.leader_id = partition.leader.value;
      one.leader_epoch = partition.epoch.value;
      one.replica_nodes = ids(partition.replicas);
      one.isr_nodes = one.replica_nodes;
      // There are none; Kafka's own client takes null for damage.
      one.eligible_leader_replicas.emplace();
      one.last_known_elr.emplace();
    }
    if (response.next_cursor) break;
  }
  co_return reply_with(request, response);
}

Task<Reply> handle_describe_log_dirs(Request& request) {
  PACELINE_DECODE(DescribeLogDirsRequest, message);
  struct Question {
    std::string topic;
    Uuid topic_id;
    int32_t index;
    KafkaError error = KafkaError::none;
    uint64_t bytes = 0;
  };
  const auto image = request.node.image();
  std::vector<Question> questions;
  if (message.topics) {
    for (const auto& topic : *message.topics) {
      const cluster::TopicImage* found = image->topic(topic.topic);
      for (int32_t index : topic.partitions) {
        if (why_not_here(request.node, found, index) == KafkaError::none)
          questions.push_back({found->name, found->id, index});
      }
    }
  } else {
    for (const auto& [name, topic] : image->topics) {
      for (size_t index = 0; index < topic->partitions.size(); ++index) {
        if (topic->partitions[index].leader == request.node.settings().broker)
          questions.push_back({name, topic->id, static_cast<int32_t>(index)});
      }
    }
  }
  auto step = [](Hosted& hosted, Question& question) -> Task<void> {
    question.bytes = hosted.partition->bytes();
    co_return;
  };
  co_await on_home_shards(request, questions, step);

  protocol::DescribeLogDirsResponse response;
  auto& dir = response.results.emplace_back();
  dir.log_dir = kLogDir;
  for (const Question& question : questions) {
    if (dir.topics.empty() || dir.topics.back().name != question.topic)
      dir.topics.emplace_back().name = question.topic;
    auto& one = dir.topics.back().partitions.emplace_back();
    one.partition_index = question.index;
    one.partition_size = static_cast<int64_t>(question.bytes);
  }
  co_return reply_with(request, response);
}

// There is one place, and everything is there already: what kafka-reassign-partitions prints for a
// rollback names it, and has to work.
Task<Reply> handle_alter_replica_log_dirs(Request& request) {
  PACELINE_DECODE(AlterReplicaLogDirsRequest, message);
  const auto image = request.node.image();
  protocol::AlterReplicaLogDirsResponse response;
  for (const auto& dir : message.dirs) {
    for (const auto& asked : dir.topics) {
      const cluster::TopicImage* topic = image->topic(asked.name);
      auto& answer = response.results.emplace_back();
      answer.topic_name = std::string(asked.name);
      for (int32_t index : asked.partitions) {
        auto& one = answer.partitions.emplace_back();
        one.partition_index = index;
        const bool known =
            topic && index >= 0 && static_cast<size_t>(index) < topic->partitions.size();
        one.error_code = wire(!known                ? KafkaError::unknown_topic_or_partition
                              : dir.path != kLogDir ? KafkaError::log_dir_not_found
                                                    : KafkaError::none);
      }
    }
  }
  co_return reply_with(request, response);
}

}  // namespace paceline::broker
