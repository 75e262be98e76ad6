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

// A cache of one shard that loads what it misses: least recently used goes first, by bytes; one
// load at a time for a key, whoever asks. A loader that is destroyed half-way leaves its place to
// the next who waits. Value tells memory_bytes(), and in spare_once() whether its turn to go is put
// off, which it may say once.
template <class Key, class Value>
class LoadingCache {
 public:
  using Pointer = std::shared_ptr<const Value>;

  LoadingCache(env::Shard& shard, uint64_t bytes_max, std::atomic<uint64_t>& bytes_total)
      : shard_(shard), bytes_max_(bytes_max), bytes_total_(bytes_total) {}
  ~LoadingCache() { bytes_total_ -= bytes_; }
  LoadingCache(const LoadingCache&) = delete;
  LoadingCache& operator=(const LoadingCache&) = delete;

  // What is there already, or null.
  Pointer peek(const Key& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    used_.splice(used_.begin(), used_, found->second);
    return found->second->second;
  }

  // Whether it is there, or on its way.
  bool knows(const Key& key) const { return index_.contains(key) || flights_.contains(key); }

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

  void insert(const Key& key, const Pointer& value) {
    const uint64_t bytes = value->memory_bytes();
    used_.emplace_front(key, value);
    index_.emplace(key, used_.begin());
    bytes_ += bytes;
    bytes_total_ += bytes;
    // The newest stays whatever its size: somebody reads it now.
    while (bytes_ > bytes_max_ && used_.size() > 1) {
      if (used_.back().second->spare_once()) {
        used_.splice(used_.begin(), used_, std::prev(used_.end()));
        continue;
      }
      const uint64_t gone = used_.back().second->memory_bytes();
      index_.erase(used_.back().first);
      used_.pop_back();
      bytes_ -= gone;
      bytes_total_ -= gone;
    }
  }

  struct Hash {
    size_t operator()(const Key& key) const noexcept { return key.hash(); }
  };
  env::Shard& shard_;
  const uint64_t bytes_max_;
  std::atomic<uint64_t>& bytes_total_;
  uint64_t bytes_ = 0;
  std::list<std::pair<Key, Pointer>> used_;  // newest first
  std::unordered_map<Key, typename std::list<std::pair<Key, Pointer>>::iterator, Hash> index_;
  std::unordered_map<Key, std::shared_ptr<Flight>, Hash> flights_;
};

}  // namespace paceline::stream
