#include "judge/clock.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace paceline::judge {
namespace {

constexpr size_t kContradictionsMax = 50;

// A source may tell a little later what happened before something that it told already, and a
// broker a long time later: that says nothing of its clock.
constexpr int64_t kToldLateNs = 100'000'000;

bool told_late(const Edge& edge) {
  if (edge.cause->source != edge.effect->source) return false;
  if (edge.cause->source.starts_with("paceline:")) return true;
  return static_cast<double>(edge.cause->t_mono_ns) - static_cast<double>(edge.effect->t_mono_ns) <=
         kToldLateNs;
}

}  // namespace

Clock judge_clocks(const Dossier& dossier, const std::vector<Edge>& edges) {
  Clock clock;
  std::map<std::string, ClockRow> sources;
  for (const evidence::Event* event : dossier.all("clock.measured")) {
    const std::string of(event->word("of"));
    const auto err = event->number("err_ns");
    if (of.empty() || !err) continue;
    ClockRow& row = sources[of];
    row.source = of;
    row.offset_ms = event->number("offset_ns").value_or(0) / 1e6;
    row.err_ms = std::max(row.err_ms, *err / 1e6);
    clock.events.push_back(event->event_id);
  }
  for (const auto& [of, row] : sources) clock.sources.push_back(row);
  for (const evidence::Event& event : dossier.events)
    if (event.clock_err_ns)
      clock.claimed_ms =
          std::max(clock.claimed_ms.value_or(0), static_cast<double>(*event.clock_err_ns) / 1e6);
  // An event may be known worse than its source was measured. What a source claims of itself alone
  // bounds nothing.
  for (const ClockRow& row : clock.sources)
    clock.bound_ms =
        std::max({clock.bound_ms.value_or(0), row.err_ms, clock.claimed_ms.value_or(0)});
  clock.causes = edges.size();
  for (const Edge& edge : edges) {
    if (by_clock(*edge.cause, *edge.effect) != Relation::after) continue;
    if (clock.contradictions.size() == kContradictionsMax) break;
    if (told_late(edge)) continue;
    clock.contradictions.push_back(
        {{edge.cause->event_id, edge.effect->event_id},
         fmt::format("{}, but {} stands {:.3f} ms after {}", edge.why, edge.cause->event_id,
                     static_cast<double>(edge.cause->t_mono_ns - edge.effect->t_mono_ns) / 1e6,
                     edge.effect->event_id)});
  }
  return clock;
}

}  // namespace paceline::judge
