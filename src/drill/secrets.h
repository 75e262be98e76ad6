#pragma once

#include <map>
#include <string>
#include <string_view>

namespace paceline::drill {

// What must not be in evidence: values whose names look like keys, tokens and passwords.
bool looks_secret(std::string_view name);

// `***` for the values of such names in what a command printed (`NAME=value`, `name: value`,
// `"name": "value"`), and for the values of such variables of its environment wherever they stand.
std::string redact(std::string text, const std::map<std::string, std::string>& environment);
std::map<std::string, std::string> redact(std::map<std::string, std::string> environment);

}  // namespace paceline::drill
