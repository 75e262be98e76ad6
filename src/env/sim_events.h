#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <unordered_map>

#include "env/random.h"
#include "env/shard.h"

namespace paceline::env {

// What happens in a simulated world, by virtual time; events of one instant run in the order they
// were added. Everything random in the world comes from here, and every event that runs is mixed
// into the trace: two runs of one seed are equal if and only if their traces are.
class SimEvents {
 public:
  enum class Kind : uint8_t { post, timer, work, done, network, world, note };
  // Who an event belongs to: a life of a host. Its events go when it ends, and wait while it is
  // paused.
  struct Owner {
    Instant paused_until{};
  };
  using Id = uint64_t;

  explicit SimEvents(uint64_t seed) : random_(seed) {}
  SimEvents(const SimEvents&) = delete;
  SimEvents& operator=(const SimEvents&) = delete;

  // `owner` may be null: an event of the world itself. `actor` names who acts, for the trace.
  Id add(Instant when, Owner* owner, Kind kind, uint64_t actor, Callback callback);
  void remove(Id id);       // no effect once it has run
  void drop(Owner& owner);  // removes all of its events
  void clear();
  bool step();  // runs the next one; false if there is none
  bool empty() const { return queue_.empty(); }
  Instant next() const { return queue_.begin()->first.first; }

  Instant now() const { return now_; }
  void advance(Instant to) {
    if (to > now_) now_ = to;
  }
  Random& random() { return random_; }
  Duration random_delay(Duration low, Duration high) {
    return Duration(static_cast<int64_t>(random_.between(low.count(), high.count())));
  }
  // Of the event that runs now; 0 and null between events.
  uint64_t actor() const { return actor_; }
  const Owner* owner() const { return owner_; }

  void mix(uint64_t word) { trace_ = (std::rotl(trace_, 29) ^ word) * 0x9fb21c651e98df25ull; }
  void note(std::string_view text);
  uint64_t trace() const { return trace_; }

 private:
  struct Event {
    Id id;
    Owner* owner;
    Kind kind;
    uint64_t actor;
    Callback callback;
    uint64_t deferred = 0;  // by a pause: its place among the others
  };
  using Place = std::pair<Instant, uint64_t>;

  Random random_;
  Instant now_{std::chrono::hours(1)};  // not zero: "an hour ago" is a fair thing to compute
  std::map<Place, Event> queue_;
  std::unordered_map<Id, Place> places_;  // looked up, never walked
  uint64_t added_ = 0;
  uint64_t trace_ = 0xcbf29ce484222325ull;
  uint64_t actor_ = 0;
  const Owner* owner_ = nullptr;
};

}  // namespace paceline::env
