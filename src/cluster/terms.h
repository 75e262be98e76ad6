#pragma once

#include <functional>
#include <optional>

#include "meta/records.h"

namespace paceline::cluster {

// Who leads a partition, and in which epoch: a pure function of what is written down.
struct Leadership {
  Lane lane;
  Epoch epoch;
};

// What is known of a lane; nothing for one that was never written down.
using FindLane = std::function<const meta::LaneRecord*(Lane)>;

// Follows the chain of sealed lanes from the partition's term to the lane that leads now: one epoch
// later for each link. Nothing if a lane of the chain is unknown, or names no successor.
std::optional<Leadership> leadership_of(const meta::PartitionRecord& partition, const FindLane& find);

// The successor that takes a partition over, version 1: the first preferred broker among them, else
// the highest weight of a hash of the partition and the lane (rendezvous), by capacity.
const meta::Successor* choose_successor(const meta::LaneRecord& sealed,
                                        const meta::PartitionRecord& partition);

}  // namespace paceline::cluster
