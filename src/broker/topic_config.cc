#include "broker/topic_config.h"

#include <charconv>

#include "broker/config_keys.h"

namespace paceline::broker {
namespace {

std::optional<int64_t> parse_int(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}
std::optional<double> parse_real(std::string_view text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

const std::string* find(const std::map<std::string, std::string>& map, std::string_view key) {
  auto found = map.find(std::string(key));
  return found == map.end() ? nullptr : &found->second;
}

// Kafka's words for a value that does not fit.
std::string bad_value(std::string_view key, std::string_view value, std::string_view why) {
  return fmt::format("Invalid value {} for configuration {}: {}", value, key, why);
}

Result<void> check_topic_value(const TopicKeySpec& spec, std::string_view value) {
  TRY_VOID(check_type(spec.key.name, spec.key.type, value));
  if (spec.key.type != ConfigType::string && spec.key.type != ConfigType::list &&
      spec.key.type != ConfigType::boolean) {
    const double number = *parse_real(value);
    if (number < spec.minimum)
      return fail(
          Code::invalid_argument,
          bad_value(spec.key.name, value, fmt::format("Value must be at least {}", spec.minimum)));
    if (number > spec.maximum)
      return fail(Code::invalid_argument,
                  bad_value(spec.key.name, value,
                            fmt::format("Value must be no more than {}", spec.maximum)));
  }
  if (!spec.allowed.empty()) {
    const auto allowed = split_list(spec.allowed);
    for (std::string_view word : split_list(value)) {
      if (std::find(allowed.begin(), allowed.end(), word) == allowed.end())
        return fail(Code::invalid_argument,
                    bad_value(spec.key.name, value,
                              fmt::format("String must be one of: {}", spec.allowed)));
    }
    if (spec.key.type == ConfigType::string && split_list(value).size() != 1)
      return fail(
          Code::invalid_argument,
          bad_value(spec.key.name, value, fmt::format("String must be one of: {}", spec.allowed)));
  }
  if (spec.key.name == "compression.gzip.level" && *parse_int(value) == 0)
    return fail(Code::invalid_argument,
                bad_value(spec.key.name, value, "Value must be between 1 and 9 or equal to -1"));
  if ((spec.key.name == "unclean.leader.election.enable") && value == "true")
    return fail(Code::invalid_argument,
                "unclean.leader.election.enable=true: a clean leader always exists");
  if (spec.key.name == "remote.storage.enable" && value == "true")
    return fail(Code::invalid_argument,
                "remote.storage.enable=true: all data is already in the object store");
  return {};
}

struct Found {
  std::string value;
  ConfigSource source;
};

}  // namespace

std::vector<std::string_view> split_list(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    std::string_view word = text.substr(0, comma);
    while (!word.empty() && word.front() == ' ') word.remove_prefix(1);
    while (!word.empty() && word.back() == ' ') word.remove_suffix(1);
    if (!word.empty()) words.push_back(word);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return words;
}

Result<void> check_type(std::string_view key, ConfigType type, std::string_view value) {
  auto refuse = [&](std::string_view why) {
    return fail(Code::invalid_argument, bad_value(key, value, why));
  };
  switch (type) {
    case ConfigType::boolean:
      if (value != "true" && value != "false")
        return refuse("Expected value to be either true or false");
      break;
    case ConfigType::int16:
    case ConfigType::int32: {
      const auto number = parse_int(value);
      const int64_t bound = type == ConfigType::int16 ? INT16_MAX : INT32_MAX;
      if (!number || *number > bound || *number < -bound - 1)
        return refuse("Not a number of type INT");
      break;
    }
    case ConfigType::int64:
      if (!parse_int(value)) return refuse("Not a number of type LONG");
      break;
    case ConfigType::real:
      if (!parse_real(value)) return refuse("Not a number of type DOUBLE");
      break;
    default:
      break;
  }
  return {};
}

TopicConfigs::TopicConfigs(std::map<std::string, std::string> static_configs)
    : static_(std::move(static_configs)) {}

bool TopicConfigs::is_list(std::string_view key) {
  const TopicKeySpec* spec = find_topic_key(key);
  if (spec) return spec->key.type == ConfigType::list;
  const KeySpec* broker = find_broker_key(key);
  return broker && broker->type == ConfigType::list;
}

namespace {

// Every place that gives a topic key its default, strongest first.
std::vector<ConfigSynonym> defaults_of(const TopicKeySpec& spec,
                                       const std::map<std::string, std::string>& given,
                                       const cluster::Image& image) {
  std::vector<ConfigSynonym> all;
  auto scaled = [](const std::string& value, int64_t factor) {
    auto number = parse_int(value);
    return factor == 1 || !number || *number < 0 ? value : std::to_string(*number * factor);
  };
  auto look = [&](const std::map<std::string, std::string>& where, ConfigSource source) {
    for (const auto& synonym : spec.synonyms) {
      if (synonym.name.empty()) break;
      if (const std::string* value = find(where, synonym.name))
        all.push_back({std::string(synonym.name), scaled(*value, synonym.factor), source});
    }
  };
  look(image.broker_configs, ConfigSource::dynamic_broker);
  look(image.default_broker_configs, ConfigSource::dynamic_default);
  look(given, ConfigSource::static_broker);
  const std::string_view name =
      spec.synonyms[0].name.empty() ? spec.key.name : spec.synonyms[0].name;
  all.push_back(
      {std::string(name), std::string(spec.key.default_value), ConfigSource::default_value});
  return all;
}

}  // namespace

std::string TopicConfigs::default_value(std::string_view key, const cluster::Image& image) const {
  const TopicKeySpec* spec = find_topic_key(key);
  CHECK(spec);
  return *defaults_of(*spec, static_, image).front().value;
}

std::string TopicConfigs::value(std::string_view key, const cluster::TopicImage& topic,
                                const cluster::Image& image) const {
  if (const std::string* own = find(topic.configs, key)) return *own;
  return default_value(key, image);
}

std::vector<ConfigValue> TopicConfigs::describe_topic(const cluster::TopicImage& topic,
                                                      const cluster::Image& image) const {
  std::vector<ConfigValue> values;
  for (const TopicKeySpec& spec : topic_keys()) {
    ConfigValue value;
    value.name = std::string(spec.key.name);
    value.type = spec.key.type;
    value.documentation = std::string(spec.key.documentation);
    value.synonyms = defaults_of(spec, static_, image);
    if (const std::string* own = find(topic.configs, spec.key.name))
      value.synonyms.insert(value.synonyms.begin(), {value.name, *own, ConfigSource::topic});
    value.value = value.synonyms.front().value;
    value.source = value.synonyms.front().source;
    values.push_back(std::move(value));
  }
  return values;
}

std::vector<ConfigValue> TopicConfigs::describe_broker(BrokerId id,
                                                       const cluster::Image& image) const {
  std::vector<ConfigValue> values;
  for (const KeySpec& spec : broker_keys()) {
    if (spec.name.ends_with('*')) continue;
    ConfigValue value;
    value.name = std::string(spec.name);
    value.type = spec.type;
    value.documentation = std::string(spec.documentation);
    value.sensitive = spec.type == ConfigType::password;
    auto add = [&](const std::string* found, ConfigSource source) {
      if (found) value.synonyms.push_back({value.name, *found, source});
    };
    add(find(image.broker_configs, spec.name), ConfigSource::dynamic_broker);
    add(find(image.default_broker_configs, spec.name), ConfigSource::dynamic_default);
    add(find(static_, spec.name), ConfigSource::static_broker);
    if (spec.has_default)
      value.synonyms.push_back(
          {value.name, std::string(spec.default_value), ConfigSource::default_value});
    if (spec.name == "node.id" || spec.name == "broker.id") {
      value.synonyms = {{value.name, std::to_string(id.value), ConfigSource::static_broker}};
    }
    if (!value.synonyms.empty()) {
      value.value = value.synonyms.front().value;
      value.source = value.synonyms.front().source;
    }
    if (value.sensitive) {
      value.value.reset();
      for (ConfigSynonym& synonym : value.synonyms) synonym.value.reset();
    }
    // What gives topics their defaults changes while we run; the rest is read once.
    value.read_only =
        std::none_of(topic_keys().begin(), topic_keys().end(), [&](const TopicKeySpec& topic) {
          return std::any_of(std::begin(topic.synonyms), std::end(topic.synonyms),
                             [&](const auto& synonym) { return synonym.name == spec.name; });
        });
    values.push_back(std::move(value));
  }
  return values;
}

std::vector<ConfigValue> TopicConfigs::describe_broker_defaults(const cluster::Image& image) const {
  std::vector<ConfigValue> values;
  for (const auto& [name, text] : image.default_broker_configs) {
    ConfigValue value;
    value.name = name;
    value.source = ConfigSource::dynamic_default;
    if (const KeySpec* spec = find_broker_key(name)) {
      value.type = spec->type;
      value.sensitive = spec->type == ConfigType::password;
    }
    if (!value.sensitive) value.value = text;
    value.synonyms.push_back({name, value.value, ConfigSource::dynamic_default});
    values.push_back(std::move(value));
  }
  return values;
}

Result<void> TopicConfigs::check_topic(const std::map<std::string, std::string>& configs) const {
  for (const auto& [key, value] : configs) {
    const TopicKeySpec* spec = find_topic_key(key);
    if (!spec)
      return fail(Code::invalid_argument, fmt::format("Unknown topic config name: {}", key));
    TRY_VOID(check_topic_value(*spec, value));
  }
  const std::string* lag_min = find(configs, "min.compaction.lag.ms");
  const std::string* lag_max = find(configs, "max.compaction.lag.ms");
  if (lag_min && lag_max && *parse_int(*lag_min) > *parse_int(*lag_max))
    return fail(Code::invalid_argument,
                fmt::format("conflict topic config setting min.compaction.lag.ms ({}) > "
                            "max.compaction.lag.ms ({})",
                            *lag_min, *lag_max));
  return {};
}

Result<void> TopicConfigs::check_broker(const std::map<std::string, std::string>& configs) const {
  for (const auto& [key, value] : configs) {
    bool dynamic = false;
    for (const TopicKeySpec& spec : topic_keys()) {
      for (const auto& synonym : spec.synonyms) {
        if (synonym.name.empty() || synonym.name != key) continue;
        dynamic = true;
        if (synonym.factor == 1) TRY_VOID(check_topic_value(spec, value));
      }
    }
    if (dynamic) continue;
    const KeySpec* spec = find_broker_key(key);
    if (!spec)
      return fail(Code::invalid_argument, fmt::format("Unknown broker config name: {}", key));
    if (spec->key_class != KeyClass::accepted)
      return fail(Code::invalid_argument,
                  fmt::format("Cannot update these configs dynamically: {}", key));
    TRY_VOID(check_type(key, spec->type, value));
  }
  return {};
}

partition::Config TopicConfigs::partition_config(const cluster::TopicImage& topic,
                                                 const cluster::Image& image) const {
  auto number = [&](std::string_view key) {
    return parse_int(value(key, topic, image)).value_or(0);
  };
  partition::Config config;
  config.max_message_bytes = static_cast<uint32_t>(number("max.message.bytes"));
  config.log_append_time = value("message.timestamp.type", topic, image) == "LogAppendTime";
  config.timestamp_before_max_ms = number("message.timestamp.before.max.ms");
  config.timestamp_after_max_ms = number("message.timestamp.after.max.ms");
  const std::string policy = value("cleanup.policy", topic, image);
  const auto policies = split_list(policy);
  config.compact = std::find(policies.begin(), policies.end(), "compact") != policies.end();
  config.delete_old = std::find(policies.begin(), policies.end(), "delete") != policies.end();
  config.retention_ms = number("retention.ms");
  config.retention_bytes = number("retention.bytes");
  const std::string codec = value("compression.type", topic, image);
  if (codec == "uncompressed") {
    config.codec = record::Codec::none;
  } else if ((config.codec = record::parse_codec(codec)) && codec != "snappy") {
    config.codec_level = static_cast<int>(number("compression." + codec + ".level"));
    // Kafka's default number means its fast compressor, any other one the slow one at that level.
    if (config.codec == record::Codec::lz4 && config.codec_level == 9)
      config.codec_level = record::kLevelDefault;
  }
  if (const std::string* expiry = find(static_, "producer.id.expiration.ms"))
    config.producer_id_expiration_ms =
        parse_int(*expiry).value_or(config.producer_id_expiration_ms);
  return config;
}

}  // namespace paceline::broker
