#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

// What an object store's bill says, from a broker's counters and a list of prices. Pure.

namespace paceline::app {

// Samples of Prometheus' text form by name and labels as they stand there, e.g.
// `x_total{kind="put"}`. Lines that are no samples are passed over.
using Samples = std::map<std::string, double, std::less<>>;
Samples parse_samples(std::string_view text);

struct Prices {
  std::string currency;
  std::map<std::string, double, std::less<>> of;  // by key, as in the file
};
// A properties file. invalid_argument: a key that is missing, unknown or no price.
Result<Prices> parse_prices(std::string_view text);

struct CostLine {
  std::string what;
  double count = 0;  // requests, or GiB
  double cost = 0;
  double cost_per_tib = 0;  // produced
};
struct Cost {
  double produced_bytes = 0;
  double written_ratio = 0;     // bytes sent to the store for each byte produced
  double puts_per_gib = 0;      // requests priced as a put, for each GiB produced
  std::vector<CostLine> lines;  // the last one is their sum
  double storage_per_tib_month = 0;
};
// invalid_argument: the broker has produced nothing, or its objects are not in a store that bills.
Result<Cost> cost_of(const Samples& samples, const Prices& prices);

}  // namespace paceline::app
