#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace paceline::drill {

// DIR/dev.json of a `paceline dev`, as much of it as a drill needs.
struct DevFile {
  struct Service {
    std::string name, role;  // role: broker, etcd, store, network
    unsigned number = 0;     // of a broker: its id
    std::string state;
    int32_t pid = 0;  // 0: it does not run
    std::string host, admin_host;
    uint16_t port = 0, admin_port = 0;  // 0: none
    unsigned starts = 0;
    std::string command;  // its words, with blanks between them
  };
  std::string state, folder, bootstrap, store;
  // Of a cluster whose brokers are hosts: the machine's interface to them, and its address there.
  std::string network, machine;
  bool restart = true;  // what has ended is started again
  std::vector<Service> services;

  const Service* broker(int32_t id) const;
  const Service* named(std::string_view name) const;
  std::vector<const Service*> of_role(std::string_view role) const;
};

// corrupt: it is none, with what is wrong.
Result<DevFile> parse_dev_file(std::string_view json);

}  // namespace paceline::drill
