#pragma once

#include <memory>
#include <vector>

#include "env/shard.h"

namespace paceline::env {

// The real world: one thread a shard, the file system and the network of this machine. Made, run
// and destroyed by one thread; until run() and after it that thread may call the shards as their
// own (spawn the first tasks, take down what used them).
class RealEnv {
 public:
  struct Options {
    unsigned shards = 1;
    unsigned blocking_threads = 8;  // for offload(); started when needed
  };
  explicit RealEnv(Options options);
  RealEnv(const RealEnv&) = delete;
  RealEnv& operator=(const RealEnv&) = delete;
  ~RealEnv();

  // `callback` runs on shard 0 each time one of `signals` arrives. REQUIRES: before run().
  void on_signal(std::vector<int> signals, Callback callback);
  // Runs shard 0 here and the others on threads of their own, until stop(). On return nothing
  // runs any more: offloaded works have ended, all tasks are destroyed. Once.
  void run();
  void stop();  // from any thread, also before run()

  Shard& shard(size_t index);
  size_t shard_count() const;

 private:
  struct World;
  void end();
  std::unique_ptr<World> world_;
};

}  // namespace paceline::env
