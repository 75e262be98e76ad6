#pragma once

#include <chrono>
#include <memory>

#include "env/random.h"
#include "env/shard.h"
#include "meta/store.h"

// A model of etcd for the simulator. It keeps the contract of the store, and goes wrong in the ways
// etcd does, by a seed.

namespace paceline::meta {

// Chances are of each call, unless it says otherwise.
struct ModelFaults {
  env::Duration delay_min = std::chrono::microseconds(200);  // of a message, one way
  env::Duration delay_max = std::chrono::milliseconds(2);
  double refused = 0;        // unavailable: it never reached a member
  double lost_request = 0;   // of commits: maybe_written, and nothing happens
  double lost_answer = 0;    // of commits: maybe_written, and it happened
  double late = 0;           // of commits: maybe_written, and it happens within late_max
  double foreign_write = 0;  // of commits: somebody else takes a revision first
  double watch_cut = 0;      // of messages to a watch: its stream ends, and it goes on by revision
  env::Duration late_max = std::chrono::seconds(3);
  env::Duration lease_over_max = std::chrono::milliseconds(500);  // a lease lives so much longer
};

class ModelCore;

// One etcd for all hosts of a simulated world: it outlives their processes. All of it runs in the
// world's one thread; the shards are those of the callers.
class Model {
 public:
  explicit Model(uint64_t seed);
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  ~Model();

  // What a broker opens.
  std::unique_ptr<Store> connect();

  ModelFaults& faults();
  // No member answers until `when`. What was sent before may have happened, may happen when they
  // are back, or never. Leases start anew then.
  void down_until(env::Instant when);
  void cut_watches();  // every stream ends; watches go on by revision
  void compact();      // the history so far is gone: a watch that is behind it is compacted
  // Every lease ends at once, as when an old leader revokes what a new one has renewed.
  void end_leases();
  Revision revision() const;

 private:
  std::shared_ptr<ModelCore> core_;
};

}  // namespace paceline::meta
