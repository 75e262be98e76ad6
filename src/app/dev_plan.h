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
  std::vector<std::string> overrides = {};  // key=value, for every broker

  bool s3() const { return store == "s3"; }
};
// One sentence about what cannot be, before anything is started.
Result<void> check_options(const DevOptions& options);

// All ports of a cluster follow from the first broker's, so that a second run, and whoever reads
// the first one's screen, finds the same ones. Brokers and members count from 1.
class DevPorts {
 public:
  static constexpr unsigned kBrokersMax = 100, kMembersMax = 7;
  static constexpr unsigned kSpan = 683;  // from the first to the last

  explicit DevPorts(uint16_t base) : base_(base) {}
  uint16_t kafka(unsigned broker) const { return at(broker - 1); }
  uint16_t admin(unsigned broker) const { return at(552 + broker - 1); }  // 9644 with 9092
  uint16_t etcd(unsigned member) const { return at(660 + member - 1); }
  uint16_t etcd_peer(unsigned member) const { return at(670 + member - 1); }
  uint16_t store() const { return at(680); }
  uint16_t store_monitor(unsigned version) const { return at(680 + version); }  // 1, 2

  struct Use {
    uint16_t port;
    std::string whose;
  };
  std::vector<Use> used(const DevOptions& options) const;

 private:
  uint16_t at(unsigned offset) const { return static_cast<uint16_t>(base_ + offset); }
  uint16_t base_;
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
  uint16_t port = 0;
  std::string url() const;
  std::map<std::string, std::string> environment() const;
};

enum class DevRole { etcd, store, broker };
std::string_view role_name(DevRole role);

// One long-lived process.
struct DevService {
  DevRole role;
  unsigned number = 0;  // of its role, from 1
  Program program = {};
  std::string key = "";          // its name in paths and in the state: "broker-1"
  uint16_t port = 0;             // what its users connect to
  uint16_t health_port = 0;      // 0: nobody asks; it works when it runs
  std::string health_path = "";  // 2xx when it works
  bool any_answer = false;       // any other status is as good
  bool irreplaceable = false;    // what it held goes with it
};

DevService etcd_service(const DevOptions& options, const DevPaths& paths, const DevPorts& ports,
                        unsigned member);
// `bucket`: of store s3.
DevService broker_service(const DevOptions& options, const DevPaths& paths, const DevPorts& ports,
                          const std::string& binary, const DevBucket& bucket, unsigned broker);
std::string bootstrap_of(const DevOptions& options, const DevPorts& ports);
std::string metadata_url(const DevOptions& options, const DevPorts& ports);

// How long what has ended stays away: a second, and twice as long for each life before the last one
// that was short, too.
env::Duration restart_pause(unsigned short_lives);

}  // namespace paceline::app
