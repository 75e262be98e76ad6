#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace paceline::object {

using Profile = std::map<std::string, std::string>;

// The profiles of an AWS config or credentials file, by name. In a config file they are
// "[profile NAME]" and "[default]"; in a credentials file "[NAME]". invalid_argument, with the
// number of the line and none of its text.
Result<std::map<std::string, Profile>> parse_profiles(std::string_view text, bool config);

}  // namespace paceline::object
