#pragma once

#include <algorithm>
#include <cstdint>

#include "env/shard.h"

namespace paceline::broker {

// So many a second, a second's worth of them at once. On one shard.
class Pace {
 public:
  // When the one that comes now may go. 0 a second means no bound.
  env::Instant next(env::Instant now, uint32_t per_second) {
    if (per_second == 0) return now;
    const env::Instant earliest = now - std::chrono::seconds(1);
    last_ = std::max(last_, earliest) + env::Duration(std::chrono::seconds(1)) / per_second;
    return std::max(now, last_);
  }
  // Whether next() would remember anything that a new Pace would not.
  bool ahead(env::Instant now) const { return last_ > now - std::chrono::seconds(1); }

 private:
  env::Instant last_{};
};

}  // namespace paceline::broker
