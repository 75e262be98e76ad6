#pragma once

#include "server/event_log.h"
#include "server/prometheus.h"

namespace paceline::server {

// How many events there were, and how long the phases of failovers and moves took. On the log's
// shard.
void add_event_metrics(PrometheusText& text, const EventLog& events);

}  // namespace paceline::server
