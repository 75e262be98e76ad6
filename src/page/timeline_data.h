#pragma once

#include <string>

#include "page/sections.h"

namespace paceline::page {

// What the script draws, as JSON that may stand in a script element; assets/axis.js says how it is
// read.
std::string timeline_data(const Source& source);

}  // namespace paceline::page
