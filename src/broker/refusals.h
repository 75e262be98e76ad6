#pragma once

#include <map>
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
  // Where the producer of this batch has to begin; -1: anywhere, as far as is known here.
  int32_t awaited(std::string_view topic, int32_t index, Bytes records, env::Instant now) const;
  // For the partition that opens: the first batch of each producer that was refused. They stay: it
  // may go elsewhere before that batch has come again.
  std::vector<Refusal> of(std::string_view topic, int32_t index, env::Instant now);

 private:
  struct Key {
    std::string topic;
    int32_t index;
    int64_t producer_id;
    auto operator<=>(const Key&) const = default;
  };
  struct Noted {
    env::Instant at;  // the last time
    Refusal first;
  };
  bool has_room(env::Instant now);

  std::map<Key, Noted> all_;
  env::Instant sweep_next_{};
};

}  // namespace paceline::broker
