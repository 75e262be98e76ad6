#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// What requests and answers have in common.

namespace paceline::net {

std::string lower(std::string_view text);
std::string_view trim(std::string_view text);                     // of blanks and tabs
std::optional<uint64_t> number(std::string_view text, int base);  // all of `text`
// A line of a header cannot smuggle another one in.
bool one_line(std::string_view text);

}  // namespace paceline::net
