#pragma once

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "env/network.h"
#include "env/shard.h"
#include "env/sim_events.h"
#include "env/task_list.h"

namespace paceline::env {

class SimHost;
class SimLinks;
class SimShard;

// One process of a simulated host: its shards and its blocking works.
class SimLife final : public SimEvents::Owner {
 public:
  // `number` is of this life alone in its world; its shards count on from it.
  SimLife(SimEvents& events, SimLinks& links, SimHost& host, uint64_t number, unsigned shard_count);
  SimLife(const SimLife&) = delete;
  SimLife& operator=(const SimLife&) = delete;
  ~SimLife();

  SimShard& shard(size_t index);
  SimHost& host() { return host_; }
  bool ended() const { return ended_; }
  void end();

  struct Job {
    uint64_t lane = 0;
    Callback work;
    Callback done;
    uint64_t actor = 0;  // the shard that asked
  };
  void submit(Job job);

 private:
  void start(Job job);
  void run(Job job);

  SimEvents& events_;
  SimHost& host_;
  std::vector<std::unique_ptr<SimShard>> shards_;
  std::map<uint64_t, std::deque<Job>> lanes_;  // a lane is here while it is busy
  bool ended_ = false;
};

// A shard under the virtual clock. A post of its own task takes under a microsecond, one from
// elsewhere up to 20.
class SimShard final : public Shard {
 public:
  SimShard(SimEvents& events, SimLinks& links, SimLife& life, unsigned index, uint64_t actor);
  ~SimShard() override;

  unsigned index() const override { return index_; }
  Instant now() const override { return events_.now(); }
  int64_t wall_ms() const override;
  uint64_t random() override { return events_.random().next(); }
  void post(Callback callback) override;
  TimerId run_at(Instant when, Callback callback) override;
  void cancel_timer(TimerId id) override { events_.remove(id); }
  void offload(uint64_t lane, Callback work, Callback done) override;
  void spawn(Task<void> task) override;
  Disk& disk() override;
  Network& network() override { return *network_; }

  SimLife& life() { return life_; }
  uint64_t actor() const { return actor_; }
  void destroy_tasks() { tasks_.destroy_all(); }

 private:
  SimEvents& events_;
  SimLife& life_;
  const unsigned index_;
  const uint64_t actor_;
  std::unique_ptr<Network> network_;
  std::map<uint64_t, Instant> last_post_;  // by the actor who posted: its posts keep their order
  TaskList tasks_;
};

}  // namespace paceline::env
