#pragma once

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "base/event.h"
#include "env/shard.h"

namespace paceline::broker {

// Partitions that came here together, by one failover or one move: when they are served, and when
// the first client was. However many they are, that is one event each; a few are named one by one.
class Arrival {
 public:
  Arrival(std::string cause, EventSink tell, size_t shard_count, env::Instant began)
      : cause_(std::move(cause)), tell_(std::move(tell)), began_(began), shards_(shard_count) {}

  struct Served {
    std::string topic;
    uint32_t index = 0;
    Epoch epoch;
    Offset end;
    env::Instant at;
  };
  // One of them is open, on its shard, or known to be offline.
  void note_open(const env::Shard& shard, Served one);
  void note_offline(const env::Shard& shard) { shards_[shard.index()].offline += 1; }
  // All of them are. REQUIRES: nothing is noted any more.
  void tell_all() const;

  // A client was answered. From any shard.
  bool is_first() const { return !client_served_.load(std::memory_order_relaxed); }
  void tell_client(std::string_view request, Served one);

 private:
  static constexpr size_t kNamedMax = 16;
  struct OfShard {
    size_t open = 0;
    size_t offline = 0;
    env::Instant first = env::Instant::never();
    env::Instant last{};
    std::vector<Served> named;
  };
  const std::string cause_;
  const EventSink tell_;
  const env::Instant began_;
  std::vector<OfShard> shards_;
  std::atomic<bool> client_served_{false};
};

}  // namespace paceline::broker
