#include "app/dev_plan.h"

#include <fmt/format.h>

namespace paceline::app {
namespace {

constexpr std::string_view kHost = "127.0.0.1";

// What we decide for every broker; anything else about it may be told.
constexpr std::string_view kOurs[] = {"node.id",
                                      "broker.id",
                                      "listeners",
                                      "advertised.listeners",
                                      "paceline.metadata",
                                      "paceline.objects",
                                      "paceline.admin.listen"};

std::unexpected<Error> refuse(std::string why) {
  return fail(Code::invalid_argument, std::move(why));
}

std::string address(uint16_t port) {
  return fmt::format("{}:{}", kHost, port);
}

}  // namespace

Result<void> check_options(const DevOptions& options) {
  if (options.brokers < 1 || options.brokers > DevPorts::kBrokersMax)
    return refuse(fmt::format("--brokers {}: 1 to {}", options.brokers, DevPorts::kBrokersMax));
  if (options.etcd_members % 2 == 0 || options.etcd_members > DevPorts::kMembersMax)
    return refuse(fmt::format("--etcd-members {}: 1, 3, 5 or 7, so that a majority is one",
                              options.etcd_members));
  if (options.port < 1024 || options.port > 65535 - DevPorts::kSpan)
    return refuse(fmt::format("--port {}: 1024 to {}; {} ports from there belong to the cluster",
                              options.port, 65535 - DevPorts::kSpan, DevPorts::kSpan));
  for (const std::string& text : options.overrides) {
    const std::string key = text.substr(0, text.find('='));
    if (key == text || key.empty())
      return refuse(fmt::format("'{}' is not of the form key=value", text));
    if (std::ranges::find(kOurs, key) != std::end(kOurs))
      return refuse(fmt::format("{}: `paceline dev` decides that for each broker", key));
  }
  return {};
}

std::vector<DevPorts::Use> DevPorts::used(const DevOptions& options) const {
  std::vector<Use> all;
  for (unsigned broker = 1; broker <= options.brokers; ++broker) {
    all.push_back({kafka(broker), fmt::format("broker {}", broker)});
    all.push_back({admin(broker), fmt::format("broker {}'s admin port", broker)});
  }
  for (unsigned member = 1; member <= options.etcd_members; ++member) {
    all.push_back({etcd(member), fmt::format("etcd {}", member)});
    all.push_back({etcd_peer(member), fmt::format("etcd {}'s peers", member)});
  }
  if (options.s3()) {
    all.push_back({store(), "the store"});
    for (unsigned version : {1u, 2u})
      all.push_back({store_monitor(version), "the store's monitor"});
  }
  return all;
}

std::string DevBucket::url() const {
  return fmt::format("s3://paceline/dev?endpoint=http://{}&region=us-east-1&pathStyle=true",
                     address(port));
}

std::map<std::string, std::string> DevBucket::environment() const {
  return {{"AWS_ACCESS_KEY_ID", access_key}, {"AWS_SECRET_ACCESS_KEY", secret_key}};
}

std::string_view role_name(DevRole role) {
  switch (role) {
    case DevRole::etcd:
      return "etcd";
    case DevRole::store:
      return "store";
    case DevRole::broker:
      return "broker";
  }
  return "?";
}

DevService etcd_service(const DevOptions& options, const DevPaths& paths, const DevPorts& ports,
                        unsigned member) {
  DevService service{.role = DevRole::etcd, .number = member};
  service.key = fmt::format("etcd-{}", member);
  service.port = service.health_port = ports.etcd(member);
  service.health_path = "/health";
  std::string cluster;
  for (unsigned one = 1; one <= options.etcd_members; ++one)
    cluster +=
        fmt::format("{}etcd-{}=http://{}", one == 1 ? "" : ",", one, address(ports.etcd_peer(one)));
  const std::string clients = "http://" + address(ports.etcd(member));
  const std::string peers = "http://" + address(ports.etcd_peer(member));
  service.program = {
      .name = fmt::format("etcd {}", member),
      .argv = {"etcd", "--name", service.key, "--data-dir", paths.data(service.key),
               "--listen-client-urls", clients, "--advertise-client-urls", clients,
               "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers,
               "--initial-cluster", cluster, "--initial-cluster-state", "new", "--log-level",
               "warn",
               // A member's death is noticed in half a second, and history does not pile up.
               "--heartbeat-interval", "50", "--election-timeout", "500", "--auto-compaction-mode",
               "periodic", "--auto-compaction-retention", "10m"},
      .environment = {},
      .folder = paths.root,
      .log = paths.log(service.key)};
  return service;
}

DevService broker_service(const DevOptions& options, const DevPaths& paths, const DevPorts& ports,
                          const std::string& binary, const DevBucket& bucket, unsigned broker) {
  DevService service{.role = DevRole::broker, .number = broker};
  service.key = fmt::format("broker-{}", broker);
  service.port = ports.kafka(broker);
  service.health_port = ports.admin(broker);
  service.health_path = "/readyz";
  service.program = {.name = fmt::format("broker {}", broker),
                     .argv = {binary, "serve", "--data", paths.data(service.key), "--listen",
                              address(service.port)},
                     .environment = {},
                     .folder = paths.root,
                     .log = paths.log(service.key)};
  std::vector<std::string> keys;
  keys.push_back(options.s3() ? "paceline.wal=objects:"
                              : fmt::format("paceline.wal=file:{}", paths.data("wal")));
  // May be told otherwise: whatever log there is, all of them share it.
  keys.insert(keys.end(), options.overrides.begin(), options.overrides.end());
  keys.push_back(fmt::format("node.id={}", broker));
  keys.push_back(fmt::format("paceline.admin.listen={}", address(service.health_port)));
  keys.push_back("paceline.metadata=" + metadata_url(options, ports));
  keys.push_back("paceline.objects=" +
                 (options.s3() ? bucket.url() : "file:" + paths.data("objects")));
  for (std::string& key : keys) {
    service.program.argv.emplace_back("-o");
    service.program.argv.push_back(std::move(key));
  }
  if (options.s3()) service.program.environment = bucket.environment();
  return service;
}

std::string bootstrap_of(const DevOptions& options, const DevPorts& ports) {
  std::string all;
  for (unsigned broker = 1; broker <= options.brokers; ++broker)
    all += (broker == 1 ? "" : ",") + address(ports.kafka(broker));
  return all;
}

std::string metadata_url(const DevOptions& options, const DevPorts& ports) {
  std::string members;
  for (unsigned member = 1; member <= options.etcd_members; ++member)
    members += (member == 1 ? "" : ",") + address(ports.etcd(member));
  return fmt::format("etcd://{}/dev", members);
}

env::Duration restart_pause(unsigned short_lives) {
  constexpr auto kMax = std::chrono::seconds(16);
  return std::min<env::Duration>(std::chrono::seconds(1) * (1 << std::min(short_lives, 10u)), kMax);
}

}  // namespace paceline::app
