#include "app/dev_network.h"

#include <fmt/format.h>

namespace paceline::app {

std::vector<std::string> DevNetwork::programs() {
  return {"unshare", "nsenter", "ip"};
}

std::string DevNetwork::plug(unsigned host) {
  return fmt::format("to-{}", host);
}

DevService DevNetwork::holder(unsigned host) const {
  DevService service{.role = DevRole::network, .number = host};
  service.key = host == 0 ? "network" : fmt::format("host-{}", host);
  service.host = host == 0 ? addresses_.center_host() : addresses_.broker_host(host);
  service.irreplaceable = "a part of the network is gone";
  service.program = {.name = host == 0 ? "the network" : fmt::format("the host of broker {}", host),
                     .argv = {"unshare", "--net", "sleep", "infinity"},
                     .environment = {},
                     .folder = paths_.root,
                     .log = paths_.log("network")};
  return service;
}

std::vector<Program> DevNetwork::joins(const std::vector<pid_t>& holders) const {
  std::string wait = "ours=$(readlink /proc/self/ns/net)\n";
  for (const pid_t pid : holders)
    wait += fmt::format(
        "while [ \"$(readlink /proc/{}/ns/net)\" = \"$ours\" ]; do sleep 0.01; done\n", pid);
  const std::string machine = addresses_.interface();
  std::string here = fmt::format(
      "ip link add {0} type veth peer name machine netns {1}\n"
      "ip address add {2}/24 dev {0}\n"
      "ip link set {0} up\n",
      machine, holders[0], addresses_.machine_host());
  std::string bridge = fmt::format(
      "ip link set lo up\n"
      "ip link add {0} type bridge\n"
      "ip address add {1}/24 dev {0}\n"
      "ip link set {0} up\n"
      "ip link set machine master {0} up\n",
      kBridge, addresses_.center_host());
  std::vector<Program> all{script("hosts in network namespaces", 0, wait + here)};
  std::vector<Program> hosts;
  for (unsigned host = 1; host < holders.size(); ++host) {
    bridge += fmt::format(
        "ip link add {0} type veth peer name {1} netns {2}\n"
        "ip link set {0} master {3} up\n",
        plug(host), kCable, holders[host], kBridge);
    hosts.push_back(script(fmt::format("the network of broker {}", host), holders[host],
                           fmt::format("ip link set lo up\n"
                                       "ip address add {0}/24 dev {1}\n"
                                       "ip link set {1} up\n",
                                       addresses_.broker_host(host), kCable)));
  }
  all.push_back(script("the bridge of the network", holders[0], bridge));
  all.insert(all.end(), hosts.begin(), hosts.end());
  return all;
}

Program DevNetwork::script(std::string name, pid_t inside, const std::string& text) const {
  Program program{.name = std::move(name),
                  .argv = {"sh", "-ec", text},
                  .environment = {},
                  .folder = paths_.root,
                  .log = paths_.log("network")};
  return inside == 0 ? program : inside_network(std::move(program), inside);
}

Program inside_network(Program program, pid_t holder) {
  const std::vector<std::string> enter{"nsenter", fmt::format("--net=/proc/{}/ns/net", holder)};
  program.argv.insert(program.argv.begin(), enter.begin(), enter.end());
  return program;
}

}  // namespace paceline::app
