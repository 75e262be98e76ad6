#pragma once

#include <string>

#include "broker/node.h"
#include "server/event_log.h"
#include "server/store_metrics.h"

namespace paceline::server {

// All metrics in Prometheus' text form: our own names, the JMX exporter's (Strimzi's dashboards)
// and kafka_exporter's for what one broker can tell. REQUIRES: on the first shard.
Task<std::string> metrics_text(broker::Node& node, env::Shard& shard, env::Instant started,
                               StoreFigures figures, const EventLog& events);

}  // namespace paceline::server
