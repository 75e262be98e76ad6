#pragma once

#include "judge/dossier.h"
#include "judge/model.h"

namespace paceline::judge {

// What was checked before any fault; an item that nobody checked is grey, and one whose evidence
// had expired when the run began is, too.
std::vector<ReadinessRow> judge_readiness(const Dossier& dossier);

}  // namespace paceline::judge
