#pragma once

#include "judge/scorecard.h"

namespace paceline::judge {

// N1 to N8. Those that were not in the plan, or whose fault did not take effect, are grey.
// `would_be`: the verdict of everything else, which N8 judges.
std::vector<NegativeTest> negative_tests(const Score& score, State would_be);

}  // namespace paceline::judge
