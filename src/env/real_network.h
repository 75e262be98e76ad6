#pragma once

#include "env/address.h"
#include "env/network.h"
#include "env/real_shard.h"

namespace paceline::env {

// TCP of this machine, for one shard.
class RealNetwork final : public Network {
 public:
  explicit RealNetwork(RealShard& shard) : shard_(shard) {}
  Result<std::unique_ptr<Listener>> listen(const std::string& host, uint16_t port) override;
  Task<Result<std::unique_ptr<Socket>>> connect(const std::string& host, uint16_t port,
                                                Instant deadline) override;
  Task<Result<std::vector<std::string>>> look_up(const std::string& host) override;

 private:
  // Only a name that is no number costs a thread's time.
  Task<Result<std::vector<Address>>> addresses_of(std::string host, uint16_t port);

  RealShard& shard_;
};

}  // namespace paceline::env
