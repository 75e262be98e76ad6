#pragma once

#include "judge/model.h"
#include "judge/order.h"

namespace paceline::judge {

// Phases, and those events that the page shows: what is told all the time is in the series, and of
// the rest what is nearest to the brokers comes first where there is too much.
void show(const Dossier& dossier, const std::vector<Edge>& edges, Report& report);

// Holes in what sources counted, and damage.
EvidenceRow evidence_of(const Dossier& dossier, const Files& files, uint64_t strangers);

}  // namespace paceline::judge
