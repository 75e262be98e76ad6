#include "env/sim_world.h"

#include <utility>

#include "env/sim_events.h"
#include "env/sim_links.h"
#include "env/sim_shard.h"

namespace paceline::env {

SimWorld::SimWorld(uint64_t seed)
    : seed_(seed),
      events_(std::make_unique<SimEvents>(seed)),
      links_(std::make_unique<SimLinks>(*events_)) {
  events_->mix(seed);
}

SimWorld::~SimWorld() {
  for (auto& host : hosts_)
    if (host->running()) host->stop();
  // What is still on the wires refers to lives and links: it goes while they are here.
  links_->clear();
  events_->clear();
}

SimHost& SimWorld::add_host(const std::string& name) {
  for (const auto& host : hosts_) CHECK(host->name() != name);
  const auto index = static_cast<uint32_t>(hosts_.size());
  links_->add_host(name);
  hosts_.push_back(std::make_unique<SimHost>(*this, name, index, events_->random().next()));
  return *hosts_.back();
}

SimHost& SimWorld::host(const std::string& name) {
  for (auto& host : hosts_)
    if (host->name() == name) return *host;
  CHECK(!"no host of that name");
  std::unreachable();
}

Instant SimWorld::now() const {
  return events_->now();
}
Random& SimWorld::random() {
  return events_->random();
}
bool SimWorld::step() {
  return events_->step();
}

void SimWorld::run_for(Duration duration) {
  const Instant end = now() + duration;
  while (!events_->empty() && events_->next() <= end) events_->step();
  events_->advance(end);
}

bool SimWorld::run_until(const std::function<bool()>& met, Duration limit) {
  const Instant end = now() + limit;
  for (;;) {
    if (met()) return true;
    if (events_->empty() || events_->next() > end) break;
    events_->step();
  }
  events_->advance(end);
  return false;
}

void SimWorld::after(Duration delay, Callback callback) {
  events_->add(now() + delay, nullptr, SimEvents::Kind::world, 0, std::move(callback));
}

const std::string& SimWorld::acting() const {
  static const std::string nobody;
  const SimEvents::Owner* owner = events_->owner();
  return owner ? const_cast<SimLife*>(static_cast<const SimLife*>(owner))->host().name() : nobody;
}

void SimWorld::trace(std::string_view what) {
  events_->note(what);
}
uint64_t SimWorld::trace_hash() const {
  return events_->trace();
}

SimNetworkFaults& SimWorld::network_faults() {
  return links_->faults;
}

void SimWorld::cut(const std::string& a, const std::string& b) {
  cut_one_way(a, b);
  cut_one_way(b, a);
}
void SimWorld::cut_one_way(const std::string& from, const std::string& to) {
  links_->cut(host(from).index(), host(to).index());
}
void SimWorld::heal(const std::string& a, const std::string& b) {
  links_->heal(host(a).index(), host(b).index());
  links_->heal(host(b).index(), host(a).index());
}
void SimWorld::heal_all() {
  links_->heal_all();
}

SimHost::SimHost(SimWorld& world, std::string name, uint32_t index, uint64_t disk_seed)
    : world_(world), name_(std::move(name)), index_(index), disk_(disk_seed) {}

std::vector<Shard*> SimHost::start(unsigned shard_count) {
  CHECK(!running());
  const uint64_t number = (uint64_t{index_} << 32 | ++lives_) << 16;
  world_.lives_.push_back(
      std::make_unique<SimLife>(*world_.events_, *world_.links_, *this, number, shard_count));
  life_ = world_.lives_.back().get();
  std::vector<Shard*> shards;
  for (unsigned i = 0; i < shard_count; ++i) shards.push_back(&life_->shard(i));
  return shards;
}

Shard& SimHost::shard(size_t index) {
  CHECK(running());
  return life_->shard(index);
}

void SimHost::end(Ending ending) {
  if (!running()) return;
  CHECK(world_.events_->owner() != life_);  // a task cannot end the life it runs in
  world_.links_->end_life(*life_, ending == Ending::reset);
  life_->end();
  disk_.forget_handles();
  life_ = nullptr;
}

void SimHost::stop() {
  end(Ending::closed);
}
void SimHost::kill() {
  end(Ending::reset);
}

void SimHost::crash() {
  end(Ending::reset);
  disk_.crash();
}

void SimHost::pause(Duration duration) {
  CHECK(running());
  life_->paused_until = std::max(life_->paused_until, world_.now() + duration);
}

}  // namespace paceline::env
