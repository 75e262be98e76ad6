#pragma once

#include <optional>
#include <string>
#include <vector>

#include "page/report.h"

namespace paceline::page {

// One milestone of one step, over all its partitions.
struct Spread {
  size_t seen = 0, upper_bound = 0;  // upper bounds are among those that were seen
  size_t not_observable = 0, never = 0;
  double min_ms = 0, median_ms = 0, max_ms = 0;  // of those that were seen
  std::optional<double> err_ms;                  // the largest
  std::string by;                                // of the first one that tells
  Json events = Json::array();                   // those of the first, the median and the last
};

// The partitions that each step concerned, in the order of the report; then all spreads of a step.
std::vector<std::vector<const Json*>> partitions_by_step(const Json& report);
std::vector<Spread> spreads(const std::vector<const Json*>& partitions);

}  // namespace paceline::page
