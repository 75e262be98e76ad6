#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/cluster.h"
#include "partition/partition.h"

namespace paceline::broker {

// Where a configuration value comes from; the numbers are Kafka's.
enum class ConfigSource : int8_t {
  topic = 1,
  dynamic_broker = 2,
  dynamic_default = 3,
  static_broker = 4,
  default_value = 5,
};
// The numbers are Kafka's.
enum class ConfigType : int8_t {
  boolean = 1,
  string = 2,
  int32 = 3,
  int16 = 4,
  int64 = 5,
  real = 6,
  list = 7,
  class_name = 8,
  password = 9,
};

struct ConfigSynonym {
  std::string name;
  std::optional<std::string> value;
  ConfigSource source;
};
struct ConfigValue {
  std::string name;
  std::optional<std::string> value;  // nothing if sensitive or unset
  ConfigSource source = ConfigSource::default_value;
  ConfigType type = ConfigType::string;
  bool read_only = false;
  bool sensitive = false;
  std::string documentation;
  std::vector<ConfigSynonym> synonyms;  // strongest first
};

// The configuration of topics and of the broker as tools see it: every known key with its value,
// where it comes from and what stands behind it. Immutable; any shard.
class TopicConfigs {
 public:
  // `static_configs`: what the operator gave (file, environment, command line), by Kafka's names.
  explicit TopicConfigs(std::map<std::string, std::string> static_configs);

  // The value in force of a topic's key, e.g. "retention.ms".
  std::string value(std::string_view key, const cluster::TopicImage& topic,
                    const cluster::Image& image) const;
  std::vector<ConfigValue> describe_topic(const cluster::TopicImage& topic,
                                          const cluster::Image& image) const;
  std::vector<ConfigValue> describe_broker(BrokerId id, const cluster::Image& image) const;
  // The dynamic defaults of all brokers (the resource with the empty name): only what is set.
  std::vector<ConfigValue> describe_broker_defaults(const cluster::Image& image) const;

  // Checks what a client wants to set on a topic or broker; invalid_argument with Kafka's words:
  // unknown keys, bad values, keys that are refused.
  Result<void> check_topic(const std::map<std::string, std::string>& configs) const;
  Result<void> check_broker(const std::map<std::string, std::string>& configs) const;
  // Kafka's list-valued keys may be appended to and subtracted from.
  static bool is_list(std::string_view key);
  // The value a topic's key has when the topic does not set it.
  std::string default_value(std::string_view key, const cluster::Image& image) const;

  partition::Config partition_config(const cluster::TopicImage& topic,
                                     const cluster::Image& image) const;

 private:
  std::map<std::string, std::string> static_;
};

}  // namespace paceline::broker
