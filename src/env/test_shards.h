#pragma once

#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <string>
#include <thread>

#include "env/real_env.h"
#include "env/sim_world.h"

// For tests only: two shards that a test drives from outside, one task after the other.

namespace paceline::env {

inline constexpr unsigned kTestShards = 2;

// The real environment on threads of its own, and a folder that goes with it.
class RealTestShards {
 public:
  RealTestShards() {
    char name[] = "/tmp/paceline-test-XXXXXX";
    CHECK(::mkdtemp(name) != nullptr);
    dir_ = name;
    std::promise<RealEnv*> made;
    auto ready = made.get_future();
    thread_ = std::thread([&made] {
      RealEnv real({.shards = kTestShards});
      made.set_value(&real);
      real.run();
    });
    env_ = ready.get();
    // Once both shards answer they run, and their own threads are the only ones to touch them.
    for (size_t i = 0; i < kTestShards; ++i) run(i, nothing());
  }
  RealTestShards(const RealTestShards&) = delete;
  RealTestShards& operator=(const RealTestShards&) = delete;
  ~RealTestShards() {
    env_->stop();
    thread_.join();
    std::filesystem::remove_all(dir_);
  }

  Shard& shard(size_t index) { return env_->shard(index); }
  const std::string& dir() const { return dir_; }
  // To its end; from the test's thread.
  void run(size_t index, Task<void> task) {
    std::promise<void> done;
    Shard& on = shard(index);
    on.post([&on, &done, task = std::move(task)]() mutable {
      on.spawn(finish(std::move(task), &done));
    });
    done.get_future().wait();
  }

 private:
  static Task<void> nothing() { co_return; }
  static Task<void> finish(Task<void> task, std::promise<void>* done) {
    co_await std::move(task);
    done->set_value();
  }

  std::string dir_;
  std::thread thread_;
  RealEnv* env_ = nullptr;
};

// One host of the simulated environment.
class SimTestShards {
 public:
  SimTestShards() : host_(world_.add_host("host")) { host_.start(kTestShards); }

  Shard& shard(size_t index) { return host_.shard(index); }
  const std::string& dir() const { return dir_; }
  void run(size_t index, Task<void> task) {
    bool done = false;
    shard(index).spawn(finish(std::move(task), &done));
    CHECK(world_.run_until([&] { return done; }, std::chrono::hours(1)));
  }
  SimHost& host() { return host_; }

 private:
  static Task<void> finish(Task<void> task, bool* done) {
    co_await std::move(task);
    *done = true;
  }

  SimWorld world_{7};
  SimHost& host_;
  const std::string dir_ = "data";
};

}  // namespace paceline::env
