#include "app/config.h"

#include <charconv>

#include "app/properties.h"
#include "broker/config_keys.h"
#include "env/address.h"

namespace paceline::app {
namespace {

using broker::KeyClass;
using Given = std::map<std::string, std::string>;

std::unexpected<Error> refuse(std::string why) {
  return fail(Code::invalid_argument, std::move(why));
}

// Set by Kafka's images and by Java; not keys of a broker.
bool not_a_key(std::string_view name) {
  constexpr std::string_view kIgnored[] = {"KAFKA_HEAP_OPTS",   "KAFKA_JMX_OPTS",
                                           "KAFKA_GC_LOG_OPTS", "KAFKA_JVM_PERFORMANCE_OPTS",
                                           "KAFKA_OPTS",        "KAFKA_JMX_HOSTNAME",
                                           "KAFKA_JMX_PORT",    "KAFKA_VERSION",
                                           "KAFKA_HOME",        "KAFKA_TOOLS_LOG4J_LOGLEVEL",
                                           "KAFKA_PATH"};
  return name.starts_with("KAFKA_LOG4J") ||
         std::find(std::begin(kIgnored), std::end(kIgnored), name) != std::end(kIgnored);
}

// KAFKA_LOG_RETENTION_MS -> log.retention.ms; three underscores are a hyphen, two an underscore.
std::string key_of_variable(std::string_view name) {
  name.remove_prefix(name.starts_with("KAFKA_CFG_") ? 10 : 6);
  std::string key;
  for (size_t at = 0; at < name.size();) {
    if (name.substr(at).starts_with("___")) {
      key += '-';
      at += 3;
    } else if (name.substr(at).starts_with("__")) {
      key += '_';
      at += 2;
    } else if (name[at] == '_') {
      key += '.';
      ++at;
    } else {
      key += static_cast<char>(name[at] >= 'A' && name[at] <= 'Z' ? name[at] + 32 : name[at]);
      ++at;
    }
  }
  return key;
}

Result<Given> merge(const ServeOptions& options, ReadFile read) {
  Given given;
  for (const std::string& path : options.config_files) {
    auto text = read(path);
    if (!text) return refuse(fmt::format("cannot read {}: {}", path, text.error().message));
    auto properties = parse_properties(*text);
    if (!properties) return refuse(fmt::format("{}: {}", path, properties.error().message));
    Given of_file;
    for (const Property& property : *properties) {
      auto [found, fresh] = of_file.emplace(property.key, property.value);
      if (!fresh && found->second != property.value)
        return refuse(fmt::format("{} line {}: '{}' is set twice with different values", path,
                                  property.line, property.key));
    }
    for (auto& [key, value] : of_file) given[key] = value;
  }
  for (const auto& [name, value] : options.environment) {
    if (name == "KAFKA_OPTS" && value.find("java.security.auth.login.config") != std::string::npos)
      return refuse("KAFKA_OPTS names a JAAS file, but authentication is not built yet; remove it");
    if (name == "CLUSTER_ID") {
      given["cluster.id"] = value;
    } else if (name.starts_with("KAFKA_") && !not_a_key(name)) {
      given[key_of_variable(name)] = value;
    }
  }
  for (const std::string& text : options.overrides) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return refuse(fmt::format("'{}' is not of the form key=value", text));
    given[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return given;
}

Result<void> classify(Config& config, bool strict) {
  std::string accepted;
  for (const auto& [key, value] : config.server.given) {
    if (auto why = broker::refused_value(key, value))
      return refuse(fmt::format("{}={}: {}", key, value, *why));
    const broker::KeySpec* spec = broker::find_broker_key(key);
    if (!spec) {
      const auto near = broker::nearest_broker_key(key);
      const std::string text = near.empty()
                                   ? fmt::format("unknown key '{}'", key)
                                   : fmt::format("unknown key '{}', did you mean '{}'?", key, near);
      if (strict) return refuse(text);
      config.notices.push_back(text);
      continue;
    }
    if (spec->key_class == KeyClass::refused)
      return refuse(fmt::format("{}: {}", key, spec->documentation));
    if (spec->key_class == KeyClass::accepted) accepted += (accepted.empty() ? "" : ", ") + key;
    if (!value.empty()) TRY_VOID(broker::check_type(key, spec->type, value));
  }
  if (!accepted.empty()) config.notices.push_back("accepted, but without effect here: " + accepted);
  return {};
}

class Values {
 public:
  explicit Values(const Given& given) : given_(given) {}
  std::optional<std::string> text(std::string_view key) const {
    auto found = given_.find(std::string(key));
    if (found == given_.end() || found->second.empty()) return std::nullopt;
    return found->second;
  }
  int64_t number(std::string_view key) const {
    const broker::KeySpec* spec = broker::find_broker_key(key);
    CHECK(spec);
    const std::string value = text(key).value_or(std::string(spec->default_value));
    int64_t number = 0;
    std::from_chars(value.data(), value.data() + value.size(), number);
    return number;
  }
  double real(std::string_view key) const {
    const broker::KeySpec* spec = broker::find_broker_key(key);
    CHECK(spec);
    const std::string value = text(key).value_or(std::string(spec->default_value));
    double number = 0;
    std::from_chars(value.data(), value.data() + value.size(), number);
    return number;
  }
  bool flag(std::string_view key) const {
    const broker::KeySpec* spec = broker::find_broker_key(key);
    CHECK(spec);
    return text(key).value_or(std::string(spec->default_value)) == "true";
  }

 private:
  const Given& given_;
};

Result<std::vector<meta::Endpoint>> parse_listeners(std::string_view key, std::string_view list) {
  std::vector<meta::Endpoint> endpoints;
  for (std::string_view text : broker::split_list(list)) {
    const size_t colon = text.find("://");
    if (colon == std::string_view::npos)
      return refuse(fmt::format("{}: '{}' is not of the form NAME://host:port", key, text));
    TRY(meta::Endpoint endpoint, parse_address(text.substr(colon + 3)));
    endpoint.listener = std::string(text.substr(0, colon));
    endpoints.push_back(std::move(endpoint));
  }
  return endpoints;
}

bool is_any_address(const std::string& host) {
  return host.empty() || host == "0.0.0.0" || host == "::";
}

Result<void> read_listeners(Config& config, const Values& values, const ServeOptions& options) {
  std::map<std::string, std::string, std::less<>> protocols;
  for (std::string_view pair :
       broker::split_list(values.text("listener.security.protocol.map").value_or(""))) {
    const size_t colon = pair.find(':');
    if (colon == std::string_view::npos)
      return refuse(fmt::format(
          "listener.security.protocol.map: '{}' is not of the form NAME:PROTOCOL", pair));
    protocols[std::string(pair.substr(0, colon))] = std::string(pair.substr(colon + 1));
  }
  std::string controllers = "," + values.text("controller.listener.names").value_or("") + ",";
  auto& bound = config.server.settings.listeners;
  if (options.listen) {
    TRY(meta::Endpoint endpoint, parse_address(*options.listen));
    endpoint.listener = "PLAINTEXT";
    bound = {endpoint};
  } else {
    TRY(bound, parse_listeners("listeners",
                               values.text("listeners").value_or("PLAINTEXT://127.0.0.1:9092")));
  }
  // The controller's listener has no meaning here and is not opened.
  std::erase_if(bound, [&](const meta::Endpoint& e) {
    return controllers.find("," + e.listener + ",") != std::string::npos;
  });
  if (bound.empty()) return refuse("listeners: none is left for clients");
  for (const meta::Endpoint& endpoint : bound) {
    if (endpoint.listener == meta::kPeerListener)
      return refuse(fmt::format("listener {}: the name is taken; see paceline.peer.listen",
                                endpoint.listener));
    auto mapped = protocols.find(endpoint.listener);
    const std::string protocol = mapped == protocols.end() ? endpoint.listener : mapped->second;
    if (protocol == "SSL" || protocol == "SASL_PLAINTEXT" || protocol == "SASL_SSL")
      return refuse(
          fmt::format("listener {}: {} is not built yet; use PLAINTEXT on a private address",
                      endpoint.listener, protocol));
    if (protocol != "PLAINTEXT")
      return refuse(
          fmt::format("listener {}: unknown security protocol '{}'", endpoint.listener, protocol));
  }
  auto& advertised = config.server.settings.advertised;
  if (!options.listen) {
    TRY(advertised,
        parse_listeners("advertised.listeners", values.text("advertised.listeners").value_or("")));
  }
  std::erase_if(advertised, [&](const meta::Endpoint& e) {
    return controllers.find("," + e.listener + ",") != std::string::npos;
  });
  for (const meta::Endpoint& endpoint : bound) {
    const bool told =
        std::any_of(advertised.begin(), advertised.end(),
                    [&](const meta::Endpoint& e) { return e.listener == endpoint.listener; });
    if (told) continue;
    meta::Endpoint own = endpoint;
    // Clients cannot connect to "any address"; the machine itself can be reached at this one.
    if (is_any_address(own.host)) own.host = "localhost";
    advertised.push_back(own);
  }
  for (meta::Endpoint& endpoint : bound) {
    if (endpoint.host.empty()) endpoint.host = "0.0.0.0";
  }
  return {};
}

// REQUIRES: the listeners have been read.
Result<void> read_peer_port(Config& config, const Values& values) {
  config.server.lease = std::chrono::ceil<std::chrono::seconds>(
      std::chrono::milliseconds(values.number("paceline.lease.ms")));
  const std::string listen = values.text("paceline.peer.listen").value_or("");
  if (listen == "none" || config.server.places.metadata_is_local()) return {};
  const broker::Settings& settings = config.server.settings;
  server::PeerPort port;
  port.listen.host = settings.listeners.front().host;
  if (!listen.empty()) {
    TRY(port.listen, parse_address(listen));
  }
  port.advertised.host = settings.advertised.front().host;
  if (!is_any_address(port.listen.host) && !listen.empty()) port.advertised.host = port.listen.host;
  if (port.listen.host.empty()) port.listen.host = "0.0.0.0";
  if (const auto advertised = values.text("paceline.peer.advertised")) {
    TRY(port.advertised, parse_address(*advertised));
  }
  const env::Duration ping = std::chrono::milliseconds(values.number("paceline.peer.ping.ms"));
  port.bounds.ping_every = ping;
  port.bounds.silent_after = std::chrono::milliseconds(values.number("paceline.peer.silence.ms"));
  port.bounds.confirm_after = port.bounds.silent_after / 2;
  port.bounds.late_after = 2 * ping;
  config.server.peer = std::move(port);
  return {};
}

void read_settings(Config& config, const Values& values) {
  broker::Settings& settings = config.server.settings;
  settings.broker = BrokerId(static_cast<int32_t>(
      values.text("node.id") ? values.number("node.id") : values.number("broker.id")));
  settings.rack = values.text("broker.rack").value_or("");
  settings.near_reads =
      !values.text("replica.selector.class").value_or("").ends_with(".LeaderSelector");
  settings.request_bytes_max = static_cast<uint32_t>(values.number("socket.request.max.bytes"));
  settings.fetch_bytes_max = static_cast<uint32_t>(values.number("fetch.max.bytes"));
  settings.connections_max = static_cast<uint32_t>(values.number("max.connections"));
  settings.connections_per_ip_max = static_cast<uint32_t>(values.number("max.connections.per.ip"));
  settings.connection_rate_max =
      static_cast<uint32_t>(values.number("max.connection.creation.rate"));
  settings.connection_idle_max_ms = values.number("connections.max.idle.ms");
  settings.auto_create_topics = values.flag("auto.create.topics.enable");
  settings.delete_topics = values.flag("delete.topic.enable");
  settings.partitions_default = static_cast<uint32_t>(values.number("num.partitions"));
  settings.replication_factor_default =
      static_cast<int16_t>(values.number("default.replication.factor"));
  settings.offsets_topic_partitions =
      static_cast<uint32_t>(values.number("offsets.topic.num.partitions"));
  settings.forward_ms = values.number("paceline.forward.ms");
  settings.drain_max_ms = values.number("paceline.drain.ms");
  settings.drain_forward_max_ms = values.number("paceline.drain.forward.ms");
  settings.balance =
      values.flag("paceline.balance.enabled") && values.flag("auto.leader.rebalance.enable");
  settings.balance_interval_ms = values.number("paceline.balance.interval.ms");
  settings.balance_tolerance = values.real("paceline.balance.tolerance");
  settings.balance_hold_ms = values.number("paceline.balance.hold.ms");
  settings.retention_check_ms = values.number("log.retention.check.interval.ms");
  settings.group.session_timeout_min_ms =
      static_cast<int32_t>(values.number("group.min.session.timeout.ms"));
  settings.group.session_timeout_max_ms =
      static_cast<int32_t>(values.number("group.max.session.timeout.ms"));
  settings.group.group_size_max = static_cast<size_t>(values.number("group.max.size"));
  settings.group.initial_rebalance_delay_ms =
      static_cast<int32_t>(values.number("group.initial.rebalance.delay.ms"));
  settings.group.offset_metadata_bytes_max =
      static_cast<size_t>(values.number("offset.metadata.max.bytes"));
  settings.group.offsets_retention_ms = values.number("offsets.retention.minutes") * 60'000;
  config.shards = static_cast<unsigned>(values.number("paceline.shards"));
  config.server.memory_bytes = static_cast<uint64_t>(values.number("paceline.memory.bytes"));
  // A quarter for requests, as Kafka's operators would bound queued.max.request.bytes; never so
  // little that the largest request would not fit.
  settings.request_memory_bytes =
      std::max<uint64_t>(config.server.memory_bytes / 4, settings.request_bytes_max + 4096ull);
  settings.answer_memory_bytes = config.server.memory_bytes / 16 * 3;
  // What is not uploaded lies in the log cache, 3/16: with what is on its way it must fit in.
  config.server.upload_bytes =
      std::min(static_cast<uint64_t>(values.number("paceline.upload.bytes")),
               config.server.memory_bytes / 16);
  settings.unuploaded_bytes_high = 3 * config.server.upload_bytes;
  settings.events_topic = values.text("paceline.events").value_or("topic") != "log";
  config.server.upload_age_ms = values.number("paceline.upload.age.ms");
  config.server.places.metadata = values.text("paceline.metadata").value_or("");
  config.server.places.objects = values.text("paceline.objects").value_or("");
  config.server.places.wal = values.text("paceline.wal").value_or("");
  config.server.wal_window_ms = values.number("paceline.wal.window.ms");
  config.server.compress_blocks = values.flag("paceline.upload.compress");
  config.forget_unsynced = values.flag("paceline.test.forget.unsynced");
}

Result<void> check_ranges(const Config& config, const Values& values) {
  const broker::Settings& settings = config.server.settings;
  auto at_least = [](std::string_view key, int64_t value, int64_t least) -> Result<void> {
    if (value >= least) return {};
    return refuse(fmt::format("{}={}: must be at least {}", key, value, least));
  };
  TRY_VOID(at_least("node.id", settings.broker.value, 0));
  TRY_VOID(at_least("num.partitions", settings.partitions_default, 1));
  TRY_VOID(at_least("default.replication.factor", settings.replication_factor_default, 1));
  TRY_VOID(at_least("max.connection.creation.rate", settings.connection_rate_max, 1));
  TRY_VOID(at_least("socket.request.max.bytes", settings.request_bytes_max, 1024));
  TRY_VOID(at_least("log.retention.check.interval.ms", settings.retention_check_ms, 1));
  TRY_VOID(at_least("paceline.memory.bytes", static_cast<int64_t>(config.server.memory_bytes),
                    64 << 20));
  TRY_VOID(
      at_least("paceline.upload.bytes", static_cast<int64_t>(config.server.upload_bytes), 1 << 10));
  const std::string events = values.text("paceline.events").value_or("topic");
  if (events != "topic" && events != "log")
    return refuse(fmt::format("paceline.events={}: there are topic and log", events));
  TRY_VOID(at_least("paceline.upload.age.ms", config.server.upload_age_ms, 1));
  TRY_VOID(at_least("paceline.wal.window.ms", config.server.wal_window_ms, 0));
  const int64_t ping = values.number("paceline.peer.ping.ms");
  TRY_VOID(at_least("paceline.peer.ping.ms", ping, 10));
  // A ping or two may be late without meaning anything; a witness is asked about half of it.
  TRY_VOID(at_least("paceline.peer.silence.ms", values.number("paceline.peer.silence.ms"),
                    std::max<int64_t>(4 * ping, 200)));
  TRY_VOID(at_least("paceline.lease.ms", values.number("paceline.lease.ms"), 1000));
  TRY_VOID(at_least("paceline.balance.interval.ms", settings.balance_interval_ms, 100));
  TRY_VOID(at_least("paceline.balance.hold.ms", settings.balance_hold_ms, 0));
  if (!(settings.balance_tolerance >= 0.01 && settings.balance_tolerance <= 1))
    return refuse(fmt::format("paceline.balance.tolerance={}: must be between 0.01 and 1",
                              settings.balance_tolerance));
  return server::check_places(config.server.places);
}

}  // namespace

Result<meta::Endpoint> parse_address(std::string_view text) {
  TRY(env::HostPort at, env::parse_host_port(text));
  return meta::Endpoint{.listener = "", .host = std::move(at.host), .port = at.port};
}

Result<Config> load_config(const ServeOptions& options, ReadFile read) {
  Config config;
  config.server.data = options.data;
  config.server.places.environment = options.environment;
  TRY(config.server.given, merge(options, read));
  TRY_VOID(classify(config, options.strict));
  const Values values(config.server.given);
  read_settings(config, values);
  TRY_VOID(check_ranges(config, values));
  TRY_VOID(read_listeners(config, values, options));
  TRY_VOID(read_peer_port(config, values));
  if (auto id = values.text("cluster.id")) {
    config.server.cluster_id = Uuid::parse(*id);
    if (!config.server.cluster_id)
      return refuse(
          fmt::format("cluster.id='{}' is not a cluster id (22 characters of base64)", *id));
  }
  const std::string admin = values.text("paceline.admin.listen").value_or("127.0.0.1:9644");
  if (admin != "none") {
    TRY(config.server.admin, parse_address(admin));
  }
  return config;
}

}  // namespace paceline::app
