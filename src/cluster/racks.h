#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace paceline::cluster {

// Brokers, by their racks, in an order in which neighbours are of different racks for as long as
// there are any: one of each rack in turn. Each rack's stay in their order. The indexes.
std::vector<size_t> alternate_racks(const std::vector<std::string>& racks);

}  // namespace paceline::cluster
