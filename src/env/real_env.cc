#include "env/real_env.h"

#include <sys/random.h>

#include <boost/asio/signal_set.hpp>
#include <thread>

#include "env/blocking_pool.h"
#include "env/real_disk.h"
#include "env/real_shard.h"

namespace paceline::env {
namespace {

uint64_t random_seed() {
  uint64_t seed = 0;
  CHECK(::getrandom(&seed, sizeof seed, 0) == sizeof seed);
  return seed;
}

// Waits for one set of signals, again and again; lives as long as the world.
struct SignalWatch {
  SignalWatch(boost::asio::io_context& io, Callback what) : set(io), callback(std::move(what)) {}
  void wait() {
    set.async_wait([this](boost::system::error_code error, int) {
      if (error) return;
      callback();
      wait();
    });
  }
  boost::asio::signal_set set;
  Callback callback;
};

}  // namespace

struct RealEnv::World {
  explicit World(Options options) : pool(options.blocking_threads) {
    for (unsigned i = 0; i < std::max(options.shards, 1u); ++i)
      shards.push_back(std::make_unique<RealShard>(i, random_seed(), pool, disk));
  }
  RealDisk disk;
  BlockingPool pool;
  std::vector<std::unique_ptr<RealShard>> shards;
  std::vector<std::unique_ptr<SignalWatch>> signals;
  bool ran = false;
};

RealEnv::RealEnv(Options options) : world_(std::make_unique<World>(options)) {}

RealEnv::~RealEnv() {
  end();
}

void RealEnv::on_signal(std::vector<int> signals, Callback callback) {
  auto& watch = world_->signals.emplace_back(
      std::make_unique<SignalWatch>(world_->shards[0]->io(), std::move(callback)));
  for (int signal : signals) watch->set.add(signal);
  watch->wait();
}

void RealEnv::run() {
  CHECK(!world_->ran);
  world_->ran = true;
  for (auto& shard : world_->shards) shard->begin();
  std::vector<std::thread> threads;
  for (size_t i = 1; i < world_->shards.size(); ++i)
    threads.emplace_back([shard = world_->shards[i].get()] { shard->run(); });
  world_->shards[0]->run();
  for (std::thread& thread : threads) thread.join();
  end();
}

void RealEnv::stop() {
  for (auto& shard : world_->shards) shard->stop();
}

void RealEnv::end() {
  world_->signals.clear();
  // Works first: they may use what tasks own.
  world_->pool.stop();
  for (auto& shard : world_->shards) shard->end();
  for (auto shard = world_->shards.rbegin(); shard != world_->shards.rend(); ++shard)
    (*shard)->destroy_tasks();
}

Shard& RealEnv::shard(size_t index) {
  CHECK(index < world_->shards.size());
  return *world_->shards[index];
}

size_t RealEnv::shard_count() const {
  return world_->shards.size();
}

}  // namespace paceline::env
