#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "env/random.h"
#include "meta/model.h"
#include "sim/broker_host.h"
#include "sim/bucket.h"
#include "sim/faulty_objects.h"

namespace paceline::sim {

// The machines of one run, and where what is durable lies: all on the broker's own disk, the
// history in a bucket and the rest on the disk, or nothing on the disk at all.
class Site {
 public:
  enum class Kept { on_disk, history_in_bucket, nothing_on_disk };

  // `faults` is what the object store does to everybody; it outlives this.
  Site(env::SimWorld& world, env::Random& random, const ObjectFaults& faults);

  Kept kept() const { return kept_; }
  bool shared() const { return kept_ == Kept::nothing_on_disk; }
  // The broker that clients are sent to.
  BrokerHost& broker() { return *hosts_[active_]; }
  // Another process with the same broker id, if one still runs.
  BrokerHost* former();
  std::vector<BrokerHost*> hosts();

  // The same broker is started on the other machine, whatever becomes of this process.
  // REQUIRES: shared(), no former().
  void move();
  // Cut from the bucket, or not: each machine on its own.
  void set_reachable(BrokerHost& host, bool reachable);

  meta::Model& metadata() { return *model_; }                    // REQUIRES: shared()
  Bucket::Faults& bucket_faults() { return bucket_->faults(); }  // REQUIRES: not on_disk
  // Whether every acknowledged offset is covered once and every checksum holds, from what is
  // durable alone. REQUIRES: no broker runs. Sets `done` when `problems` are all there.
  void check(std::vector<std::string>& problems, bool& done);
  // How long what a check reads stays, at most: the machine it runs on ends with this.
  void end_check();

 private:
  std::unique_ptr<BrokerHost> make_host(const std::string& name);

  env::SimWorld& world_;
  const ObjectFaults& faults_;
  const Kept kept_;
  const unsigned shard_count_;
  std::unique_ptr<Bucket> bucket_;
  std::unique_ptr<meta::Model> model_;
  std::array<std::shared_ptr<bool>, 2> reachable_;
  std::array<std::unique_ptr<BrokerHost>, 2> hosts_;
  size_t active_ = 0;
};

}  // namespace paceline::sim
