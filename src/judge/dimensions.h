#pragma once

#include "judge/dossier.h"
#include "judge/model.h"

namespace paceline::judge {

// The seven sides from which a failover is looked at. REQUIRES: all else of the report is there.
std::vector<Dimension> dimensions_of(const Dossier& dossier, const Report& report);

}  // namespace paceline::judge
