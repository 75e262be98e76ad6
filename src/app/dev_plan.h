#pragma once

#include <string>
#include <vector>

#include "app/dev_process.h"

// What a local cluster consists of: programs, ports, places. Pure.

namespace paceline::app {

struct DevOptions {
  unsigned brokers = 3;
  unsigned etcd_members = 1;
  std::string store = "folder";  // or s3
  std::string folder = "";       // empty: one that passes
  uint16_t port = 9092;          // the first broker's; all others follow from it
  bool any_port = false;
  bool restart = true;
  bool hosts = false;                       // each broker is a host of its own
  std::vector<std::string> racks = {};      // of the brokers, by turns
  std::vector<std::string> overrides = {};  // key=value, for every broker

  bool s3() const { return store == "s3"; }
};
// One sentence about what cannot be, before anything is started.
Result<void> check_options(const DevOptions& options);

// All addresses of a cluster follow from the first broker's port, so that a second run, and whoever
// reads the first one's screen, finds the same ones. Brokers and members count from 1. Either all
// of it is on 127.0.0.1, or brokers are hosts of a network of their own (RFC 2544's addresses,
// which nobody routes), joined with etcd and the store, which are one more host, and the machine.
class DevAddresses {
 public:
  static constexpr unsigned kBrokersMax = 100, kMembersMax = 7;
  static constexpr unsigned kSpan = 685;  // from the first port to the last

  DevAddresses(uint16_t base, bool hosts) : base_(base), hosts_(hosts) {}
  uint16_t kafka(unsigned broker) const { return at(broker - 1); }
  uint16_t admin(unsigned broker) const { return at(552 + broker - 1); }  // 9644 with 9092
  uint16_t etcd(unsigned member) const { return at(660 + member - 1); }
  uint16_t etcd_peer(unsigned member) const { return at(670 + member - 1); }
  uint16_t store() const { return at(680); }
  uint16_t store_monitor(unsigned version) const { return at(680 + version); }  // 1, 2
  uint16_t store_proxy() const { return at(683); }
  uint16_t store_proxy_admin() const { return at(684); }

  bool hosts() const { return hosts_; }
  std::string broker_host(unsigned broker) const { return hosts_ ? in_network(broker) : kLocal; }
  std::string center_host() const { return hosts_ ? in_network(254) : kLocal; }  // etcd, the store
  std::string machine_host() const { return hosts_ ? in_network(253) : kLocal; }
  // The machine's interface to the network: of one cluster only.
  std::string interface() const { return "paceline-" + std::to_string(network()); }

  struct Use {
    uint16_t port;
    std::string whose;
  };
  std::vector<Use> used(const DevOptions& options) const;

 private:
  static constexpr const char* kLocal = "127.0.0.1";
  uint16_t at(unsigned offset) const { return static_cast<uint16_t>(base_ + offset); }
  unsigned network() const { return base_ % 512u; }
  std::string in_network(unsigned host) const;
  uint16_t base_;
  bool hosts_;
};

// Where things lie in the folder of a cluster.
struct DevPaths {
  std::string root;
  std::string state() const { return root + "/dev.json"; }
  std::string lock() const { return root + "/dev.lock"; }
  std::string log(const std::string& name) const { return root + "/logs/" + name + ".log"; }
  std::string data(const std::string& name) const { return root + "/" + name; }
};

// A bucket of the store that we start.
struct DevBucket {
  std::string access_key = "", secret_key = "";
  std::string host = "";
  uint16_t port = 0;
  std::string url() const;
  std::map<std::string, std::string> environment() const;
};

enum class DevRole { network, etcd, store, broker };
std::string_view role_name(DevRole role);

// One long-lived process.
struct DevService {
  DevRole role;
  unsigned number = 0;  // of its role, from 1
  Program program = {};
  std::string key = "";            // its name in paths and in the state: "broker-1"
  std::string host = "";           // where it listens
  uint16_t port = 0;               // what its users connect to
  uint16_t health_port = 0;        // 0: nobody asks; it works when it runs
  std::string health_path = "";    // 2xx when it works
  bool any_answer = false;         // any other status is as good
  bool admin = false;              // its health port answers more than that
  std::string irreplaceable = "";  // what goes with it, so that the cluster has to end
};

DevService etcd_service(const DevOptions& options, const DevPaths& paths,
                        const DevAddresses& addresses, unsigned member);
// `bucket`: of store s3.
DevService broker_service(const DevOptions& options, const DevPaths& paths,
                          const DevAddresses& addresses, const std::string& binary,
                          const DevBucket& bucket, unsigned broker);
// Between the brokers and the gateway.
DevService store_proxy_service(const DevPaths& paths, const DevAddresses& addresses,
                               const std::string& binary);
std::string bootstrap_of(const DevOptions& options, const DevAddresses& addresses);
std::string metadata_url(const DevOptions& options, const DevAddresses& addresses);

// How long what has ended stays away: a second, and twice as long for each life before the last one
// that was short, too.
env::Duration restart_pause(unsigned short_lives);

}  // namespace paceline::app
