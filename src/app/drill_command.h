#pragma once

#include <map>
#include <string>

namespace CLI {
class App;
}

namespace paceline::app {

// `paceline drill`, and the hidden `paceline drill-watchdog` that it starts. `environment`: of the
// process.
void add_drill(CLI::App& app, int& exit_code,
               const std::map<std::string, std::string>& environment);

}  // namespace paceline::app
