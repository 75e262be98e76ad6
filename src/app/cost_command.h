#pragma once

#include <string>

#include "env/shard.h"

namespace paceline::app {

// `paceline cost`: what the object store will bill for what a broker has done since its start.
struct CostOptions {
  std::string metrics = "http://127.0.0.1:9644/metrics";  // or a file
  std::string prices;                                     // a file
  bool json = false;
};
Task<int> cost(env::Shard& shard, CostOptions options);

}  // namespace paceline::app
