#pragma once

#include <chrono>

#include "env/sim_world.h"

namespace paceline::object {

// The simulated environment: one host with two shards.
class SimTestWorld {
 public:
  SimTestWorld() : host_(world_.add_host("host")) { host_.start(2); }

  env::Shard& shard(size_t index) { return host_.shard(index); }
  void run(size_t index, Task<void> task) {
    bool done = false;
    shard(index).spawn(finish(std::move(task), &done));
    CHECK(world_.run_until([&] { return done; }, std::chrono::hours(1)));
  }

 private:
  static Task<void> finish(Task<void> task, bool* done) {
    co_await std::move(task);
    *done = true;
  }

  env::SimWorld world_{7};
  env::SimHost& host_;
};

}  // namespace paceline::object
