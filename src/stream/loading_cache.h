#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/result.h"
#include "env/sync.h"

namespace paceline::stream {

// A cache of one shard that loads what it misses, by bytes; one load at a time for a key, whoever
// asks. A loader that is destroyed half-way leaves its place to the next who waits.
//
// Admission is by reuse (two queues): what is loaded for the first time is *fresh* and goes in the
// order in which it came, however often it is read meanwhile - a reader takes a block in several
// bites. Its key is remembered as a *ghost*. What is asked for again while its ghost is there is
// *kept*: there the least recently used goes first. So a scan passes through the fresh part, a
// quarter of the cache if the kept part fills the rest, and flushes nothing that is used again.
//
// Value tells memory_bytes(), in spare_once() whether its turn to go is put off, which it may say
// once, and in unfinished() that whoever it was loaded for is not done with it: that it is asked
// for again is then no reuse.
template <class Key, class Value>
class LoadingCache {
 public:
  using Pointer = std::shared_ptr<const Value>;

  LoadingCache(env::Shard& shard, uint64_t bytes_max, std::atomic<uint64_t>& bytes_total)
      : shard_(shard), bytes_max_(bytes_max), bytes_total_(bytes_total) {}
  ~LoadingCache() { bytes_total_ -= bytes(); }
  LoadingCache(const LoadingCache&) = delete;
  LoadingCache& operator=(const LoadingCache&) = delete;

  // What is there already, or null.
  Pointer peek(const Key& key) {
    const auto found = places_.find(key);
    if (found == places_.end()) return nullptr;
    const Place place = found->second;
    if (place.kept) kept_.items.splice(kept_.items.begin(), kept_.items, place.item);
    return place.item->second;
  }
  // Whether it is there; and whether it is there or on its way. Neither counts as a use.
  bool holds(const Key& key) const { return places_.contains(key); }
  bool knows(const Key& key) const { return holds(key) || flights_.contains(key); }

  // What may be loaded before something loaded now would have to go again.
  uint64_t room_for_fresh() const {
    return bytes_max_ > kept_.bytes ? bytes_max_ - kept_.bytes : 0;
  }

  // `load()` makes a Task<Result<Value>>; failures are not kept.
  template <class Load>
  Task<Result<Pointer>> get(Key key, Load load) {
    for (;;) {
      if (Pointer there = peek(key)) co_return there;
      const auto flying = flights_.find(key);
      if (flying == flights_.end()) break;
      const std::shared_ptr<Flight> flight = flying->second;
      while (!flight->ended) co_await flight->event.wait();
      if (flight->error) co_return fail(*flight->error);
    }
    Leader leader(*this, key);
    Result<Value> loaded = co_await load();
    if (!loaded) {
      leader.flight->error = loaded.error();
      co_return fail(std::move(loaded).error());
    }
    Pointer value = std::make_shared<const Value>(std::move(*loaded));
    insert(key, value);
    co_return value;
  }

 private:
  using Items = std::list<std::pair<Key, Pointer>>;  // newest first
  struct Part {
    Items items;
    uint64_t bytes = 0;
  };
  struct Place {
    bool kept = false;
    typename Items::iterator item;
  };
  struct Ghost {
    Key key;
    uint64_t bytes = 0;
  };
  struct Flight {
    explicit Flight(env::Shard& shard) : event(shard) {}
    env::Event event;
    bool ended = false;
    std::optional<Error> error;
  };
  struct Leader {
    Leader(LoadingCache& owner, const Key& loaded)
        : cache(owner), key(loaded), flight(std::make_shared<Flight>(owner.shard_)) {
      cache.flights_.emplace(key, flight);
    }
    Leader(const Leader&) = delete;
    Leader& operator=(const Leader&) = delete;
    ~Leader() {
      flight->ended = true;
      flight->event.notify_all();
      cache.flights_.erase(key);
    }
    LoadingCache& cache;
    Key key;
    std::shared_ptr<Flight> flight;
  };

  uint64_t bytes() const { return fresh_.bytes + kept_.bytes; }

  void insert(const Key& key, const Pointer& value) {
    const bool again = forget_ghost(key);
    Part& part = again ? kept_ : fresh_;
    part.items.emplace_front(key, value);
    places_.emplace(key, Place{again, part.items.begin()});
    part.bytes += value->memory_bytes();
    bytes_total_ += value->memory_bytes();
    // The newest stays whatever its size: somebody reads it now.
    while (bytes() > bytes_max_ && places_.size() > 1) evict(key);
  }

  void evict(const Key& newest) {
    const auto can_give = [&](const Part& part) {
      return !part.items.empty() && !(part.items.back().first == newest);
    };
    if (!can_give(fresh_) && !can_give(kept_)) {
      // The newest has come to the end of its part, because all before it were spared.
      Part& part = places_.find(newest)->second.kept ? kept_ : fresh_;
      part.items.splice(part.items.begin(), part.items, std::prev(part.items.end()));
      return;
    }
    const bool from_kept = can_give(kept_) && (fresh_.bytes <= bytes_max_ / 4 || !can_give(fresh_));
    Part& part = from_kept ? kept_ : fresh_;
    auto& [key, value] = part.items.back();
    if (value->spare_once()) {
      part.items.splice(part.items.begin(), part.items, std::prev(part.items.end()));
      return;
    }
    const uint64_t gone = value->memory_bytes();
    if (!from_kept && !value->unfinished()) remember_ghost(key, gone);
    places_.erase(key);
    part.items.pop_back();
    part.bytes -= gone;
    bytes_total_ -= gone;
  }

  // Ghosts of as many bytes as the cache holds.
  void remember_ghost(const Key& key, uint64_t bytes) {
    ghosts_.push_front({key, bytes});
    ghost_places_[key] = ghosts_.begin();
    ghost_bytes_ += bytes;
    while (ghost_bytes_ > bytes_max_ && ghosts_.size() > 1) forget_ghost(ghosts_.back().key);
  }
  bool forget_ghost(const Key& key) {
    const auto found = ghost_places_.find(key);
    if (found == ghost_places_.end()) return false;
    ghost_bytes_ -= found->second->bytes;
    ghosts_.erase(found->second);
    ghost_places_.erase(found);
    return true;
  }

  struct Hash {
    size_t operator()(const Key& key) const noexcept { return key.hash(); }
  };
  env::Shard& shard_;
  const uint64_t bytes_max_;
  std::atomic<uint64_t>& bytes_total_;
  Part fresh_;
  Part kept_;
  std::unordered_map<Key, Place, Hash> places_;
  std::list<Ghost> ghosts_;  // newest first
  uint64_t ghost_bytes_ = 0;
  std::unordered_map<Key, typename std::list<Ghost>::iterator, Hash> ghost_places_;
  std::unordered_map<Key, std::shared_ptr<Flight>, Hash> flights_;
};

}  // namespace paceline::stream
