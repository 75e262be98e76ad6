#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "judge/scorecard.h"
#include "judge/stats.h"

namespace paceline::judge {
namespace {

constexpr size_t kEventsMax = 200;

struct Seen {
  uint64_t known = 0, hidden = 0, never = 0;  // kinds of milestones
  std::string which;
};

// A kind is known if each partition that was concerned has it; hidden if nobody can observe it.
Seen milestones_seen(const Report& report) {
  Seen seen;
  for (size_t kind = 0; kind < kMilestones; ++kind) {
    bool hidden = false, never = false, any = false;
    for (const PartitionRow& partition : report.partitions) {
      if (!partition.concerned) continue;
      any = true;
      hidden |= partition.milestones[kind].state == Milestone::State::not_observable;
      never |= partition.milestones[kind].state == Milestone::State::never;
    }
    if (!any) continue;
    // The ledger has the p99 of each second: that it does not come back within the run is known.
    constexpr size_t kSettled = 11;
    if (!hidden && (!never || kind == kSettled)) {
      ++seen.known;
      continue;
    }
    (never ? seen.never : seen.hidden) += 1;
    seen.which += fmt::format("{}t{}", seen.which.empty() ? "" : ", ", kind);
  }
  return seen;
}

// By which milestones are known, each once.
std::vector<std::string> events_of(const Report& report) {
  std::set<std::string> seen;
  std::vector<std::string> events;
  for (const PartitionRow& partition : report.partitions)
    for (const Milestone& milestone : partition.milestones)
      if (!milestone.event.empty() && events.size() < kEventsMax &&
          seen.insert(milestone.event).second)
        events.push_back(milestone.event);
  return events;
}

Figure milestones(const Score& score) {
  const Seen seen = milestones_seen(score.report);
  const uint64_t all = seen.known + seen.hidden + seen.never;
  std::optional<double> missing;
  if (all > 0) missing = static_cast<double>(seen.hidden + seen.never);
  Figure figure = score.limits.judge("milestones_missing", missing, all);
  // Of a cluster that is seen from outside, what it cannot tell is a known limit of the evidence:
  // it is never green, and says nothing against the cluster.
  if (score.dossier.run.target.external_only && seen.hidden > 0 && seen.never <= 2 && missing)
    figure.state = State::amber;
  // A storm of clients, a slow store or a clean-up moves no leader: there is nothing to be seen.
  const bool all_took_effect = std::ranges::all_of(score.report.steps, [](const StepRow& step) {
    return step.effective_ms || step.test == "N7";
  });
  figure.required = leaders_moved(score.report) || !all_took_effect;
  if (!seen.which.empty()) figure.name += fmt::format(" ({})", seen.which);
  return from(std::move(figure), events_of(score.report), {"ledger.bin", "timeline.ndjson"});
}

// Of a cluster that is seen from outside nobody but its hooks knows the clocks, and what a hook
// claims of its own is no measurement.
Figure clocks(const Score& score) {
  const Clock& clock = score.report.clock;
  Figure figure = score.limits.judge("clock_ms", clock.bound_ms, clock.sources.size());
  if (!clock.bound_ms && score.dossier.run.target.external_only) {
    figure.required = false;
    figure.name +=
        clock.claimed_ms.value_or(0) > 0
            ? fmt::format(" (not observable; hooks claim {})", in_words(*clock.claimed_ms, "ms"))
            : std::string(" (not observable)");
  }
  return from(std::move(figure), clock.events);
}

// Of few samples there is no p99. Of more, it is what the drill itself weighs on a cluster that it
// shares: told, and nothing against the cluster.
Figure overhead(const Score& score) {
  std::optional<double> ratio;
  std::optional<uint64_t> samples;
  std::vector<std::string> events;
  for (const evidence::Event* event : score.dossier.all("overhead.measured")) {
    samples = static_cast<uint64_t>(std::max<int64_t>(0, event->integer("samples").value_or(0)));
    ratio = *samples < evidence::kSamplesForP99 ? std::nullopt : event->value;
    events = {event->event_id};
  }
  Figure figure = score.limits.judge("overhead", ratio, samples);
  figure.amber = "told, not judged";
  if (figure.state != State::green) figure.state = State::grey;
  figure.required = false;
  return from(std::move(figure), std::move(events));
}

}  // namespace

Row evidence_row(const Score& score) {
  const Report& report = score.report;
  Row row;
  row.id = "evidence";
  row.question = "Is the evidence complete?";
  row.figures.push_back(milestones(score));
  row.figures.push_back(clocks(score));
  row.figures.push_back(from(
      score.limits.judge("contradictions", static_cast<double>(report.clock.contradictions.size()),
                         report.clock.causes),
      {}, {"timeline.ndjson"}));
  for (const Contradiction& one : report.clock.contradictions)
    row.figures.back().events.insert(row.figures.back().events.end(), one.events.begin(),
                                     one.events.end());
  double missing = 0;
  for (const auto& [source, count] : report.evidence.holes) missing += static_cast<double>(count);
  row.figures.push_back(from(score.limits.judge("holes", missing, score.dossier.events.size()), {},
                             {"timeline.ndjson"}));
  row.figures.push_back(from(
      score.limits.judge("damage",
                         static_cast<double>(report.evidence.damaged_lines +
                                             report.evidence.damaged_rows + report.evidence.cut),
                         score.dossier.ledger.rows.size() + score.dossier.events.size()),
      {}, {"ledger.bin", "timeline.ndjson"}));
  const std::string& told = score.dossier.run.plan.sha256;
  const std::string& found = score.dossier.plan_sha256;
  row.figures.push_back(from(
      score.limits.judge(
          "plan_differs",
          told.empty() || found.empty() ? std::nullopt : std::optional(told == found ? 0.0 : 1.0),
          1),
      {}, {"plan.toml", "run.json"}));
  row.figures.back().required = false;
  row.figures.push_back(overhead(score));
  settle(row);
  // Whatever hooks tell stands on their own clocks.
  if (row.state == State::green && !report.clock.bound_ms) {
    row.state = State::amber;
    row.why = "clock bound: not observable";
  }
  return row;
}

}  // namespace paceline::judge
