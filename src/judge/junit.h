#pragma once

#include <string>

#include "judge/dossier.h"
#include "judge/model.h"

namespace paceline::judge {

// For CI: a suite each for the readiness, the scorecard and the negative tests, and a case for each
// row. Red is a failure, grey is skipped, and so is amber not.
std::string junit_xml(const Dossier& dossier, const Report& report);

}  // namespace paceline::judge
