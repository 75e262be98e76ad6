#pragma once

#include "app/config.h"

namespace paceline::app {

// Runs a broker until SIGINT or SIGTERM; returns the exit code. Nothing is touched on disk before
// every port is bound.
int serve(const Config& config);

}  // namespace paceline::app
