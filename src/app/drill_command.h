#pragma once

namespace CLI {
class App;
}

namespace paceline::app {

// `paceline drill`, and the hidden `paceline drill-watchdog` that it starts.
void add_drill(CLI::App& app, int& exit_code);

}  // namespace paceline::app
