#pragma once

#include <map>
#include <string>

#include "base/result.h"

namespace paceline::drill {

// The settings of a step, as the way to the store of a `paceline dev --store s3` takes them.
// invalid_argument: one is no number, or there is none.
Result<std::string> store_faults_json(const std::map<std::string, std::string>& settings);
// How many requests have met them, of what it answers. corrupt: it is no such answer.
Result<int64_t> met_of(std::string_view json);

}  // namespace paceline::drill
