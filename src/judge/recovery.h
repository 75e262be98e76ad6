#pragma once

#include "judge/gaps.h"
#include "judge/model.h"

namespace paceline::judge {

// What storage work the failover made, from what the target and the successors told. What nobody
// observed is null, and never 0.
Recovery judge_recovery(const Dossier& dossier, const std::vector<PartitionRow>& partitions);

}  // namespace paceline::judge
