#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "meta/records.h"

// Who leads a partition, as a pure function of what is written down: the same on every broker.

namespace paceline::cluster {

struct LeaderTerm {
  Epoch epoch;
  Lane lane;
  std::optional<Lane> from = {};  // the last sealed lane of the chain, if there is one
  bool operator==(const LeaderTerm&) const = default;
};

// Null: no such lane.
using LaneLookup = std::function<const meta::LaneRecord*(Lane)>;

// Follows the chain of sealed lanes from the term as written down to the lane in force, one epoch a
// link. Nothing: the chain leads nowhere (a sealed lane without successors, a lane unknown here, a
// choice of a newer version); the partition is offline.
std::optional<LeaderTerm> live_term(const meta::TermRecord& term,
                                    const std::vector<BrokerId>& preferred, const StreamId& stream,
                                    const LaneLookup& lane);

// The successor that takes `stream` over from a sealed lane. Version 1: the first preferred broker
// that is among the successors, else the highest score of a rendezvous hash weighted by capacity.
// Its outcome may never change for inputs that were ever written. Null if there is none.
const meta::Successor* choose_successor(const meta::LaneRecord& sealed,
                                        const std::vector<BrokerId>& preferred,
                                        const StreamId& stream);

}  // namespace paceline::cluster
