#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "judge/scorecard.h"
#include "judge/stats.h"

namespace paceline::judge {
namespace {

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
    if (!hidden && !never) {
      ++seen.known;
      continue;
    }
    (never ? seen.never : seen.hidden) += 1;
    seen.which += fmt::format("{}t{}", seen.which.empty() ? "" : ", ", kind);
  }
  return seen;
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
  return figure;
}

// Of few samples the ratio of two p99 is noise: told, and not judged.
Figure overhead(const Score& score) {
  std::optional<double> ratio;
  std::optional<uint64_t> samples;
  std::vector<std::string> events;
  for (const evidence::Event* event : score.dossier.all("overhead.measured")) {
    ratio = event->value;
    samples = static_cast<uint64_t>(std::max<int64_t>(0, event->integer("samples").value_or(0)));
    events = {event->event_id};
  }
  Figure figure = score.limits.judge("overhead", ratio, samples);
  if (samples.value_or(0) < kSamplesForP99) figure.state = State::grey;
  figure.required = false;
  figure.events = std::move(events);
  return figure;
}

}  // namespace

Row evidence_row(const Score& score) {
  const Report& report = score.report;
  Row row;
  row.id = "evidence";
  row.question = "Is the evidence complete?";
  row.figures.push_back(milestones(score));
  row.figures.push_back(
      score.limits.judge("clock_ms", report.clock.bound_ms, report.clock.sources.size()));
  row.figures.push_back(score.limits.judge(
      "contradictions", static_cast<double>(report.clock.contradictions.size())));
  for (const Contradiction& one : report.clock.contradictions)
    row.figures.back().events.insert(row.figures.back().events.end(), one.events.begin(),
                                     one.events.end());
  double missing = 0;
  for (const auto& [source, count] : report.evidence.holes) missing += static_cast<double>(count);
  row.figures.push_back(score.limits.judge("holes", missing, score.dossier.events.size()));
  row.figures.push_back(
      score.limits.judge("damage",
                         static_cast<double>(report.evidence.damaged_lines +
                                             report.evidence.damaged_rows + report.evidence.cut),
                         score.dossier.ledger.rows.size() + score.dossier.events.size()));
  const std::string& told = score.dossier.run.plan.sha256;
  const std::string& found = score.dossier.plan_sha256;
  row.figures.push_back(score.limits.judge(
      "plan_differs",
      told.empty() || found.empty() ? std::nullopt : std::optional(told == found ? 0.0 : 1.0)));
  row.figures.back().required = false;
  row.figures.push_back(overhead(score));
  settle(row);
  return row;
}

}  // namespace paceline::judge
