#pragma once

#include <memory>
#include <string>

#include "env/sim_disk.h"

namespace paceline::sim {

// A folder on a machine of its own that several brokers mount, under kPath. What a broker has
// written there stays when the broker goes: the machine that keeps it loses nothing.
class SharedFolder {
 public:
  static constexpr std::string_view kPath = "/shared";

  explicit SharedFolder(uint64_t seed);

  env::SimDisk& disk() { return disk_; }
  // What one machine sees: this folder, and its own disk everywhere else. `reachable` is asked at
  // each call; one that finds the way cut fails. `own` and this outlive it.
  std::unique_ptr<env::Disk> mount(env::SimDisk& own, std::shared_ptr<const bool> reachable);

 private:
  env::SimDisk disk_;
};

}  // namespace paceline::sim
