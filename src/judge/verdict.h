#pragma once

#include "judge/scorecard.h"

namespace paceline::judge {

// The worst of the rows and of the negative tests that ran: red before all, then grey, which counts
// only where the plan requires the row. Without N8, which judges this.
State worst_of(const Score& score, const std::vector<NegativeTest>& tests);

// Verdict, exit code, reason and the sentence. REQUIRES: all else of the report is there.
void decide(const Score& score, State worst, Report& report);

}  // namespace paceline::judge
