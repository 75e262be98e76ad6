#include "env/sim_events.h"

#include <utility>
#include <vector>

namespace paceline::env {

SimEvents::Id SimEvents::add(Instant when, Owner* owner, Kind kind, uint64_t actor,
                             Callback callback) {
  const Id id = ++added_;
  const Place place{std::max(when, now_), id};
  queue_.emplace(place, Event{id, owner, kind, actor, std::move(callback), 0});
  places_.emplace(id, place);
  return id;
}

void SimEvents::remove(Id id) {
  auto place = places_.find(id);
  if (place == places_.end()) return;
  auto dropped = queue_.extract(place->second);  // destroyed last: it may add or remove events
  places_.erase(place);
}

void SimEvents::drop(Owner& owner) {
  std::vector<Event> dropped;
  for (auto event = queue_.begin(); event != queue_.end();) {
    if (event->second.owner != &owner) {
      ++event;
      continue;
    }
    places_.erase(event->second.id);
    dropped.push_back(std::move(event->second));
    event = queue_.erase(event);
  }
}

void SimEvents::clear() {
  // One by one: what a callback holds may add more when it is destroyed.
  while (!queue_.empty()) auto dropped = queue_.extract(queue_.begin());
  places_.clear();
}

bool SimEvents::step() {
  if (queue_.empty()) return false;
  auto node = queue_.extract(queue_.begin());
  Event& event = node.mapped();
  now_ = node.key().first;
  if (event.owner && event.owner->paused_until > now_) {
    // Taken in order of time, so a fresh number keeps that order at the end of the pause; also of
    // one that was made longer meanwhile.
    if (event.deferred == 0) event.deferred = ++added_;
    node.key() = {event.owner->paused_until, event.deferred};
    places_[event.id] = node.key();
    queue_.insert(std::move(node));
    return true;
  }
  places_.erase(event.id);
  mix(static_cast<uint64_t>(now_.since_start.count()));
  mix(static_cast<uint64_t>(event.kind) << 56 ^ event.actor);
  actor_ = event.actor;
  owner_ = event.owner;
  event.callback();
  event.callback = nullptr;
  actor_ = 0;
  owner_ = nullptr;
  return true;
}

void SimEvents::note(std::string_view text) {
  mix(static_cast<uint64_t>(Kind::note) << 56 ^ text.size());
  for (const char c : text) mix(static_cast<unsigned char>(c));
}

}  // namespace paceline::env
