#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "env/disk.h"
#include "env/network.h"
#include "env/real_env.h"
#include "env/shard.h"
#include "env/sim_world.h"

// For tests only: one body of test, run in each of the worlds.

namespace paceline::env {

class TestWorld {
 public:
  virtual ~TestWorld() = default;
  virtual Shard& shard(size_t index) = 0;
  // An empty folder, and a name under which listeners of this world are reached.
  virtual std::string dir() const = 0;
  virtual std::string host() const = 0;
  // Runs `body` on shard 0 to its end, then ends the world.
  virtual void run(Task<void> body) = 0;
};

class RealTestWorld final : public TestWorld {
 public:
  explicit RealTestWorld(unsigned shards) : env_({.shards = shards, .blocking_threads = 4}) {
    std::string name = ::testing::TempDir() + "paceline_env_XXXXXX";
    CHECK(::mkdtemp(name.data()) != nullptr);
    dir_ = name;
  }
  ~RealTestWorld() override {
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }
  Shard& shard(size_t index) override { return env_.shard(index); }
  std::string dir() const override { return dir_; }
  std::string host() const override { return "127.0.0.1"; }
  void run(Task<void> body) override {
    env_.shard(0).spawn(until_done(std::move(body)));
    env_.run();
    EXPECT_TRUE(done_);
  }
  RealEnv& env() { return env_; }

 private:
  Task<void> until_done(Task<void> body) {
    co_await std::move(body);
    done_ = true;
    env_.stop();
  }
  RealEnv env_;
  std::string dir_;
  bool done_ = false;
};

class SimTestWorld final : public TestWorld {
 public:
  explicit SimTestWorld(unsigned shards, uint64_t seed = 1)
      : world_(seed), host_(world_.add_host("alpha")) {
    CHECK(host_.disk().make_dirs(dir()));
    all_ = host_.start(shards);
  }
  // A shard is still there to be asked after the end of its life.
  Shard& shard(size_t index) override { return *all_.at(index); }
  std::string dir() const override { return "/data/test"; }
  std::string host() const override { return "127.0.0.1"; }
  void run(Task<void> body) override {
    shard(0).spawn(until_done(std::move(body)));
    EXPECT_TRUE(world_.run_until([this] { return done_; }, std::chrono::hours(1)));
    host_.stop();
  }
  SimWorld& world() { return world_; }

 private:
  Task<void> until_done(Task<void> body) {
    co_await std::move(body);
    done_ = true;
  }
  SimWorld world_;
  SimHost& host_;
  std::vector<Shard*> all_;
  bool done_ = false;
};

enum class WorldKind { real, sim };

std::unique_ptr<TestWorld> make_world(WorldKind kind, unsigned shards);

// A test of both worlds: `TEST_P(ContractTest, Name) { world->run(body(*world)); }`
class ContractTest : public ::testing::TestWithParam<WorldKind> {
 protected:
  void make(unsigned shards = 1) { world = make_world(GetParam(), shards); }
  std::unique_ptr<TestWorld> world;
};

inline std::string kind_name(const ::testing::TestParamInfo<WorldKind>& tested) {
  return tested.param == WorldKind::real ? "Real" : "Sim";
}

}  // namespace paceline::env
