#pragma once

#include <string>

#include "judge/dossier.h"
#include "judge/model.h"

namespace paceline::judge {

// report.json: docs/format/drill.md. Milliseconds have three digits behind the dot.
std::string report_json(const Dossier& dossier, const Files& files, const Report& report);

}  // namespace paceline::judge
