#pragma once

#include <stdlib.h>

#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "env/real_env.h"

namespace paceline::object {

// The real environment with two shards, running on threads of its own, and a folder that goes with
// it. Used from the test's thread.
class RealWorld {
 public:
  RealWorld() {
    char name[] = "/tmp/paceline-object-test-XXXXXX";
    CHECK(::mkdtemp(name) != nullptr);
    dir_ = name;
    std::promise<env::RealEnv*> made;
    auto ready = made.get_future();
    thread_ = std::thread([&made] {
      env::RealEnv::Options options;
      options.shards = 2;
      env::RealEnv real(options);
      made.set_value(&real);
      real.run();
    });
    env_ = ready.get();
    // Once both shards answer they run, and their own threads are the only ones to touch them.
    for (size_t i = 0; i < 2; ++i) run(i, nothing());
  }
  RealWorld(const RealWorld&) = delete;
  RealWorld& operator=(const RealWorld&) = delete;
  ~RealWorld() {
    env_->stop();
    thread_.join();
    std::filesystem::remove_all(dir_);
  }

  env::Shard& shard(size_t index) { return env_->shard(index); }
  const std::string& dir() const { return dir_; }

  void run(size_t index, Task<void> task) {
    std::promise<void> done;
    env::Shard& on = shard(index);
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
  env::RealEnv* env_ = nullptr;
};

}  // namespace paceline::object
