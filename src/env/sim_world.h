#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "env/random.h"
#include "env/shard.h"
#include "env/sim_disk.h"

namespace paceline::env {

class SimEvents;
class SimHost;
class SimLife;
class SimLinks;

// What the simulated network does to everybody. Bytes arrive in order, in pieces of any size.
struct SimNetworkFaults {
  Duration latency_min = std::chrono::microseconds(50);  // between hosts
  Duration latency_max = std::chrono::microseconds(500);
  double reset = 0;  // of each piece that is sent: the connection breaks instead
  double slow = 0;   // of each piece: it takes up to slow_max
  Duration slow_max = std::chrono::seconds(1);
};

// Hosts, a network between them, and one virtual clock, in one thread, all from one seed. Time
// passes only in step(), run_for() and run_until(). A host is started, stopped and crashed by
// whoever drives the world, or by after(), never by its own tasks.
//
// What used a life's shards (brokers, listeners, sockets) may be destroyed after that life has
// ended, but before the world.
class SimWorld {
 public:
  explicit SimWorld(uint64_t seed);
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;
  ~SimWorld();

  // The name is how others connect to it. REQUIRES: a new name.
  SimHost& add_host(const std::string& name);
  SimHost& host(const std::string& name);

  uint64_t seed() const { return seed_; }
  Instant now() const;
  Random& random();
  bool step();  // runs the next event; false when nothing is left to happen
  void run_for(Duration duration);
  // True as soon as `met()`, which is asked after each event; false when `limit` has passed or
  // nothing is left to happen.
  bool run_until(const std::function<bool()>& met, Duration limit);
  // An event of the world itself: a fault, at its time.
  void after(Duration delay, Callback callback);

  // Whose event runs now; empty between events, and in those of the world itself.
  const std::string& acting() const;

  void trace(std::string_view what);  // mixed into the trace
  // Of everything that has happened: equal for two runs of one seed, different otherwise.
  uint64_t trace_hash() const;

  SimNetworkFaults& network_faults();
  // Nothing that is sent arrives until the cut is healed; a connection that waits for 60 s breaks.
  void cut(const std::string& a, const std::string& b);  // both directions
  void cut_one_way(const std::string& from, const std::string& to);
  void heal(const std::string& a, const std::string& b);
  void heal_all();

 private:
  friend class SimHost;
  const uint64_t seed_;
  std::unique_ptr<SimEvents> events_;
  std::unique_ptr<SimLinks> links_;
  std::vector<std::unique_ptr<SimHost>> hosts_;
  // All lives there ever were: what is still held of an ended one must find its shards.
  std::vector<std::unique_ptr<SimLife>> lives_;
};

// One machine: its disk stays, its processes come and go.
class SimHost {
 public:
  SimHost(SimWorld& world, std::string name, uint32_t index, uint64_t disk_seed);
  SimHost(const SimHost&) = delete;
  SimHost& operator=(const SimHost&) = delete;

  const std::string& name() const { return name_; }
  uint32_t index() const { return index_; }
  SimDisk& disk() { return disk_; }
  bool running() const { return life_ != nullptr; }

  // A new process with this many shards. REQUIRES: !running()
  std::vector<Shard*> start(unsigned shard_count = 1);
  Shard& shard(size_t index);  // REQUIRES: running()

  // The process ends: posts, timers and works are dropped, tasks destroyed. Peers of its
  // connections read their end (stop) or a reset (kill, crash). The disk keeps what was written.
  void stop();
  void kill();
  // Power loss: as kill(), and the disk forgets what was not durable.
  void crash();
  // Nothing of this process runs for so long, as under SIGSTOP; time and the others go on.
  void pause(Duration duration);

  // What wall_ms() is wrong by. now() is never wrong.
  void set_wall_skew(Duration skew) { wall_skew_ = skew; }
  Duration wall_skew() const { return wall_skew_; }

 private:
  enum class Ending { closed, reset };
  void end(Ending ending);

  SimWorld& world_;
  const std::string name_;
  const uint32_t index_;
  SimDisk disk_;
  SimLife* life_ = nullptr;
  uint64_t lives_ = 0;
  Duration wall_skew_{0};
};

}  // namespace paceline::env
