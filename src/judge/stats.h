#pragma once

#include <cstdint>
#include <vector>

#include "judge/model.h"

namespace paceline::judge {

// The smallest sample that `share` of all are not above. REQUIRES: sorted, not empty.
double nearest_rank(const std::vector<double>& sorted, double share);

Quantiles quantiles_of(std::vector<double> samples);

}  // namespace paceline::judge
