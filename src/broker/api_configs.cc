#include "broker/api.h"
#include "broker/errors.h"
#include "broker/node.h"
#include "protocol/gen/alter_configs.h"
#include "protocol/gen/describe_configs.h"
#include "protocol/gen/incremental_alter_configs.h"

// Configuration of topics and brokers.

namespace paceline::broker {
namespace {

enum ResourceType : int8_t { kTopic = 2, kBroker = 4 };
enum Operation : int8_t { kSet = 0, kDelete = 1, kAppend = 2, kSubtract = 3 };

struct Refusal {
  KafkaError error;
  std::string message;
};
using Configs = std::map<std::string, std::string>;

std::expected<std::vector<ConfigValue>, Refusal> describe(Request& request, int8_t type,
                                                          std::string_view name) {
  const auto image = request.node.image();
  const TopicConfigs& configs = request.node.topic_configs();
  if (type == kTopic) {
    const cluster::TopicImage* topic = image->topic(name);
    if (!topic)
      return std::unexpected(Refusal{KafkaError::unknown_topic_or_partition,
                                     "This server does not host this topic-partition."});
    return configs.describe_topic(*topic, *image);
  }
  if (type == kBroker) {
    if (name.empty()) return configs.describe_broker_defaults(*image);
    const BrokerId self = request.node.settings().broker;
    if (name != std::to_string(self.value))
      return std::unexpected(
          Refusal{KafkaError::invalid_request,
                  fmt::format("Unexpected broker id, expected {} or empty string, but received {}",
                              self.value, name)});
    return configs.describe_broker(self, *image);
  }
  return std::unexpected(
      Refusal{KafkaError::invalid_request, fmt::format("Unsupported resource type: {}", type)});
}

// What a client asks for one key; a value may be absent only for a deletion.
struct KeyChange {
  std::string name;
  Operation operation;
  std::optional<std::string> value;
};

std::vector<std::string> words(std::string_view list) {
  std::vector<std::string> all;
  while (!list.empty()) {
    const size_t comma = list.find(',');
    if (auto word = list.substr(0, comma); !word.empty()) all.emplace_back(word);
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return all;
}

void apply(Configs& configs, const KeyChange& change, const std::string& in_force) {
  if (change.operation == kDelete) {
    configs.erase(change.name);
    return;
  }
  if (change.operation == kSet) {
    configs[change.name] = *change.value;
    return;
  }
  auto own = configs.find(change.name);
  std::vector<std::string> list = words(own == configs.end() ? in_force : own->second);
  for (const std::string& word : words(*change.value)) {
    std::erase(list, word);
    if (change.operation == kAppend) list.push_back(word);
  }
  std::string joined;
  for (const std::string& word : list) joined += (joined.empty() ? "" : ",") + word;
  configs[change.name] = joined;
}

std::optional<Refusal> check_shape(const std::vector<KeyChange>& changes) {
  std::map<std::string, int> seen;
  for (const KeyChange& change : changes) {
    if (seen[change.name]++ > 0)
      return Refusal{KafkaError::invalid_request,
                     fmt::format("Duplicate config keys: {}", change.name)};
    if (change.operation != kDelete && !change.value)
      return Refusal{KafkaError::invalid_request,
                     fmt::format("Null value not supported for : {}", change.name)};
    if ((change.operation == kAppend || change.operation == kSubtract) &&
        !TopicConfigs::is_list(change.name))
      return Refusal{
          KafkaError::invalid_config,
          fmt::format("Config value append is not allowed for config key: {}", change.name)};
    if (change.operation < kSet || change.operation > kSubtract)
      return Refusal{KafkaError::invalid_request, "Unknown config operation"};
  }
  return std::nullopt;
}

// Changes one resource. `replace`: what is not named is dropped (the old AlterConfigs).
Task<std::optional<Refusal>> change(Request& request, int8_t type, std::string name,
                                    std::vector<KeyChange> changes, bool replace,
                                    bool validate_only) {
  if (auto refusal = check_shape(changes)) co_return refusal;
  const auto image = request.node.image();
  const TopicConfigs& all = request.node.topic_configs();
  Configs before;
  std::optional<BrokerId> broker;
  if (type == kTopic) {
    const cluster::TopicImage* topic = image->topic(name);
    if (!topic)
      co_return Refusal{KafkaError::unknown_topic_or_partition, "The topic does not exist."};
    before = topic->configs;
  } else if (type == kBroker) {
    const BrokerId self = request.node.settings().broker;
    if (!name.empty() && name != std::to_string(self.value))
      co_return Refusal{KafkaError::invalid_request, fmt::format("Unexpected broker id {}", name)};
    if (!name.empty()) broker = self;
    before = broker ? image->broker_configs : image->default_broker_configs;
  } else {
    co_return Refusal{KafkaError::invalid_request,
                      fmt::format("Unsupported resource type: {}", type)};
  }
  auto make = [changes, replace, &all, image](Configs& configs) {
    if (replace) configs.clear();
    for (const KeyChange& one : changes) {
      const bool topic_list = one.operation >= kAppend && TopicConfigs::is_list(one.name);
      apply(configs, one, topic_list ? all.default_value(one.name, *image) : "");
    }
  };
  Configs after = before;
  for (const KeyChange& one : changes) {
    if (one.operation >= kAppend && type != kTopic)
      co_return Refusal{KafkaError::invalid_config, "lists of a broker can only be set"};
  }
  make(after);
  Result<void> checked = type == kTopic ? all.check_topic(after) : all.check_broker(after);
  if (!checked) co_return Refusal{KafkaError::invalid_config, checked.error().message};
  if (validate_only) co_return std::nullopt;
  Result<void> done =
      type == kTopic
          ? co_await request.node.cluster().change_topic_configs(request.shard, name, make)
          : co_await request.node.cluster().change_broker_configs(request.shard, broker, make);
  if (!done) co_return Refusal{kafka_error(done.error().code), done.error().message};
  co_return std::nullopt;
}

// What became of one resource; both forms of AlterConfigs answer alike.
template <class Asked, class Answer>
void tell(const Asked& asked, const std::optional<Refusal>& refusal, Answer& answer) {
  answer.resource_type = asked.resource_type;
  answer.resource_name = std::string(asked.resource_name);
  if (!refusal) return;
  answer.error_code = wire(refusal->error);
  answer.error_message = refusal->message;
}

}  // namespace

Task<Reply> handle_describe_configs(Request& request) {
  PACELINE_DECODE(DescribeConfigsRequest, message);
  protocol::DescribeConfigsResponse response;
  for (const auto& asked : message.resources) {
    auto& answer = response.results.emplace_back();
    answer.resource_type = asked.resource_type;
    answer.resource_name = std::string(asked.resource_name);
    auto values = describe(request, asked.resource_type, asked.resource_name);
    if (!values) {
      answer.error_code = wire(values.error().error);
      answer.error_message = values.error().message;
      continue;
    }
    for (ConfigValue& value : *values) {
      if (asked.configuration_keys && !asked.configuration_keys->empty() &&
          std::find(asked.configuration_keys->begin(), asked.configuration_keys->end(),
                    value.name) == asked.configuration_keys->end())
        continue;
      auto& one = answer.configs.emplace_back();
      one.name = std::move(value.name);
      one.value = std::move(value.value);
      one.read_only = value.read_only;
      one.config_source = static_cast<int8_t>(value.source);
      one.is_sensitive = value.sensitive;
      if (request.version >= 3) one.config_type = static_cast<int8_t>(value.type);
      if (request.version >= 3 && message.include_documentation)
        one.documentation = std::move(value.documentation);
      if (!message.include_synonyms) continue;
      for (ConfigSynonym& synonym : value.synonyms)
        one.synonyms.push_back({std::move(synonym.name), std::move(synonym.value),
                                static_cast<int8_t>(synonym.source)});
    }
  }
  co_return reply_with(request, response);
}

Task<Reply> handle_incremental_alter_configs(Request& request) {
  PACELINE_DECODE(IncrementalAlterConfigsRequest, message);
  protocol::IncrementalAlterConfigsResponse response;
  for (const auto& asked : message.resources) {
    std::vector<KeyChange> changes;
    for (const auto& config : asked.configs)
      changes.push_back({std::string(config.name), static_cast<Operation>(config.config_operation),
                         config.value ? std::optional(std::string(*config.value)) : std::nullopt});
    auto refusal = co_await change(request, asked.resource_type, std::string(asked.resource_name),
                                   std::move(changes), false, message.validate_only);
    tell(asked, refusal, response.responses.emplace_back());
  }
  co_return reply_with(request, response);
}

Task<Reply> handle_alter_configs(Request& request) {
  PACELINE_DECODE(AlterConfigsRequest, message);
  protocol::AlterConfigsResponse response;
  for (const auto& asked : message.resources) {
    std::vector<KeyChange> changes;
    for (const auto& config : asked.configs)
      changes.push_back({std::string(config.name), config.value ? kSet : kDelete,
                         config.value ? std::optional(std::string(*config.value)) : std::nullopt});
    auto refusal = co_await change(request, asked.resource_type, std::string(asked.resource_name),
                                   std::move(changes), true, message.validate_only);
    tell(asked, refusal, response.responses.emplace_back());
  }
  co_return reply_with(request, response);
}

}  // namespace paceline::broker
