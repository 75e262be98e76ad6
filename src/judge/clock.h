#pragma once

#include <vector>

#include "judge/model.h"
#include "judge/order.h"

namespace paceline::judge {

// How well the sources' clocks are known, and where they contradict what must have come first: a
// finding about a clock, never a reason to tell events in another order.
Clock judge_clocks(const Dossier& dossier, const std::vector<Edge>& edges);

}  // namespace paceline::judge
