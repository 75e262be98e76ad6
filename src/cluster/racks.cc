#include "cluster/racks.h"

#include <map>

namespace paceline::cluster {

std::vector<size_t> alternate_racks(const std::vector<std::string>& racks) {
  std::map<std::string, std::vector<size_t>> by_rack;
  for (size_t i = 0; i < racks.size(); ++i) by_rack[racks[i]].push_back(i);
  std::vector<size_t> order;
  for (size_t turn = 0; order.size() < racks.size(); ++turn)
    for (const auto& [rack, all] : by_rack)
      if (turn < all.size()) order.push_back(all[turn]);
  return order;
}

}  // namespace paceline::cluster
