#pragma once

#include <algorithm>
#include <cstdint>

#include "env/shard.h"

namespace paceline::env {

// Waits between attempts against something that fails: doubling from `first` up to `max`, each
// between half of it and all of it.
class Backoff {
 public:
  explicit Backoff(Duration first = std::chrono::milliseconds(50),
                   Duration max = std::chrono::seconds(5))
      : limit_(first), max_(max) {}

  Duration next(uint64_t random) {
    const int64_t limit = limit_.count();
    limit_ = std::min(limit_ * 2, max_);
    return Duration(limit / 2 +
                    static_cast<int64_t>(random % static_cast<uint64_t>(limit / 2 + 1)));
  }

 private:
  Duration limit_;
  Duration max_;
};

}  // namespace paceline::env
