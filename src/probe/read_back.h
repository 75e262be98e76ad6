#pragma once

#include <set>
#include <string>

#include "probe/stage.h"

namespace paceline::probe {

// Reads all topics of the load but those that are `gone` from their start to their end as of now,
// for the ledger. An error: not to the end, and how far.
Task<Result<void>> read_all_back(Stage& stage, std::set<std::string> gone, env::Instant deadline);

}  // namespace paceline::probe
