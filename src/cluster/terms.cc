#include "cluster/terms.h"

#include <cmath>

namespace paceline::cluster {
namespace {

constexpr uint8_t kChoiceVersion = 1;
constexpr size_t kChainMax = 1'000'000;  // above any number of restarts; a loop would never end

uint64_t mix(uint64_t x) {  // splitmix64: part of the choice's version, never to change
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

}  // namespace

const meta::Successor* choose_successor(const meta::LaneRecord& sealed,
                                        const meta::PartitionRecord& partition) {
  if (sealed.choice_version != kChoiceVersion || sealed.successors.empty()) return nullptr;
  for (BrokerId preferred : partition.preferred) {
    for (const meta::Successor& successor : sealed.successors) {
      if (successor.lane.broker == preferred) return &successor;
    }
  }
  const meta::Successor* best = nullptr;
  double best_weight = -1;
  for (const meta::Successor& successor : sealed.successors) {
    const uint64_t hash = mix(mix(partition.index) ^ mix(successor.lane.incarnation.value) ^
                              mix(static_cast<uint32_t>(successor.lane.broker.value)));
    const double uniform = (static_cast<double>(hash >> 11) + 0.5) / 9007199254740992.0;
    const double weight = -static_cast<double>(successor.capacity) / std::log(uniform);
    if (weight > best_weight) {
      best_weight = weight;
      best = &successor;
    }
  }
  return best;
}

std::optional<Leadership> leadership_of(const meta::PartitionRecord& partition, const FindLane& find) {
  Leadership now{partition.term.lane, partition.term.epoch};
  for (size_t link = 0; link < kChainMax; ++link) {
    const meta::LaneRecord* lane = find(now.lane);
    if (!lane) return std::nullopt;
    if (!lane->sealed) return now;
    const meta::Successor* successor = choose_successor(*lane, partition);
    if (!successor) return std::nullopt;
    now.lane = successor->lane;
    ++now.epoch;
  }
  return std::nullopt;
}

}  // namespace paceline::cluster
