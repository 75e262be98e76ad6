#include "drill/network_cut.h"

#include <fmt/format.h>

#include <algorithm>

namespace paceline::drill {
namespace {

constexpr unsigned kBridge = 0;  // the number of the network that the bridge is in
// Who is told that this is somebody's address sends into the void.
constexpr std::string_view kNobody = "02:00:00:00:0d:ad";

struct Host {
  std::string name, address, interface;
  int32_t holder = 0;
  bool victim = false;
};

bool is_one_of(const std::vector<int32_t>& brokers, unsigned number) {
  return std::ranges::any_of(brokers,
                             [number](int32_t id) { return static_cast<int64_t>(id) == number; });
}

CutPlace pulled(const DevFile::Service& bridge, const std::vector<Host>& hosts) {
  CutPlace place{
      .where = bridge.name, .holder = bridge.pid, .cut = "", .seen = "", .mend = "", .mended = ""};
  for (const Host& host : hosts) {
    if (!host.victim) continue;
    const std::string plug = "to-" + host.name.substr(host.name.rfind('-') + 1);
    place.cut += fmt::format("ip link set {} down\n", plug);
    place.seen += fmt::format("ip -o link show {} | grep -q 'state DOWN'\n", plug);
    place.mend += fmt::format("ip link set {} up\n", plug);
    place.mended += fmt::format("ip -o link show {} | grep -qv 'state DOWN'\n", plug);
  }
  return place;
}

// What `from` sends to `targets` is lost.
CutPlace lost(const Host& from, const std::vector<std::string>& targets) {
  CutPlace place{
      .where = from.name, .holder = from.holder, .cut = "", .seen = "", .mend = "", .mended = ""};
  for (const std::string& target : targets) {
    place.cut += fmt::format("ip neigh replace {} lladdr {} nud permanent dev {}\n", target,
                             kNobody, from.interface);
    place.seen += fmt::format("ip neigh show {} nud permanent dev {} | grep -q {}\n", target,
                              from.interface, kNobody);
  }
  place.mend = fmt::format("ip neigh flush nud permanent dev {}\n", from.interface);
  place.mended = fmt::format("[ -z \"$(ip neigh show nud permanent dev {})\" ]\n", from.interface);
  return place;
}

}  // namespace

Command CutPlace::command(const std::string& script) const {
  Command command{.argv = {"sh", "-ec", script}, .timeout = std::chrono::seconds(10)};
  if (holder != 0)
    command.argv.insert(command.argv.begin(),
                        {"nsenter", fmt::format("--net=/proc/{}/ns/net", holder)});
  return command;
}

Result<std::vector<CutPlace>> plan_cut(const DevFile& dev, const std::vector<int32_t>& brokers,
                                       std::string_view direction) {
  const auto networks = dev.of_role("network");
  const auto bridge = std::ranges::find(networks, kBridge, &DevFile::Service::number);
  if (dev.network.empty() || bridge == networks.end())
    return fail(Code::unsupported,
                "its brokers are no hosts: `paceline dev --hosts` makes them so");
  std::vector<Host> hosts;
  for (const auto* service : networks)
    if (service->number != kBridge)
      hosts.push_back({.name = service->name,
                       .address = service->host,
                       .interface = "paceline",
                       .holder = service->pid,
                       .victim = is_one_of(brokers, service->number)});
  const auto victims = std::ranges::count_if(hosts, &Host::victim);
  if (static_cast<size_t>(victims) != brokers.size() || brokers.empty())
    return fail(Code::not_found, "one of the brokers is no host of this cluster");
  if (direction == "both") return std::vector{pulled(**bridge, hosts)};
  // Where etcd and the store are; and the machine, which is no part of the cluster.
  hosts.push_back({.name = (*bridge)->name,
                   .address = (*bridge)->host,
                   .interface = "paceline",
                   .holder = (*bridge)->pid});
  if (direction != "cluster")
    hosts.push_back({.name = "machine", .address = dev.machine, .interface = dev.network});
  std::vector<CutPlace> places;
  for (const Host& from : hosts) {
    const bool sends = from.victim ? direction != "in" : direction != "out";
    std::vector<std::string> targets;
    for (const Host& to : hosts)
      if (sends && to.victim != from.victim) targets.push_back(to.address);
    if (!targets.empty()) places.push_back(lost(from, targets));
  }
  return places;
}

}  // namespace paceline::drill
