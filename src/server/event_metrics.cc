#include "server/event_metrics.h"

namespace paceline::server {

void add_event_metrics(PrometheusText& text, const EventLog& events) {
  const EventLog::Figures figures = events.figures();
  text.one("paceline_events_total", "counter", "Events recorded.", figures.recorded);
  text.one("paceline_events_written_total", "counter", "Events written to the topic of events.",
           figures.written);
  text.one("paceline_events_lost_total", "counter",
           "Events that the topic of events will never have: a hole in source_seq.", figures.lost);
  text.one("paceline_events_waiting", "gauge", "Events on their way to the topic.",
           figures.waiting);
  text.describe("paceline_phase_seconds", "histogram",
                "How long the phases of failovers and moves took, by type of event.");
  for (const auto& [type, histogram] : events.phases()) {
    std::array<uint64_t, broker::Histogram::kBuckets> buckets{};
    for (size_t i = 0; i < buckets.size(); ++i)
      buckets[i] = histogram.counts[i].load(std::memory_order_relaxed);
    text.histogram("paceline_phase_seconds", fmt::format("phase=\"{}\"", type), buckets,
                   histogram.sum_us.load(std::memory_order_relaxed));
  }
}

}  // namespace paceline::server
