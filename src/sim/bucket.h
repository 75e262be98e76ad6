#pragma once

#include <memory>
#include <string>

#include "env/sim_world.h"
#include "object/object.h"

namespace paceline::sim {

// A bucket on a machine of its own: what a broker has asked of it goes on when the broker is gone.
// It keeps what it has acknowledged, and its names; on the way there and back anything may happen.
class Bucket {
 public:
  explicit Bucket(env::SimWorld& world);
  ~Bucket();

  struct Faults {
    // Chances are of each request of everybody.
    double slow = 0;      // the way there takes up to slow_max, and so may the way back
    double lost = 0;      // it never arrives; the caller gives up when its patience is over
    double late_put = 0;  // a put arrives up to late_max after its caller has given up
    env::Duration slow_max = std::chrono::seconds(2);
    env::Duration late_max = std::chrono::seconds(40);
  };
  Faults& faults() { return faults_; }

  // What one process sees of it, until that process or the world ends. `reachable` is asked at each
  // request: one that finds the way cut is lost.
  std::unique_ptr<object::Store> client(std::shared_ptr<const bool> reachable);
  // The bodies themselves, to be looked at from the machine that keeps them.
  object::Store& bodies() { return *bodies_; }
  env::Shard& shard() { return shard_; }

 private:
  class Client;
  enum class Way { there, lost, late };
  Way draw(bool put, const bool& reachable);
  env::Duration latency();

  env::SimWorld& world_;
  env::SimHost& host_;
  env::Shard& shard_;
  std::unique_ptr<object::Store> bodies_;
  Faults faults_;
};

}  // namespace paceline::sim
