#pragma once

#include <memory>
#include <string>

#include "env/sim_world.h"
#include "server/server.h"

namespace paceline::sim {

// A simulated machine and the broker on it: the real server code, started and ended by whoever
// drives the world, never by its own tasks. A broker that loses its log ends like a process that
// exits, and stays down until start().
class BrokerHost {
 public:
  BrokerHost(env::SimWorld& world, const std::string& name, unsigned shard_count);
  ~BrokerHost();

  // What the next start() uses. The data folder and the listener are already there.
  server::Options& options() { return options_; }
  // Instead of disk(), which stays its own; it outlives this.
  void use_disk(env::Disk& disk) { used_disk_ = &disk; }
  static constexpr uint16_t kPort = 9092;
  const std::string& name() const { return host_.name(); }
  env::SimDisk& disk() { return host_.disk(); }
  env::SimHost& host() { return host_; }
  env::Shard& shard(size_t index = 0) { return host_.shard(index); }

  void start();                            // REQUIRES: !running()
  void begin_stop();                       // SIGTERM: the process ends when all is uploaded
  void kill();                             // kill -9
  void crash();                            // power loss
  uint64_t life() const { return life_; }  // how often it was started
  bool running() const { return host_.running(); }
  bool serving() const { return serving_; }
  // The last life refused to start; the sentence it gave. Cleared by start().
  const std::optional<Error>& refused() const { return refused_; }
  server::Server& server() { return *server_; }

 private:
  enum class Ending { exit, kill, crash };
  void end(Ending how);
  Task<void> run();
  static Task<void> stop(BrokerHost* self);

  env::SimWorld& world_;
  env::SimHost& host_;
  const unsigned shard_count_;
  server::Options options_;
  env::Disk* used_disk_ = nullptr;
  std::unique_ptr<server::Server> server_;
  uint64_t life_ = 0;  // an end that was asked for an earlier life is void
  bool serving_ = false;
  bool stopping_ = false;
  std::optional<Error> refused_;
};

}  // namespace paceline::sim
