#pragma once

#include <string>
#include <vector>

#include "broker/node.h"

namespace paceline::broker {

struct EventRecord {
  std::string key;
  std::string value;
  int64_t at_ms = 0;
};

// Appends to the topic of events, here or at its leader; the topic is made if it is not there,
// unless this broker ends. After an error they may be there all the same. too_large: the topic's
// limit is below what they take together. On the first shard.
Task<Result<void>> append_events(Node& node, env::Shard& home, std::vector<EventRecord> records,
                                 env::Instant deadline);

}  // namespace paceline::broker
