#include "sim/trouble.h"

namespace paceline::sim {

using namespace std::chrono_literals;

namespace {

double seconds(env::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

Trouble::Trouble(env::SimWorld& world, env::Random& random, Site& site, ObjectFaults& objects,
                 Clients& clients, Report& report, std::function<void(std::string_view)> tell)
    : world_(world),
      random_(random),
      site_(site),
      objects_(objects),
      clients_(clients),
      report_(report),
      tell_(std::move(tell)),
      begun_(world.now()) {}

void Trouble::begin() {
  env::SimNetworkFaults& network = world_.network_faults();
  network.reset = random_.chance(0.5) ? 0.0005 : 0;
  network.slow = 0.002;
  for (BrokerHost* host : site_.hosts()) {
    env::SimDisk::Faults& disk = host->disk().faults();
    disk.slow_sync = random_.chance(0.3) ? 0.01 : 0;
    disk.slow_sync_max = random_.chance(0.2) ? 5s : 500ms;
    disk.sync_error = random_.chance(0.2) ? 0.002 : 0;
    disk.write_error = random_.chance(0.1) ? 0.001 : 0;
    disk.read_error = random_.chance(0.1) ? 0.0005 : 0;
  }
  if (random_.chance(0.3)) {
    objects_.refuse = 0.05;
    objects_.lose_answer = 0.05;
    objects_.conflict = 0.05;
    objects_.cut = 0.02;
    objects_.flip = 0.02;
    objects_.slow = 0.05;
    objects_.forget_listed = 0.2;
  }
  if (site_.kept() != Site::Kept::on_disk && random_.chance(0.5)) {
    site_.bucket_faults().slow = 0.02;
    site_.bucket_faults().lost = 0.005;
    site_.bucket_faults().late_put = 0.01;
  }
  if (site_.cluster() && random_.chance(0.4))
    for (BrokerHost* host : site_.hosts()) site_.metadata_way(*host).lag = 0.03;
  if (site_.shared() && random_.chance(0.5)) {
    meta::ModelFaults& faults = site_.metadata().faults();
    faults.refused = 0.02;
    faults.lost_request = 0.02;
    faults.lost_answer = 0.02;
    faults.late = 0.02;
    faults.foreign_write = 0.05;
    faults.watch_cut = 0.02;
  }
}

void Trouble::suffer() {
  if (site_.cluster()) return suffer_together();
  const env::Instant end = world_.now() + between(10s, 30s);
  env::Instant fault_at = world_.now() + between(0s, 4s);
  std::optional<env::Instant> start_at;
  while (world_.now() < end) {
    world_.run_until(
        [&] {
          return !site_.broker().running() || site_.broker().disk().powered_off() ||
                 world_.now() >= std::min(fault_at, end);
        },
        1s);
    if (site_.broker().disk().powered_off()) crash();
    if (!site_.broker().running()) {
      if (!start_at) start_at = world_.now() + between(10ms, 2s);
      if (world_.now() < *start_at) world_.run_for(*start_at - world_.now());
      start_at.reset();
      start_brokers();
    } else if (world_.now() >= fault_at) {
      hurt();
      fault_at = world_.now() + between(50ms, 6s);
    }
  }
  // The power may have gone within the last fault.
  if (site_.broker().disk().powered_off()) crash();
}

void Trouble::end() {
  over_ = true;
  world_.network_faults().reset = 0;
  world_.network_faults().slow = 0;
  objects_ = {};
  for (BrokerHost* host : site_.hosts()) {
    host->disk().power_off_after(UINT64_MAX);
    host->disk().faults() = {};
    site_.set_reachable(*host, true);
    site_.metadata_way(*host) = {};
  }
  if (site_.kept() != Site::Kept::on_disk) site_.bucket_faults() = {};
  if (site_.shared()) site_.metadata().faults() = {};
  world_.heal_all();
  step_done("no more faults");
}

void Trouble::start_brokers() {
  for (BrokerHost* host : site_.members()) {
    if (host->running()) continue;
    host->start();
    step_done(site_.cluster() ? fmt::format("{} starts", host->name()) : "start");
  }
}

void Trouble::step_done(std::string what) {
  report_.steps.push_back(fmt::format("{:9.4f} {}", seconds(world_.now() - begun_), what));
  if (tell_) tell_(report_.steps.back());
  world_.trace(what);
}

env::Duration Trouble::between(env::Duration low, env::Duration high) {
  return low + env::Duration(static_cast<int64_t>(random_.between(0, (high - low).count())));
}

void Trouble::hurt() {
  switch (random_.below(site_.shared() ? 10 : 8)) {
    case 0:
    case 1:
    case 2:
      hurt_process();
      break;
    case 3:
    case 4:
      hurt_disk();
      break;
    case 5:
      hurt_store();
      break;
    case 6:
    case 7:
      hurt_surroundings();
      break;
    case 8:
      hurt_metadata();
      break;
    default:
      if (random_.chance(0.3)) {
        discard();
      } else {
        usurp();
      }
  }
}

void Trouble::hurt_process() {
  switch (random_.below(6)) {
    case 0:
      crash();
      break;
    case 1:
      kill();
      break;
    case 2:
      ++report_.stops;
      step_done("stop");
      site_.broker().begin_stop();
      break;
    case 3:
      die_at_any_event();
      break;
    case 4:
      power_soon();
      break;
    default:
      pause(site_.broker());
  }
}

void Trouble::hurt_disk() {
  switch (random_.below(4)) {
    case 0:
      fill_disk();
      break;
    case 1:
      step_done("the next sync fails");
      site_.broker().disk().faults().failing_syncs = 1;
      break;
    case 2:
      step_done("the next write fails");
      site_.broker().disk().faults().failing_writes = 1;
      break;
    default:
      power_soon();
  }
}

void Trouble::hurt_store() {
  if (!site_.cluster() && site_.kept() != Site::Kept::on_disk && random_.chance(0.3)) {
    const env::Duration cut = between(100ms, 8s);
    BrokerHost& host = site_.broker();
    step_done(fmt::format("{} cannot reach the bucket for {:.3f} s", host.name(), seconds(cut)));
    site_.set_reachable(host, false);
    world_.after(cut, [this, &host] { site_.set_reachable(host, true); });
  } else if (random_.chance(0.5)) {
    const env::Duration outage = between(100ms, 5s);
    step_done(fmt::format("the object store is gone for {:.3f} s", seconds(outage)));
    objects_.gone = true;
    world_.after(outage, [this] { objects_.gone = false; });
  } else {
    const env::Duration trouble = between(100ms, 5s);
    step_done(fmt::format("the object store is in trouble for {:.3f} s", seconds(trouble)));
    objects_.troubled = true;
    world_.after(trouble, [this] { objects_.troubled = false; });
  }
}

void Trouble::hurt_metadata() {
  switch (random_.below(site_.cluster() ? 4 : 3)) {
    case 0: {
      const env::Duration down = between(100ms, 8s);
      step_done(fmt::format("no member of the metadata for {:.3f} s", seconds(down)));
      site_.metadata().down_until(world_.now() + down);
      break;
    }
    case 3:
      step_done("all leases end at once");
      site_.metadata().end_leases();
      break;
    case 1:
      step_done("the watches of the metadata end");
      site_.metadata().cut_watches();
      break;
    default:
      step_done("the history of the metadata is compacted");
      site_.metadata().cut_watches();
      site_.metadata().compact();
  }
}

void Trouble::hurt_surroundings() {
  if (random_.chance(0.5)) {
    const env::Duration cut = between(10ms, 5s);
    step_done(fmt::format("no network for {:.3f} s", seconds(cut)));
    for (BrokerHost* host : site_.hosts()) world_.cut("clients", host->name());
    world_.after(cut, [this] { world_.heal_all(); });
  } else {
    const env::Duration skew = between(-3000s, 3000s);
    step_done(fmt::format("the wall clock is off by {:.0f} s", seconds(skew)));
    site_.broker().host().set_wall_skew(skew);
  }
}

void Trouble::kill() {
  ++report_.kills;
  step_done("kill -9");
  site_.broker().kill();
}

void Trouble::crash() {
  ++report_.crashes;
  step_done("power loss");
  site_.broker().crash();
}

void Trouble::die_at_any_event() {
  const uint64_t events = random_.below(3000);
  const bool power = random_.chance(0.5);
  step_done(fmt::format("after {} events the broker is gone", events));
  for (uint64_t i = 0; i < events && site_.broker().running(); ++i) world_.step();
  if (!site_.broker().running() || power) {
    crash();
  } else {
    kill();
  }
}

void Trouble::power_soon() {
  const uint64_t changes = random_.below(200);
  step_done(fmt::format("the power will go in {} changes of the disk", changes));
  site_.broker().disk().power_off_after(changes);
}

void Trouble::fill_disk() {
  const env::Duration full = between(100ms, 3s);
  const uint64_t room = random_.below(256u << 10);
  step_done(fmt::format("{} bytes of disk are left, for {:.3f} s", room, seconds(full)));
  env::SimDisk& disk = site_.broker().disk();
  disk.fill_up(room);
  world_.after(full, [&disk] { disk.fill_up(std::nullopt); });
}

void Trouble::pause(BrokerHost& host) {
  const env::Duration pause = between(10ms, 3s);
  step_done(fmt::format("a pause of {:.3f} s", seconds(pause)));
  host.host().pause(pause);
}

// The machine is lost with its disk; the next start is on an empty one.
void Trouble::discard() {
  ++report_.kills;
  step_done("kill -9, and the disk is thrown away");
  site_.broker().kill();
  site_.broker().disk().replace();
}

// The broker is started elsewhere while this process may not know that it is dead: it stands still,
// it cannot reach the bucket, or nothing ails it. Clients that are connected to it stay with it.
void Trouble::usurp() {
  if (site_.former()) return;
  BrokerHost& before = site_.broker();
  const env::Duration away = between(100ms, 12s);
  switch (random_.below(3)) {
    case 0:
      step_done(fmt::format("{} stands still for {:.3f} s, and is started elsewhere", before.name(),
                            seconds(away)));
      before.host().pause(away);
      break;
    case 1:
      step_done(fmt::format("{} cannot reach the bucket for {:.3f} s, and is started elsewhere",
                            before.name(), seconds(away)));
      site_.set_reachable(before, false);
      world_.after(away, [this, &before] { site_.set_reachable(before, true); });
      break;
    default:
      step_done(fmt::format("{} is started elsewhere while it runs", before.name()));
  }
  ++report_.kills;
  site_.move();
  clients_.host = site_.broker().name();
}

}  // namespace paceline::sim
