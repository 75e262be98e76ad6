#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "app/dev_plan.h"

namespace paceline::app {

// Ceph RGW from Debian's packages as the store of a local cluster: one monitor, one OSD that keeps
// everything in memory, one gateway. A store that people run, with real signatures, in two seconds
// and without a container; it needs no manager, no systemd and no root. All but make_bucket() is
// text: files to write, tools to run, processes to start, in this order.
class Ceph {
 public:
  static std::vector<std::string> programs();  // that it needs
  // A bucket at the way to the store, under new keys.
  static DevBucket make_keys(const DevAddresses& addresses,
                             const std::function<uint64_t()>& random);

  // `random` is asked here alone.
  Ceph(const DevPaths& paths, const DevAddresses& addresses, DevBucket bucket,
       const std::function<uint64_t()>& random);

  std::vector<std::string> folders() const;
  std::vector<std::pair<std::string, std::string>> files() const;  // path, content
  std::vector<Program> before_monitor() const;
  DevService monitor() const;
  std::vector<Program> before_osd() const;
  DevService osd() const;
  DevService gateway() const;  // waits for the OSD by itself
  Program make_user() const;

 private:
  Program program(const std::string& key, std::string name, std::vector<std::string> argv) const;
  DevService service(unsigned number, const std::string& key, std::string name,
                     std::vector<std::string> argv) const;
  std::string folder() const { return paths_.data("store"); }

  const DevPaths paths_;
  const DevAddresses addresses_;
  const DevBucket bucket_;
  std::string cluster_, osd_;         // ids
  std::vector<std::string> secrets_;  // of daemons, in base64
};

Task<Result<void>> make_bucket(env::Shard& shard, DevBucket bucket);

}  // namespace paceline::app
