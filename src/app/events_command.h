#pragma once

#include <string>

#include "env/shard.h"

namespace paceline::app {

struct EventsOptions {
  std::string bootstrap = "127.0.0.1:9092";  // more than one, with commas
  bool follow = false;
  bool json = false;
  std::string cause;  // empty: all
  std::string since;  // empty: from the start
};

// Prints the timeline of the cluster, one line an event, in the order of clocks as far as that is
// known; with `follow` for ever, whoever leads the topic.
Task<int> events(env::Shard& shard, EventsOptions options);

}  // namespace paceline::app
