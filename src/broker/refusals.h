#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "env/shard.h"

namespace paceline::broker {

// A batch of an idempotent producer that was refused because its partition was not open here, or
// not led here as far as was known, or not known at all.
struct Refusal {
  int64_t producer_id = -1;
  int16_t producer_epoch = -1;
  int32_t base_sequence = -1;
};

// What idempotent producers were refused a moment ago on this shard. A client has several batches
// on their way: when a partition opens between two of them, the later one must not be taken for the
// first, because a producer that nobody knows may begin at any sequence. What has come here since
// is refused with OUT_OF_ORDER_SEQUENCE_NUMBER until the first one has come again.
class Refusals {
 public:
  // By name: a topic may have no other yet.
  void note(std::string_view topic, int32_t index, Bytes records, env::Instant now);
  // Of the partition that opens; in the order in which they were refused.
  std::vector<Refusal> take(std::string_view topic, int32_t index, env::Instant now);

 private:
  struct Noted {
    env::Instant at;
    std::string topic;
    int32_t index;
    Refusal what;
  };
  void forget_old(env::Instant now);

  std::deque<Noted> all_;  // in order of time
};

}  // namespace paceline::broker
