#pragma once

#include "app/dev_plan.h"

namespace paceline::app {

// `paceline dev`: a local cluster until SIGINT, SIGTERM or SIGHUP; returns the exit code. Whatever
// ends it, nothing is left behind but a folder that was named.
// REQUIRES: one thread.
int dev(DevOptions options);

}  // namespace paceline::app
