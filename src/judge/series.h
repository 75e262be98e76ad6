#pragma once

#include "judge/model.h"
#include "judge/records.h"

namespace paceline::judge {

// What the page draws, in bins of one width from the baseline to the end.
Series series_of(const Dossier& dossier, const Logs& logs);

}  // namespace paceline::judge
