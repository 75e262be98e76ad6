#include "page/spread.h"

namespace paceline::page {
namespace {

struct Seen {
  double ms;
  const Json* milestone;
};

void count(const Json& milestone, Spread& spread) {
  const std::string_view state = text(milestone, "state");
  if (state == "not_observable") ++spread.not_observable;
  if (state == "never") ++spread.never;
  if (!is_seen(milestone)) return;
  ++spread.seen;
  if (state == "upper_bound") ++spread.upper_bound;
  if (spread.by.empty()) spread.by = text(milestone, "by");
  const auto err = number(milestone, "err_ms");
  if (err && (!spread.err_ms || *err > *spread.err_ms)) spread.err_ms = err;
}

Spread spread_of(const std::vector<const Json*>& partitions, int index) {
  Spread spread;
  std::vector<Seen> seen;
  const std::string key = milestone_key(index);
  for (const Json* partition : partitions) {
    const Json& milestone = field(field(*partition, "milestones"), key);
    count(milestone, spread);
    if (is_seen(milestone)) seen.push_back({*number(milestone, "ms"), &milestone});
  }
  if (seen.empty()) return spread;
  std::ranges::stable_sort(seen, {}, &Seen::ms);
  const Seen& middle = seen[(seen.size() - 1) / 2];
  spread.min_ms = seen.front().ms;
  spread.median_ms = middle.ms;
  spread.max_ms = seen.back().ms;
  for (const Seen& one : {seen.front(), middle, seen.back()}) {
    const Json& event = field(*one.milestone, "event");
    if (event.is_string() && std::ranges::find(spread.events, event) == spread.events.end())
      spread.events.push_back(event);
  }
  return spread;
}

}  // namespace

std::vector<std::vector<const Json*>> partitions_by_step(const Json& report) {
  std::vector<std::vector<const Json*>> steps(list(report, "steps").size());
  for (const Json& partition : list(report, "partitions"))
    if (const auto step = step_of(report, partition); step && is_concerned(partition))
      steps[*step].push_back(&partition);
  return steps;
}

std::vector<Spread> spreads(const std::vector<const Json*>& partitions) {
  std::vector<Spread> all;
  for (int index = 0; index < kMilestones; ++index) all.push_back(spread_of(partitions, index));
  return all;
}

}  // namespace paceline::page
