#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "app/dev_plan.h"

namespace paceline::app {

// Brokers as hosts of their own, in network namespaces that are joined by a bridge in one more,
// where etcd and the store are; the machine has an interface there. Each namespace lives as long as
// the process that holds it: whatever becomes of the cluster, nothing of it stays. It takes root.
// All of it is text: processes to start, tools to run, in this order.
class DevNetwork {
 public:
  static std::vector<std::string> programs();  // that it needs

  DevNetwork(const DevPaths& paths, const DevAddresses& addresses)
      : paths_(paths), addresses_(addresses) {}

  DevService holder(unsigned host) const;  // 0: of the bridge; 1: of broker 1
  // `holders`: the process ids, by host. The first waits until all have their namespaces.
  std::vector<Program> joins(const std::vector<pid_t>& holders) const;

  // Names that whoever cuts ways has to know (drill/network_cut.cc).
  static constexpr const char* kBridge = "paceline";  // in its namespace
  static constexpr const char* kCable = "paceline";   // in a broker's namespace
  static std::string plug(unsigned host);             // of the bridge, a broker's end

 private:
  Program script(std::string name, pid_t inside, const std::string& text) const;
  const DevPaths paths_;
  const DevAddresses addresses_;
};

// The same program, in the namespace that `holder` holds; it is the process that is started.
Program inside_network(Program program, pid_t holder);

}  // namespace paceline::app
