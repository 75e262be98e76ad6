#include "env/sim_links.h"

#include <algorithm>
#include <utility>

#include "env/sim_endpoint.h"
#include "env/sim_shard.h"

namespace paceline::env {

using namespace std::chrono_literals;

std::optional<SimLinks::HostIndex> SimLinks::find_host(const std::string& name,
                                                       HostIndex self) const {
  static constexpr std::string_view kLoopback[] = {
      "", "0.0.0.0", "::", "127.0.0.1", "::1", "localhost"};
  if (std::ranges::find(kLoopback, name) != std::end(kLoopback)) return self;
  const auto found = std::ranges::find(names_, name);
  if (found == names_.end()) return std::nullopt;
  return static_cast<HostIndex>(found - names_.begin());
}

Duration SimLinks::latency(HostIndex from, HostIndex to) {
  if (from == to) return events_.random_delay(5us, 30us);
  if (events_.random().chance(faults.slow))
    return events_.random_delay(faults.latency_max, std::max(faults.latency_max, faults.slow_max));
  return events_.random_delay(faults.latency_min, std::max(faults.latency_min, faults.latency_max));
}

bool SimLinks::send(HostIndex from, HostIndex to, SimLife* owner, uint64_t actor, Instant& last,
                    Callback arrive) {
  if (owner && owner->ended()) return true;
  if (cuts_.contains({from, to})) {
    held_[{from, to}].push_back({owner, actor, &last, std::move(arrive)});
    return false;
  }
  last = std::max(last, events_.now() + latency(from, to));
  events_.add(last, owner, SimEvents::Kind::network, actor | kWireActor, std::move(arrive));
  return true;
}

bool SimLinks::cut_since(HostIndex from, HostIndex to, Instant since) const {
  const auto cut = cuts_.find({from, to});
  return cut != cuts_.end() && cut->second <= since;
}

void SimLinks::heal(HostIndex from, HostIndex to) {
  cuts_.erase({from, to});
  auto held = held_.extract({from, to});
  if (!held) return;
  // One order for all that was held: a connection's pieces among them keep theirs, and what was on
  // its way before the cut or is sent from now on does not change places with them.
  Instant when = events_.now();
  for (Held& one : held.mapped()) {
    if (one.owner && one.owner->ended()) continue;
    when = std::max({when, *one.last, events_.now() + latency(from, to)});
    *one.last = when;
    events_.add(when, one.owner, SimEvents::Kind::network, one.actor | kWireActor,
                std::move(one.arrive));
  }
}

void SimLinks::heal_all() {
  while (!cuts_.empty()) {
    const Way way = cuts_.begin()->first;
    heal(way.first, way.second);
  }
}

uint16_t SimLinks::free_port(HostIndex host) {
  uint16_t& next = next_port_[host];
  do {
    next = next < 32768 || next == 65535 ? 32768 : next + 1;
  } while (ports.contains({host, next}));
  return next;
}

void SimLinks::clear() {
  cuts_.clear();
  while (!held_.empty()) auto dropped = held_.extract(held_.begin());
  while (!ports.empty()) auto dropped = ports.extract(ports.begin());
}

void SimLinks::end_life(SimLife& life, bool reset) {
  for (auto port = ports.begin(); port != ports.end();) {
    if (&port->second->shard->life() != &life) {
      ++port;
      continue;
    }
    auto closed = std::move(port->second);
    port = ports.erase(port);
    closed->closed = true;
    closed->waiting.clear();
  }
  for (auto& [way, held] : held_)
    std::erase_if(held, [&](const Held& one) { return one.owner == &life; });
  // By number: breaking one may destroy others.
  std::vector<std::shared_ptr<SimEndpoint>> broken;
  for (auto& [number, endpoint] : endpoints)
    if (&endpoint->life() == &life) broken.push_back(endpoint->shared_from_this());
  for (auto& endpoint : broken) endpoint->abandon(reset);
}

}  // namespace paceline::env
