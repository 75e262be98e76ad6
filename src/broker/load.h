#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/ids.h"
#include "env/shard.h"

// How much each partition serves, in bytes of records a second, in and out. Pure.

namespace paceline::broker {

// Of one partition, kept with it.
struct PartitionLoad {
  uint64_t bytes = 0;  // since the last look
  double rate = -1;    // smoothed; below 0: nobody has looked yet
  bool busy = false;   // is among those that are looked at
};

struct StreamLoad {
  StreamId stream;
  uint64_t rate = 0;  // bytes a second, at least one
};

// The partitions of one shard. Idle ones cost nothing.
class ShardLoad {
 public:
  explicit ShardLoad(env::Instant now) : looked_(now) {}

  void add(const StreamId& id, PartitionLoad& load, uint64_t bytes) {
    load.bytes += bytes;
    if (load.busy || bytes == 0) return;
    load.busy = true;
    busy_.push_back(id);
  }

  // Rates as of now, by stream. They follow a change within some ten seconds, however often anybody
  // looks. `find`: null for what is not here any more.
  using Find = std::function<PartitionLoad*(const StreamId&)>;
  std::vector<StreamLoad> look(env::Instant now, const Find& find);

 private:
  env::Instant looked_;
  std::vector<StreamId> busy_;
};

}  // namespace paceline::broker
