#include "judge/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace paceline::judge {
namespace {

struct Limit {
  std::string_view name, words, unit;
  double green, amber;
};
constexpr Limit kLimits[] = {
    // Did leaders move with no hidden client cost?
    {"gap_planned_ms", "client gap, planned", "ms", 500, 1'000},
    {"gap_unplanned_ms", "client gap, unplanned", "ms", 5'000, 10'000},
    {"gap_max_ms", "longest client gap, unplanned", "ms", 10'000, 20'000},
    {"wait_elsewhere_ms", "longest wait where no leader moved", "ms", 500, 1'000},
    {"errors", "errors after retry", "records", 0, 0},
    {"lost", "acknowledged and lost", "records", 0, 0},
    {"duplicated", "duplicates", "records", 0, 0},
    {"reordered", "out of order", "records", 0, 0},
    {"damaged", "damaged", "records", 0, 0},
    {"never_read", "never given to a consumer", "records", 0, 0},
    {"anomalies", "broken promises", "anomalies", 0, 0},
    {"rebalances", "rebalances of one group in one step", "rebalances", 1, 2},
    {"groups_lost", "groups without a member", "groups", 0, 0},
    {"members_gone", "members that stayed away from their group", "members", 0, 0},
    {"brokers_missing", "brokers that stayed away", "brokers", 0, 0},
    {"leaderless", "partitions without a leader in the end", "partitions", 0, 0},
    {"unsettled", "partitions whose latency did not come back", "partitions", 0, 1e9},
    // Did storage work stay bounded?
    {"recovery_ratio", "recovered bytes for each that was not uploaded", "ratio", 2, 4},
    {"historical_bytes", "historical bytes copied", "bytes", 0, 0},
    {"requests_per_partition", "requests a partition", "requests", 10, 20},
    {"left_over_ms", "storage work left over", "ms", 60'000, 300'000},
    {"orphans", "orphaned objects", "objects", 0, 1e9},
    // Did added capacity help soon?
    {"first_leader_ms", "first leader after a return", "ms", 10'000, 300'000},
    {"fair_share_ms", "a fair share after it", "ms", 60'000, 300'000},
    {"settled_ms", "latency as before after it", "ms", 60'000, 300'000},
    // Did governance hold?
    {"rights_wrong", "allowed or denied other than due", "answers", 0, 0},
    {"rights_silent", "rights without an answer", "rights", 0, 1e9},
    // Was rollback decided, not improvised?
    {"rollback_ms", "rollback", "ms", 60'000, 300'000},
    {"rollback_undecided", "evaluations of the rule missed", "evaluations", 0, 3},
    {"rollback_differs", "rollbacks that left another state", "rollbacks", 0, 0},
    {"rollback_missing", "missing of point, command, owner and rule", "fields", 0, 0},
    // Is the evidence complete?
    {"milestones_missing", "milestones missing of 14", "milestones", 0, 2},
    {"clock_ms", "clock bound", "ms", 5, 10},
    {"contradictions", "causes that clocks contradict", "pairs", 0, 1e9},
    {"holes", "events missing", "events", 0, 0},
    {"damage", "damaged or cut lines and rows", "pieces", 0, 0},
    {"overhead", "bystanders' p99 beside the probes, to that without them", "ratio", 1.05, 1e9},
    {"plan_differs", "plans with another hash", "plans", 0, 0},
    // Business outcome
    {"sum_differs", "sum of the transfers, off by", "units", 0, 0},
    {"staleness_beyond_gap_ms", "staleness beyond the gap", "ms", 2'000, 10'000},
    // Negative tests that have no row
    {"zone_leaders_ms", "leaders in the zone, for", "ms", 15'000, 30'000},
    {"zone_gap_ms", "gap", "ms", 10'000, 20'000},
    {"refresh_ms", "refresh", "ms", 2'000, 10'000},
    {"clients_lost", "clients that did not come back", "clients", 0, 0},
    {"alert_ms", "noticed after", "ms", 15'000, 60'000},
    {"takeover_ms", "taken over after", "ms", 60'000, 120'000},
    {"slow_ratio", "p99 beyond what was added, to the baseline's", "ratio", 2, 4},
    {"memory_grown_bytes", "memory grown by", "bytes", 256 << 20, 1 << 30},
    {"bystanders_ratio", "bystanders' p99, to the baseline's", "ratio", 1.1, 1.5},
};

const Limit& find(std::string_view name) {
  const auto found = std::ranges::find(kLimits, name, &Limit::name);
  CHECK(found != std::end(kLimits));
  return *found;
}

}  // namespace

double Limits::limit(std::string_view name, double otherwise) const {
  const auto set = set_.find(std::string(name));
  return set == set_.end() ? otherwise : set->second;
}

double Limits::green(std::string_view name) const {
  return limit(name, find(name).green);
}

// A plan that raises the green limit alone does not make what is amber narrower than it.
double Limits::amber(std::string_view name) const {
  return std::max(green(name), limit(std::string(name) + "_amber", find(name).amber));
}

Figure Limits::judge(std::string_view name, std::optional<double> value,
                     std::optional<uint64_t> samples) const {
  const Limit& row = find(name);
  Figure figure;
  figure.name = row.words;
  figure.unit = row.unit;
  figure.value = value;
  figure.samples = samples;
  figure.green = fmt::format("<= {}", in_words(green(name), row.unit));
  figure.amber =
      amber(name) >= 1e9 ? "more" : fmt::format("<= {}", in_words(amber(name), row.unit));
  if (!value) return figure;
  figure.state = *value <= green(name)   ? State::green
                 : *value <= amber(name) ? State::amber
                                         : State::red;
  return figure;
}

State Limits::at_least(std::string_view name, double value) const {
  return value > amber(name) ? State::red : value > green(name) ? State::amber : State::grey;
}

std::string in_words(double value, std::string_view unit) {
  const bool whole = std::abs(value) < 1e15 && value == std::floor(value);
  if (unit == "ms" && std::abs(value) >= 1000) return fmt::format("{:.4g} s", value / 1000);
  const std::string number = whole ? fmt::format("{:.0f}", value) : fmt::format("{:.4g}", value);
  if (unit == "ratio") return number + "x";
  return unit.empty() ? number : fmt::format("{} {}", number, unit);
}

}  // namespace paceline::judge
