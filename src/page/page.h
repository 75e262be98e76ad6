#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace paceline::page {

// One self-contained page from a report (`report.json`, docs/format/drill.md): the same bytes for
// the same report. corrupt: it is none, with the field that is wrong.
Result<std::string> render(std::string_view report_json);

// Two runs side by side, e.g. of the same plan on two products.
Result<std::string> render_comparison(std::string_view left_json, std::string_view right_json);

}  // namespace paceline::page
