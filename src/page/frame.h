#pragma once

#include <string>
#include <string_view>

namespace paceline::page {

// Everything up to and with <body>: the policy that lets nothing in but our own style and script,
// and the shapes of states.
void open_page(std::string& out, std::string_view title, bool has_script);
void close_page(std::string& out);

}  // namespace paceline::page
