#include "app/dev_plan.h"

#include <fmt/format.h>

namespace paceline::app {
namespace {

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

std::string join(const std::string& host, uint16_t port) {
  return fmt::format("{}:{}", host, port);
}

}  // namespace

Result<void> check_options(const DevOptions& options) {
  if (options.brokers < 1 || options.brokers > DevAddresses::kBrokersMax)
    return refuse(fmt::format("--brokers {}: 1 to {}", options.brokers, DevAddresses::kBrokersMax));
  if (options.etcd_members % 2 == 0 || options.etcd_members > DevAddresses::kMembersMax)
    return refuse(fmt::format("--etcd-members {}: 1, 3, 5 or 7, so that a majority is one",
                              options.etcd_members));
  if (options.port < 1024 || options.port > 65535 - DevAddresses::kSpan)
    return refuse(fmt::format("--port {}: 1024 to {}; {} ports from there belong to the cluster",
                              options.port, 65535 - DevAddresses::kSpan, DevAddresses::kSpan));
  for (const std::string& rack : options.racks)
    if (rack.empty()) return refuse("--racks: a rack without a name");
  for (const std::string& text : options.overrides) {
    const std::string key = text.substr(0, text.find('='));
    if (key == text || key.empty())
      return refuse(fmt::format("'{}' is not of the form key=value", text));
    if (std::ranges::find(kOurs, key) != std::end(kOurs))
      return refuse(fmt::format("{}: `paceline dev` decides that for each broker", key));
  }
  return {};
}

std::vector<DevAddresses::Use> DevAddresses::used(const DevOptions& options) const {
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
    all.push_back({store_proxy(), "the way to the store"});
    all.push_back({store_proxy_admin(), "the way to the store's admin port"});
  }
  return all;
}

std::string DevAddresses::in_network(unsigned host) const {
  return fmt::format("198.{}.{}.{}", 18 + network() / 256, network() % 256, host);
}

std::string DevBucket::url() const {
  return fmt::format("s3://paceline/dev?endpoint=http://{}&region=us-east-1&pathStyle=true",
                     join(host, port));
}

std::map<std::string, std::string> DevBucket::environment() const {
  return {{"AWS_ACCESS_KEY_ID", access_key}, {"AWS_SECRET_ACCESS_KEY", secret_key}};
}

std::string_view role_name(DevRole role) {
  switch (role) {
    case DevRole::network:
      return "network";
    case DevRole::etcd:
      return "etcd";
    case DevRole::store:
      return "store";
    case DevRole::broker:
      return "broker";
  }
  return "?";
}

DevService etcd_service(const DevOptions& options, const DevPaths& paths,
                        const DevAddresses& addresses, unsigned member) {
  DevService service{.role = DevRole::etcd, .number = member};
  service.key = fmt::format("etcd-{}", member);
  service.host = addresses.center_host();
  service.port = service.health_port = addresses.etcd(member);
  service.health_path = "/health";
  std::string cluster;
  for (unsigned one = 1; one <= options.etcd_members; ++one)
    cluster += fmt::format("{}etcd-{}=http://{}", one == 1 ? "" : ",", one,
                           join(service.host, addresses.etcd_peer(one)));
  const std::string clients = "http://" + join(service.host, service.port);
  const std::string peers = "http://" + join(service.host, addresses.etcd_peer(member));
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

DevService broker_service(const DevOptions& options, const DevPaths& paths,
                          const DevAddresses& addresses, const std::string& binary,
                          const DevBucket& bucket, unsigned broker) {
  DevService service{.role = DevRole::broker, .number = broker};
  service.key = fmt::format("broker-{}", broker);
  service.host = addresses.broker_host(broker);
  service.port = addresses.kafka(broker);
  service.health_port = addresses.admin(broker);
  service.health_path = "/readyz";
  service.admin = true;
  service.program = {.name = fmt::format("broker {}", broker),
                     .argv = {binary, "serve", "--data", paths.data(service.key), "--listen",
                              join(service.host, service.port)},
                     .environment = {},
                     .folder = paths.root,
                     .log = paths.log(service.key)};
  std::vector<std::string> keys;
  keys.push_back(options.s3() ? "paceline.wal=objects:"
                              : fmt::format("paceline.wal=file:{}", paths.data("wal")));
  if (!options.racks.empty())
    keys.push_back("broker.rack=" + options.racks[(broker - 1) % options.racks.size()]);
  // May be told otherwise: whatever log there is, all of them share it.
  keys.insert(keys.end(), options.overrides.begin(), options.overrides.end());
  keys.push_back(fmt::format("node.id={}", broker));
  keys.push_back(fmt::format("paceline.admin.listen={}", join(service.host, service.health_port)));
  keys.push_back("paceline.metadata=" + metadata_url(options, addresses));
  keys.push_back("paceline.objects=" +
                 (options.s3() ? bucket.url() : "file:" + paths.data("objects")));
  for (std::string& key : keys) {
    service.program.argv.emplace_back("-o");
    service.program.argv.push_back(std::move(key));
  }
  if (options.s3()) service.program.environment = bucket.environment();
  return service;
}

DevService store_proxy_service(const DevPaths& paths, const DevAddresses& addresses,
                               const std::string& binary) {
  DevService service{.role = DevRole::store, .number = 4};
  service.key = "store-proxy";
  service.host = addresses.center_host();
  service.port = addresses.store_proxy();
  service.health_port = addresses.store_proxy_admin();
  service.health_path = "/faults";
  service.admin = true;
  service.program = {
      .name = "the way to the store",
      .argv = {binary, "dev-store-proxy", "--listen", join(service.host, service.port), "--store",
               join(service.host, addresses.store()), "--admin-port",
               std::to_string(service.health_port)},
      .environment = {},
      .folder = paths.root,
      .log = paths.log(service.key)};
  return service;
}

std::string bootstrap_of(const DevOptions& options, const DevAddresses& addresses) {
  std::string all;
  for (unsigned broker = 1; broker <= options.brokers; ++broker)
    all += (broker == 1 ? "" : ",") + join(addresses.broker_host(broker), addresses.kafka(broker));
  return all;
}

std::string metadata_url(const DevOptions& options, const DevAddresses& addresses) {
  std::string members;
  for (unsigned member = 1; member <= options.etcd_members; ++member)
    members += (member == 1 ? "" : ",") + join(addresses.center_host(), addresses.etcd(member));
  return fmt::format("etcd://{}/dev", members);
}

env::Duration restart_pause(unsigned short_lives) {
  constexpr auto kMax = std::chrono::seconds(16);
  return std::min<env::Duration>(std::chrono::seconds(1) * (1 << std::min(short_lives, 10u)), kMax);
}

}  // namespace paceline::app
