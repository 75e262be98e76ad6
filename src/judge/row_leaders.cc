#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "judge/brokers.h"
#include "judge/groups.h"
#include "judge/scorecard.h"

namespace paceline::judge {
namespace {

// Held against the p99's limit: the p99, or the max of too few samples.
Figure gap_figure(const Limits& limits, const char* name, const Quantiles& gap) {
  Figure figure = limits.judge(name, gap.worst(), gap.samples);
  figure.name += gap.p99 ? ", p99" : ", max";
  return figure;
}

Figure optional(Figure figure) {
  figure.required = false;
  return figure;
}

std::optional<double> number(std::optional<uint64_t> count) {
  return count ? std::optional(static_cast<double>(*count)) : std::nullopt;
}

Figure counted(const Limits& limits, const char* name, std::optional<uint64_t> count,
               uint64_t samples) {
  return from(limits.judge(name, number(count), samples), {}, {"ledger.bin"});
}

void add_gaps(const Score& score, Row& row) {
  const Report& report = score.report;
  const auto of = [&](Figure figure, std::optional<bool> planned) {
    return from(std::move(figure), faults_of(score.dossier, planned), {"ledger.bin"});
  };
  bool planned = false, unplanned = false;
  for (const StepRow& step : report.steps)
    (step.planned ? planned : unplanned) |= step.test != "N7";
  if (planned)
    row.figures.push_back(of(gap_figure(score.limits, "gap_planned_ms", report.gap_planned), true));
  if (unplanned) {
    row.figures.push_back(
        of(gap_figure(score.limits, "gap_unplanned_ms", report.gap_unplanned), false));
    row.figures.push_back(
        of(score.limits.judge("gap_max_ms", report.gap_unplanned.max, report.gap_unplanned.samples),
           false));
  }
  // A plan of a clean-up alone has no gap.
  if (report.steps.empty()) {
    Figure none;
    none.name = "a fault that took effect";
    row.figures.push_back(none);
  }
  row.figures.push_back(
      of(optional(score.limits.judge("wait_elsewhere_ms", report.wait_elsewhere_ms,
                                     report.waits_elsewhere)),
         std::nullopt));
}

void add_records(const Score& score, Row& row) {
  const Counts& counts = score.report.counts;
  const Limits& limits = score.limits;
  const auto sent = [&](uint64_t count) {
    return counts.sent > 0 ? std::optional(count) : std::nullopt;
  };
  row.figures.push_back(counted(limits, "errors", sent(counts.errors), counts.sent));
  row.figures.push_back(counted(limits, "lost", counts.lost, counts.acked));
  const bool read_back = counts.lost.has_value();
  const auto if_read = [&](uint64_t count) { return read_back ? sent(count) : std::nullopt; };
  row.figures.push_back(counted(limits, "duplicated", if_read(counts.duplicated), counts.acked));
  row.figures.push_back(counted(limits, "reordered", if_read(counts.reordered), counts.acked));
  row.figures.push_back(counted(limits, "damaged", if_read(counts.damaged), counts.acked));
  row.figures.push_back(optional(counted(limits, "never_read", counts.never_read, counts.acked)));
  row.figures.push_back(
      counted(limits, "anomalies", if_read(score.report.anomalies.size()), counts.acked));
  for (const AnomalyRow& anomaly : score.report.anomalies)
    row.figures.back().events.insert(row.figures.back().events.end(), anomaly.events.begin(),
                                     anomaly.events.end());
}

void add_groups(const Score& score, Row& row) {
  const GroupLosses losses = group_losses(score.dossier);
  if (!losses.any) return;
  auto add = [&](const char* limit, double value, uint64_t of, std::vector<std::string> events) {
    if (events.empty()) events = losses.last_events;
    // Where no step has taken effect, all that was told is looked at, and nothing of it counts.
    std::vector<std::string> files;
    if (events.empty()) files.emplace_back("timeline.ndjson");
    row.figures.push_back(
        from(score.limits.judge(limit, value, of), std::move(events), std::move(files)));
  };
  add("rebalances", static_cast<double>(losses.rebalances_max), losses.groups, losses.events);
  add("groups_lost", static_cast<double>(losses.lost.size()), losses.groups, {});
  add("members_gone", static_cast<double>(losses.gone.size()), losses.members, losses.gone_events);
}

void add_cluster(const Score& score, Row& row) {
  const BrokersAfter brokers = brokers_after(score.dossier);
  Figure missing = score.limits.judge(
      "brokers_missing",
      brokers.known ? std::optional(static_cast<double>(brokers.missing.size())) : std::nullopt,
      brokers.before);
  row.figures.push_back(from(std::move(missing), brokers.events));
  row.figures.push_back(
      from(optional(score.limits.judge("leaderless", brokers.leaderless, brokers.partitions)),
           brokers.events));
  uint64_t unsettled = 0, told = 0;
  for (const PartitionRow& partition : score.report.partitions) {
    unsettled += partition.milestones[11].state == Milestone::State::never;
    told += partition.milestones[11].known();
  }
  if (unsettled + told > 0)
    row.figures.push_back(
        from(score.limits.judge("unsettled", static_cast<double>(unsettled), unsettled + told),
             faults_of(score.dossier), {"ledger.bin"}));
}

}  // namespace

Row leaders_row(const Score& score) {
  Row row;
  row.id = "leaders";
  row.question = "Did leaders move with no hidden client cost?";
  add_gaps(score, row);
  add_records(score, row);
  add_groups(score, row);
  add_cluster(score, row);
  for (const evidence::Event* event : score.dossier.all("guard.tripped")) {
    Figure guard;
    guard.name = fmt::format("guard {}", event->word("rule"));
    guard.value = event->number("measured");
    guard.green = "not tripped";
    guard.state = State::red;
    guard.samples = 1;
    guard.events = {event->event_id};
    row.figures.push_back(std::move(guard));
  }
  const auto& gone = score.dossier.all("topic.gone");
  if (!gone.empty()) {
    Figure topics;
    topics.name = "topics of the load that are gone";
    topics.value = static_cast<double>(gone.size());
    topics.green = "none";
    topics.state = State::red;
    topics.samples = score.dossier.run.topics.size();
    for (const evidence::Event* event : gone) topics.events.push_back(event->event_id);
    row.figures.push_back(std::move(topics));
  }
  settle(row);
  return row;
}

}  // namespace paceline::judge
