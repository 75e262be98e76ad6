#pragma once

#include <string>

#include "page/report.h"

namespace paceline::page {

// The longest gap of any partition of a report, 0 where there is none.
double longest_gap_ms(const Json& report);

// All partitions as thin bars, the longest gap first, on a scale from 0 to `scale_ms`: an image
// that needs no script.
void put_gap_band(std::string& out, const Json& report, double scale_ms);

}  // namespace paceline::page
