#include <span>

#include "broker/api.h"
#include "broker/assignment.h"
#include "broker/lookup.h"
#include "broker/topic_names.h"
#include "protocol/gen/create_partitions.h"
#include "protocol/gen/create_topics.h"
#include "protocol/gen/delete_topics.h"

// Creating, growing and deleting topics.

namespace paceline::broker {
namespace {

using CreateAnswer = protocol::CreateTopicsResponse::Topic;

struct Refusal {
  KafkaError error;
  std::string message;
};

env::Instant deadline_of(const Request& request, int32_t timeout_ms) {
  return request.shard.now() + std::chrono::milliseconds(std::clamp(timeout_ms, 1'000, 60'000));
}

// A metadata store that does not answer holds each change up for seconds. Once the request's time
// is over, what is left of it is not begun any more.
class Begun {
 public:
  Begun(const Request& request, env::Instant deadline) : shard_(request.shard), end_(deadline) {}
  void note(const Error& error) {
    const bool silent = error.code == Code::unavailable || error.code == Code::maybe_written ||
                        error.code == Code::timed_out;
    if (silent && shard_.now() >= end_) why_ = error.message;
  }
  // Nothing: go on.
  std::optional<Refusal> refusal() const {
    if (why_.empty()) return std::nullopt;
    return Refusal{KafkaError::request_timed_out, fmt::format("not begun in time: {}", why_)};
  }

 private:
  env::Shard& shard_;
  env::Instant end_;
  std::string why_;
};

// Of one partition of several that are assigned at once.
Result<std::vector<BrokerId>> assigned_brokers(const cluster::Image& image,
                                               std::span<const int32_t> ids, size_t replicas) {
  if (ids.empty() || ids.size() != replicas)
    return fail(Code::invalid_argument,
                "every partition needs as many brokers as the first one, at least one");
  return named_brokers(image, ids);
}

// The topic as it would be created, or why it cannot be.
std::expected<cluster::NewTopic, Refusal> plan(const Request& request, const cluster::Image& image,
                                               const protocol::CreateTopicsRequest::Topic& asked) {
  const Settings& settings = request.node.settings();
  auto refuse = [](KafkaError error, std::string why) {
    return std::unexpected(Refusal{error, std::move(why)});
  };
  if (auto problem = topic_name_problem(asked.name); !problem.empty())
    return refuse(KafkaError::invalid_topic_exception, problem);
  if (image.topic(asked.name))
    return refuse(KafkaError::topic_already_exists,
                  fmt::format("Topic '{}' already exists.", asked.name));
  if (asked.name == kOffsetsTopic)
    return refuse(KafkaError::invalid_topic_exception, "this topic is made by the broker itself");
  if (const auto* other = colliding_topic(asked.name, image))
    return refuse(
        KafkaError::invalid_topic_exception,
        fmt::format("Topic '{}' collides with existing topic: {}", asked.name, other->name));
  cluster::NewTopic topic;
  topic.name = std::string(asked.name);
  topic.partition_count = asked.num_partitions == -1
                              ? settings.partitions_default
                              : static_cast<uint32_t>(std::max(asked.num_partitions, 0));
  topic.replication_factor = asked.replication_factor == -1 ? settings.replication_factor_default
                                                            : asked.replication_factor;
  if (!asked.assignments.empty()) {
    if (asked.num_partitions != -1 || asked.replication_factor != -1)
      return refuse(KafkaError::invalid_request,
                    "partition count and replication factor must be -1 when assignments are given");
    topic.partition_count = static_cast<uint32_t>(asked.assignments.size());
    topic.replication_factor = static_cast<int16_t>(asked.assignments.front().broker_ids.size());
    std::vector<bool> seen(asked.assignments.size());
    topic.assigned.resize(asked.assignments.size());
    for (const auto& assignment : asked.assignments) {
      const auto index = static_cast<size_t>(assignment.partition_index);
      if (assignment.partition_index < 0 || index >= seen.size() || seen[index] ||
          assignment.broker_ids.empty())
        return refuse(
            KafkaError::invalid_replica_assignment,
            "assignments must name each partition from 0 on once, with at least one broker");
      seen[index] = true;
      auto brokers = assigned_brokers(image, assignment.broker_ids,
                                      asked.assignments.front().broker_ids.size());
      if (!brokers)
        return refuse(KafkaError::invalid_replica_assignment,
                      fmt::format("partition {}: {}", index, brokers.error().message));
      topic.assigned[index] = std::move(*brokers);
    }
  }
  if (topic.partition_count == 0)
    return refuse(KafkaError::invalid_partitions, "Number of partitions must be larger than 0.");
  if (topic.partition_count > settings.partitions_create_max)
    return refuse(KafkaError::policy_violation,
                  fmt::format("at most {} partitions can be created at once",
                              settings.partitions_create_max));
  if (topic.replication_factor <= 0)
    return refuse(KafkaError::invalid_replication_factor,
                  "Replication factor must be larger than 0.");
  for (const auto& config : asked.configs) {
    if (!config.value)
      return refuse(KafkaError::invalid_config,
                    fmt::format("Null value not supported for topic configs: {}", config.name));
    topic.configs[std::string(config.name)] = std::string(*config.value);
  }
  if (auto checked = request.node.topic_configs().check_topic(topic.configs); !checked)
    return refuse(KafkaError::invalid_config, checked.error().message);
  return topic;
}

void describe_created(Request& request, const cluster::NewTopic& topic, CreateAnswer& answer) {
  answer.num_partitions = static_cast<int32_t>(topic.partition_count);
  answer.replication_factor = topic.replication_factor;
  cluster::TopicImage as_created;
  as_created.name = topic.name;
  as_created.configs = topic.configs;
  auto& configs = answer.configs.emplace();
  const auto image = request.node.image();
  for (ConfigValue& value : request.node.topic_configs().describe_topic(as_created, *image)) {
    auto& one = configs.emplace_back();
    one.name = std::move(value.name);
    one.value = std::move(value.value);
    one.read_only = value.read_only;
    one.config_source = static_cast<int8_t>(value.source);
    one.is_sensitive = value.sensitive;
  }
}

Task<void> create_one(Request& request, const protocol::CreateTopicsRequest::Topic& asked,
                      bool validate_only, env::Instant deadline, Begun& begun,
                      CreateAnswer& answer) {
  answer.configs.emplace();
  auto topic = plan(request, *request.node.image(), asked);
  if (!topic) {
    answer.error_code = wire(topic.error().error);
    request.complain(topic.error().error, topic.error().message);
    answer.error_message = topic.error().message;
    co_return;
  }
  describe_created(request, *topic, answer);
  if (validate_only) co_return;
  if (auto late = begun.refusal()) {
    answer.error_code = wire(late->error);
    answer.error_message = late->message;
    co_return;
  }
  Result<Uuid> id = co_await request.node.cluster().create_topic(request.shard, *topic);
  if (!id) {
    begun.note(id.error());
    answer.error_code = wire(kafka_error(id.error().code));
    answer.error_message = id.error().message;
    co_return;
  }
  answer.topic_id = *id;
  // Created is created; that it can be produced to at once is a courtesy.
  co_await request.node.wait_open(request.shard, *id, deadline);
}

}  // namespace

Task<Reply> handle_create_topics(Request& request) {
  PACELINE_DECODE(CreateTopicsRequest, message);
  protocol::CreateTopicsResponse response;
  const env::Instant deadline = deadline_of(request, message.timeout_ms);
  Begun begun(request, deadline);
  for (const auto& asked : message.topics) {
    auto& answer = response.topics.emplace_back();
    answer.name = std::string(asked.name);
    const auto same = std::count_if(message.topics.begin(), message.topics.end(),
                                    [&](const auto& other) { return other.name == asked.name; });
    if (same > 1) {
      answer.configs.emplace();
      answer.error_code = wire(KafkaError::invalid_request);
      answer.error_message = "Duplicate topic name.";
      continue;
    }
    co_await create_one(request, asked, message.validate_only, deadline, begun, answer);
  }
  co_return reply_with(request, response);
}

Task<Reply> handle_delete_topics(Request& request) {
  PACELINE_DECODE(DeleteTopicsRequest, message);
  struct Deletion {
    std::optional<std::string> name;
    Uuid id;
  };
  std::vector<Deletion> deletions;
  for (std::string_view name : message.topic_names) deletions.push_back({std::string(name), {}});
  for (const auto& topic : message.topics)
    deletions.push_back(
        {topic.name ? std::optional(std::string(*topic.name)) : std::nullopt, topic.topic_id});

  protocol::DeleteTopicsResponse response;
  Begun begun(request, deadline_of(request, message.timeout_ms));
  for (Deletion& deletion : deletions) {
    auto& answer = response.responses.emplace_back();
    const auto image = request.node.image();
    const cluster::TopicImage* topic =
        deletion.name ? image->topic(*deletion.name) : image->topic(deletion.id);
    answer.name = topic ? std::optional(topic->name) : deletion.name;
    answer.topic_id = topic ? topic->id : deletion.id;
    if (!topic) {
      answer.error_code = wire(deletion.name ? KafkaError::unknown_topic_or_partition
                                             : KafkaError::unknown_topic_id);
      if (!answer.name && request.version < 6) answer.name = "";
      continue;
    }
    if (!request.node.settings().delete_topics) {
      answer.error_code = wire(KafkaError::topic_deletion_disabled);
      answer.error_message = "delete.topic.enable is false";
      continue;
    }
    if (topic->internal) {
      answer.error_code = wire(KafkaError::invalid_request);
      answer.error_message = "an internal topic cannot be deleted";
      continue;
    }
    if (auto late = begun.refusal()) {
      answer.error_code = wire(late->error);
      answer.error_message = late->message;
      continue;
    }
    const std::string name = topic->name;
    Result<void> deleted = co_await request.node.cluster().delete_topic(request.shard, name);
    if (!deleted) {
      begun.note(deleted.error());
      answer.error_code = wire(kafka_error(deleted.error().code));
      answer.error_message = deleted.error().message;
      continue;
    }
    // Committed offsets of the topic go with it.
    for (size_t shard = 0; shard < request.node.shard_count(); ++shard) {
      ShardHost& host = request.node.host(shard);
      auto forget = [](ShardHost* where, std::string gone) -> Task<void> {
        std::vector<StreamId> ids;
        for (const auto& [id, hosted] : where->hosted) {
          if (hosted->coordinator) ids.push_back(id);
        }
        for (const StreamId& id : ids) {
          Hosted* hosted = where->find(id.owner, static_cast<int32_t>(id.index));
          if (hosted) co_await hosted->coordinator->forget_topic(gone);
        }
      };
      co_await env::call_on(*host.shard, request.shard,
                            [forget, &host, name] { return forget(&host, name); });
    }
  }
  co_return reply_with(request, response);
}

Task<Reply> handle_create_partitions(Request& request) {
  PACELINE_DECODE(CreatePartitionsRequest, message);
  protocol::CreatePartitionsResponse response;
  const env::Instant deadline = deadline_of(request, message.timeout_ms);
  Begun begun(request, deadline);
  for (const auto& asked : message.topics) {
    auto& answer = response.results.emplace_back();
    answer.name = std::string(asked.name);
    const auto image = request.node.image();
    const cluster::TopicImage* topic = image->topic(asked.name);
    auto refuse = [&answer](KafkaError error, std::string why) {
      answer.error_code = wire(error);
      answer.error_message = std::move(why);
    };
    if (!topic) {
      refuse(KafkaError::unknown_topic_or_partition,
             "This server does not host this topic-partition.");
      continue;
    }
    const auto before = static_cast<int32_t>(topic->partitions.size());
    if (asked.count <= before) {
      refuse(KafkaError::invalid_partitions,
             asked.count == before
                 ? fmt::format("Topic already has {} partition(s).", before)
                 : fmt::format(
                       "The topic {} currently has {} partition(s); {} would not be an increase.",
                       asked.name, before, asked.count));
      continue;
    }
    if (asked.assignments &&
        asked.assignments->size() != static_cast<size_t>(asked.count - before)) {
      refuse(KafkaError::invalid_replica_assignment,
             fmt::format("{} assignments are given for {} new partitions",
                         asked.assignments->size(), asked.count - before));
      continue;
    }
    cluster::Assignments assigned;
    Result<void> fit;
    if (asked.assignments) {
      for (const auto& one : *asked.assignments) {
        auto brokers =
            assigned_brokers(*image, one.broker_ids, asked.assignments->front().broker_ids.size());
        if (!brokers) {
          fit = fail(brokers.error());
          break;
        }
        assigned.push_back(std::move(*brokers));
      }
    }
    if (!fit) {
      refuse(KafkaError::invalid_replica_assignment, fit.error().message);
      continue;
    }
    if (static_cast<uint32_t>(asked.count - before) >
        request.node.settings().partitions_create_max) {
      refuse(KafkaError::policy_violation,
             fmt::format("at most {} partitions can be created at once",
                         request.node.settings().partitions_create_max));
      continue;
    }
    if (message.validate_only) continue;
    if (auto late = begun.refusal()) {
      refuse(late->error, late->message);
      continue;
    }
    const Uuid id = topic->id;
    Result<void> grown = co_await request.node.cluster().grow_topic(
        request.shard, std::string(asked.name), static_cast<uint32_t>(asked.count),
        std::move(assigned));
    if (!grown) {
      begun.note(grown.error());
      refuse(kafka_error(grown.error().code), grown.error().message);
      continue;
    }
    // What others lead is never open here.
    co_await request.node.wait_open(request.shard, id, deadline, static_cast<size_t>(asked.count));
  }
  co_return reply_with(request, response);
}

}  // namespace paceline::broker
