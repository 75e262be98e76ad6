#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace paceline::drill {

// "2026-11-27T23:59:59.123Z" from milliseconds since 1970, and back. A date alone is its first
// moment.
std::string rfc3339(int64_t wall_ms);
std::optional<int64_t> parse_wall_time(std::string_view text);

}  // namespace paceline::drill
