#pragma once

#include "env/network.h"
#include "env/sim_links.h"
#include "env/sim_shard.h"

namespace paceline::env {

// The network as one simulated shard sees it. Hosts are reached by name; 127.0.0.1 is the own one.
class SimNetwork final : public Network {
 public:
  SimNetwork(SimEvents& events, SimLinks& links, SimShard& shard)
      : events_(events), links_(links), shard_(shard) {}
  Result<std::unique_ptr<Listener>> listen(const std::string& host, uint16_t port) override;
  Task<Result<std::unique_ptr<Socket>>> connect(const std::string& host, uint16_t port,
                                                Instant deadline) override;
  // Names are the numbers of this world.
  Task<Result<std::vector<std::string>>> look_up(const std::string& host) override;

 private:
  SimEvents& events_;
  SimLinks& links_;
  SimShard& shard_;
};

}  // namespace paceline::env
