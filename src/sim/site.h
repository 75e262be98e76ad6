#pragma once

#include <memory>
#include <string>
#include <vector>

#include "env/random.h"
#include "meta/model.h"
#include "sim/broker_host.h"
#include "sim/bucket.h"
#include "sim/faulty_objects.h"
#include "sim/metadata_way.h"
#include "sim/shared_folder.h"

namespace paceline::sim {

// The machines of one run, and where what is durable lies: all on the broker's own disk, the
// history in a bucket and the rest on the disk, or nothing on the disk at all. In the last case
// there may be several brokers, with their logs among the objects or in a folder that they share.
class Site {
 public:
  enum class Kept { on_disk, history_in_bucket, nothing_on_disk };

  // `faults` is what the object store does to everybody; it outlives this.
  Site(env::SimWorld& world, env::Random& random, const ObjectFaults& faults);

  // The first thing drawn.
  static bool draws_cluster(env::Random& random);

  Kept kept() const { return kept_; }
  bool shared() const { return kept_ == Kept::nothing_on_disk; }
  bool cluster() const { return cluster_; }
  // All machines, whatever runs on them; with a cluster one broker each.
  std::vector<BrokerHost*> hosts();
  // Those whose broker is meant to run: whoever finds it down starts it again.
  std::vector<BrokerHost*> members();

  // One broker: the process that clients are sent to.
  BrokerHost& broker() { return *machines_[active_].host; }
  // Another process with the same broker id, if one still runs.
  BrokerHost* former();
  // The same broker is started on the other machine, whatever becomes of this process.
  // REQUIRES: shared(), not cluster(), no former().
  void move();

  // Several brokers: one more is to run from now on, or one less.
  void enlist(BrokerHost& host) { machine(host).member = true; }
  void dismiss(BrokerHost& host) { machine(host).member = false; }
  // The broker's name, for sentences, with the life that it is in.
  std::string life_of(const std::string& host_name);

  // Cut from the bucket and the shared folder, or not: each machine on its own.
  void set_reachable(BrokerHost& host, bool reachable);
  MetadataWay& metadata_way(BrokerHost& host) { return *machine(host).metadata_way; }
  bool log_in_folder() const { return folder_ != nullptr; }

  meta::Model& metadata() { return *model_; }                    // REQUIRES: shared()
  Bucket::Faults& bucket_faults() { return bucket_->faults(); }  // REQUIRES: not on_disk
  // Whether every acknowledged offset is covered once and every checksum holds, from what is
  // durable alone: what each partition's leader has. REQUIRES: no broker runs. Sets `done` when
  // `problems` are all there.
  void check(std::vector<std::string>& problems, bool& done);
  // How long what a check reads stays, at most: the machine it runs on ends with this.
  void end_check();

 private:
  struct Machine {
    std::unique_ptr<env::Disk> mounted;  // its own disk and the shared folder
    std::unique_ptr<BrokerHost> host;
    std::shared_ptr<bool> reachable = std::make_shared<bool>(true);
    std::shared_ptr<MetadataWay> metadata_way = std::make_shared<MetadataWay>();
    bool member = false;
  };
  void add_machine(const std::string& name, BrokerId id);
  Machine& machine(const BrokerHost& host);

  env::SimWorld& world_;
  const ObjectFaults& faults_;
  const bool cluster_;
  const Kept kept_;
  const unsigned shard_count_;
  std::unique_ptr<Bucket> bucket_;
  std::unique_ptr<meta::Model> model_;
  std::unique_ptr<SharedFolder> folder_;
  bool peers_ = false;  // brokers are connected to each other
  std::vector<Machine> machines_;
  size_t active_ = 0;
};

}  // namespace paceline::sim
