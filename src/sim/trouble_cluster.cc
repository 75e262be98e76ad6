#include <algorithm>

#include "sim/trouble.h"

// What happens to several brokers: one, some or all of them, and what is between them.

namespace paceline::sim {

using namespace std::chrono_literals;

namespace {

double seconds(env::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

std::string names(const std::vector<BrokerHost*>& hosts) {
  std::string all;
  for (const BrokerHost* host : hosts) all += (all.empty() ? "" : ", ") + host->name();
  return all;
}

}  // namespace

void Trouble::suffer_together() {
  const env::Instant end = world_.now() + between(12s, 35s);
  env::Instant fault_at = world_.now() + between(0s, 4s);
  const std::vector<BrokerHost*> hosts = site_.hosts();
  start_at_.assign(hosts.size(), env::Instant::never());
  while (world_.now() < end) {
    const std::vector<BrokerHost*> members = site_.members();
    env::Instant next = std::min(fault_at, end);
    for (size_t i = 0; i < hosts.size(); ++i) {
      if (hosts[i]->running() || std::ranges::find(members, hosts[i]) == members.end()) {
        start_at_[i] = env::Instant::never();
      } else if (start_at_[i] == env::Instant::never()) {
        // At once, or after others have taken over.
        start_at_[i] = world_.now() + (random_.chance(0.4) ? between(10ms, 1s) : between(1s, 12s));
      }
      next = std::min(next, start_at_[i]);
    }
    if (world_.now() < next) {
      const size_t up = static_cast<size_t>(
          std::ranges::count_if(hosts, [](BrokerHost* host) { return host->running(); }));
      auto changed = [&] {
        if (world_.now() >= next) return true;
        size_t now_up = 0;
        for (const BrokerHost* host : hosts) now_up += host->running() ? 1 : 0;
        return now_up != up;
      };
      world_.run_until(changed, next - world_.now());
    }
    for (size_t i = 0; i < hosts.size(); ++i) {
      if (world_.now() < start_at_[i] || hosts[i]->running()) continue;
      start_at_[i] = env::Instant::never();
      hosts[i]->start();
      step_done(fmt::format("{} starts", hosts[i]->name()));
    }
    if (world_.now() < fault_at) continue;
    hurt_cluster();
    fault_at = world_.now() + between(50ms, 6s);
  }
}

BrokerHost* Trouble::victim() {
  const std::vector<BrokerHost*> one = victims(1, 1);
  return one.empty() ? nullptr : one.front();
}

// In the order of their names; fewer if fewer run.
std::vector<BrokerHost*> Trouble::victims(size_t least, size_t most) {
  std::vector<BrokerHost*> running;
  for (BrokerHost* host : site_.members())
    if (host->running()) running.push_back(host);
  const size_t count = least + random_.below(most - least + 1);
  while (running.size() > count)
    running.erase(running.begin() + static_cast<ptrdiff_t>(random_.below(running.size())));
  return running;
}

// Now and then too short to be noticed, else long enough for others to take over.
env::Duration Trouble::long_enough() {
  return random_.chance(0.3) ? between(10ms, 3s) : between(4s, 14s);
}

void Trouble::hurt_cluster() {
  switch (random_.below(10)) {
    case 0:
    case 1:
    case 2:
    case 3:
      hurt_brokers();
      break;
    case 4:
    case 5:
    case 6:
      hurt_ways();
      break;
    case 7:
      hurt_store();
      break;
    case 8:
      hurt_metadata();
      break;
    default:
      hurt_membership();
  }
}

void Trouble::hurt_brokers() {
  switch (random_.below(6)) {
    case 0:
      kill_several();
      break;
    case 1:
      kill_in_turn();
      break;
    case 2:
    case 3:
      freeze_several();
      break;
    case 4:
      restart_while_it_runs();
      break;
    default:
      if (BrokerHost* host = victim()) {
        const env::Duration skew = between(-3000s, 3000s);
        step_done(
            fmt::format("the wall clock of {} is off by {:.0f} s", host->name(), seconds(skew)));
        host->host().set_wall_skew(skew);
      }
  }
}

void Trouble::kill_if_running(BrokerHost& host) {
  if (!host.running() || over_) return;
  ++report_.kills;
  step_done("kill -9 of " + host.name());
  host.kill();
}

void Trouble::kill_several() {
  const std::vector<BrokerHost*> hosts = victims(1, random_.chance(0.2) ? 5 : 2);
  // At any event, so that each step of whatever is under way is the last one now and then.
  for (uint64_t events = random_.below(3000); events > 0; --events) world_.step();
  for (BrokerHost* host : hosts) kill_if_running(*host);
}

// A broker, and one of those that take over from it while they do, and perhaps another one.
void Trouble::kill_in_turn() {
  std::vector<BrokerHost*> hosts = victims(2, 3);
  env::Duration at{0};
  step_done("one after the other will be killed: " + names(hosts));
  for (BrokerHost* host : hosts) {
    world_.after(at, [this, host] { kill_if_running(*host); });
    at += between(4s, 7s);  // about when the lease of the one before has ended
  }
}

void Trouble::freeze_several() {
  const std::vector<BrokerHost*> hosts = victims(1, random_.chance(0.2) ? 3 : 1);
  const env::Duration pause = long_enough();
  step_done(fmt::format("{} stand still for {:.3f} s", names(hosts), seconds(pause)));
  for (BrokerHost* host : hosts) host->host().pause(pause);
}

void Trouble::restart_while_it_runs() {
  BrokerHost* host = victim();
  if (!host) return;
  kill_if_running(*host);
  host->start();
  step_done(host->name() + " starts at once");
}

void Trouble::hurt_ways() {
  BrokerHost* host = victim();
  if (!host) return;
  switch (random_.below(6)) {
    case 0:
      cut_from_clients(*host);
      break;
    case 1:
    case 2:
      cut_from_metadata(*host);
      break;
    case 3:
      cut_from_store(*host);
      break;
    case 4:
      cut_from_each_other(*host);
      break;
    default:
      // Alone in the world, or nearly.
      cut_from_each_other(*host);
      cut_from_metadata(*host);
      if (random_.chance(0.5)) cut_from_store(*host);
  }
}

void Trouble::hurt_move(const std::string& target) {
  if (over_ || !random_.chance(0.25)) return;
  std::vector<BrokerHost*> running = victims(1, site_.members().size());
  if (running.empty()) return;
  BrokerHost* host = running[random_.below(running.size())];
  for (BrokerHost* one : running)
    if (one->name() == target && random_.chance(0.7)) host = one;
  const uint64_t what = random_.below(7);
  constexpr uint64_t kUntold = 5;
  world_.after(between(0ms, what >= kUntold ? 10ms : 30ms), [this, host, target, what] {
    if (over_ || !host->running()) return;
    switch (what) {
      case 0:
        kill_if_running(*host);
        break;
      case 1:
        cut_from_store(*host);
        break;
      case 2:
        cut_from_metadata(*host);
        break;
      case 3:
        cut_from_each_other(*host);
        break;
      case kUntold:
      case kUntold + 1:
        leave_untold(target);
        break;
      default:
        step_done(host->name() + " stands still in the middle of a move");
        host->host().pause(long_enough());
    }
  });
}

// What it says and what is committed now is heard by no other broker, and they reach it and their
// clients all the same: whoever has given it something cannot know whether it has it.
void Trouble::leave_untold(const std::string& by) {
  const env::Duration cut = long_enough();
  step_done(fmt::format("others hear neither {} nor the metadata for {:.3f} s", by, seconds(cut)));
  for (BrokerHost* other : site_.members()) {
    if (other->name() == by) continue;
    MetadataWay& way = site_.metadata_way(*other);
    way.back = false;
    world_.cut_one_way(by, other->name());
    world_.after(cut, [this, &way, by, name = other->name()] {
      way.there = way.back = true;
      world_.heal(by, name);
    });
  }
}

void Trouble::heal_later(std::string one, std::string other) {
  world_.after(long_enough(), [this, one, other] { world_.heal(one, other); });
}

void Trouble::cut_from_clients(BrokerHost& host) {
  switch (random_.below(3)) {
    case 0:
      step_done("clients cannot reach " + host.name());
      world_.cut_one_way("clients", host.name());
      break;
    case 1:
      step_done(host.name() + " cannot reach clients");
      world_.cut_one_way(host.name(), "clients");
      break;
    default:
      step_done(host.name() + " and clients are cut off from each other");
      world_.cut(host.name(), "clients");
  }
  heal_later(host.name(), "clients");
}

void Trouble::cut_from_metadata(BrokerHost& host) {
  const env::Duration cut = long_enough();
  MetadataWay& way = site_.metadata_way(host);
  switch (random_.below(3)) {
    case 0:
      way.there = false;
      break;
    case 1:
      way.back = false;
      break;
    default:
      way.there = way.back = false;
  }
  step_done(fmt::format("{} is cut off from the metadata{} for {:.3f} s", host.name(),
                        !way.back && way.there   ? ", which hear it"
                        : way.back && !way.there ? ", which it hears"
                                                 : "",
                        seconds(cut)));
  world_.after(cut, [&way] { way.there = way.back = true; });
}

void Trouble::cut_from_store(BrokerHost& host) {
  const env::Duration cut = long_enough();
  step_done(fmt::format("{} cannot reach the store for {:.3f} s", host.name(), seconds(cut)));
  site_.set_reachable(host, false);
  world_.after(cut, [this, &host] { site_.set_reachable(host, true); });
}

void Trouble::cut_from_each_other(BrokerHost& host) {
  const bool one_way = random_.chance(0.4);
  step_done(one_way ? host.name() + " cannot reach other brokers"
                    : host.name() + " and other brokers are cut off from each other");
  for (BrokerHost* other : site_.members()) {
    if (other == &host) continue;
    if (one_way) {
      world_.cut_one_way(host.name(), other->name());
    } else {
      world_.cut(host.name(), other->name());
    }
    heal_later(host.name(), other->name());
  }
}

// A broker leaves in peace and comes back later, leaves for good, or another one joins.
void Trouble::hurt_membership() {
  const std::vector<BrokerHost*> members = site_.members();
  const uint64_t what = random_.below(4);
  if (what == 0) {
    for (BrokerHost* host : site_.hosts()) {
      if (std::ranges::find(members, host) != members.end()) continue;
      step_done(host->name() + " joins");
      site_.enlist(*host);
      if (!host->running()) host->start();
      return;
    }
  }
  BrokerHost* host = victim();
  if (!host) return;
  if (what == 1 && members.size() > 2) {
    step_done(host->name() + " leaves for good");
    site_.dismiss(*host);
  } else {
    step_done(host->name() + " is stopped");
  }
  ++report_.stops;
  if (random_.chance(0.8)) {
    host->begin_stop();
  } else {
    kill_if_running(*host);
  }
}

}  // namespace paceline::sim
