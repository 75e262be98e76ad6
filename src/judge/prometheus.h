#pragma once

#include <string>

#include "judge/model.h"

namespace paceline::judge {

// OpenMetrics, for a file collector or a push gateway.
std::string metrics_prom(const Report& report);

}  // namespace paceline::judge
