#pragma once

#include "judge/scorecard.h"

namespace paceline::judge {

// Which part of the recovery took most of a step's time; nothing if it is not known.
std::optional<Dominant> dominant_of(const Dossier& dossier, const Report& report,
                                    const std::string& step);
// Of all steps: that of the slowest.
std::optional<Dominant> dominant_of(const Dossier& dossier, const Report& report);

// The one thing to do now. REQUIRES: the verdict, the scorecard and what dominated are there.
NextStep next_step(const Report& report);

}  // namespace paceline::judge
