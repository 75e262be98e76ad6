#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "env/sim_events.h"
#include "env/sim_world.h"

namespace paceline::env {

class SimLife;
class SimEndpoint;
// Set in the actor of every event that a wire causes, and in no shard's.
inline constexpr uint64_t kWireActor = 1ull << 62;
struct SimPort;

// The wires of a simulated world: who is cut from whom, which ports are open, and the connections
// that end with a life.
class SimLinks {
 public:
  explicit SimLinks(SimEvents& events) : events_(events) {}
  SimLinks(const SimLinks&) = delete;
  SimLinks& operator=(const SimLinks&) = delete;

  using HostIndex = uint32_t;
  void add_host(const std::string& name) { names_.push_back(name); }
  // Nothing if `name` is no host. Loopback names are `self`.
  std::optional<HostIndex> find_host(const std::string& name, HostIndex self) const;
  const std::string& host_name(HostIndex host) const { return names_[host]; }

  // Runs `arrive` at the other side (as an event of `owner`) after a latency, not before `last`,
  // which it moves on: what one direction of a connection sends keeps its order. Held back while
  // the way is cut; then false. `last` lives as long as `arrive` does.
  bool send(HostIndex from, HostIndex to, SimLife* owner, uint64_t actor, Instant& last,
            Callback arrive);
  void cut(HostIndex from, HostIndex to) { cuts_[{from, to}] = events_.now(); }
  void heal(HostIndex from, HostIndex to);
  void heal_all();
  // Cut all the time since `since`?
  bool cut_since(HostIndex from, HostIndex to, Instant since) const;

  // The life ends now: its ports close, its connections break, their peers hear of it.
  void end_life(SimLife& life, bool reset);

  uint16_t free_port(HostIndex host);
  void clear();  // at the end of the world

  SimNetworkFaults faults;
  std::map<std::pair<HostIndex, uint16_t>, std::shared_ptr<SimPort>> ports;
  std::map<uint64_t, SimEndpoint*> endpoints;  // those that exist, by number
  uint64_t last_endpoint = 0;

 private:
  using Way = std::pair<HostIndex, HostIndex>;
  struct Held {
    SimLife* owner;
    uint64_t actor;
    Instant* last;
    Callback arrive;
  };
  Duration latency(HostIndex from, HostIndex to);

  SimEvents& events_;
  std::vector<std::string> names_;
  std::map<Way, Instant> cuts_;
  std::map<Way, std::deque<Held>> held_;
  std::map<HostIndex, uint16_t> next_port_;
};

}  // namespace paceline::env
