#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "page/report.h"

namespace paceline::page {

// How the page writes what is measured; nothing is an en dash.
std::string ms_words(std::optional<double> ms);        // "812.3 ms", "4.182 s"
std::string ms_cell(std::optional<double> ms);         // "812.3": a column of milliseconds
std::string count_words(std::optional<double> count);  // "1,204"
std::string id_words(std::optional<double> id);        // "1204": a name, not a count
std::string bytes_words(std::optional<double> bytes);  // "8.0 MiB"
// A value of the report with its unit. `unit` may be empty.
std::string value_words(const Json& value, std::string_view unit);
// "planned_p99_ms" in words: "planned p99".
std::string name_words(std::string_view name);

// A state by colour, shape and word; markup.
std::string state_mark(std::string_view state);
// The same, without the word but for who cannot see it.
std::string state_dot(std::string_view state);

}  // namespace paceline::page
