#pragma once

#include <string>
#include <string_view>

namespace paceline::page {

// Text of a report as HTML, for content and for quoted attributes. Control characters, which no
// HTML may hold, become U+FFFD.
std::string html(std::string_view text);

// JSON that may stand inside a script element: no markup, and no line end that only JSON allows.
std::string script_json(std::string_view json);

}  // namespace paceline::page
