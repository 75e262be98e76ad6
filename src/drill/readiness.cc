#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "drill/course.h"
#include "drill/wall_time.h"

// What of P1 follows from what is known already. Pure.

namespace paceline::drill {
namespace {

constexpr int64_t kDayS = 86'400;
constexpr int64_t kRehearsedDays = 90;
constexpr double kClockMs = 5;
constexpr size_t kMilestones = 14, kEnough = 12;
constexpr double kSpread = 0.1;

// What tells that a milestone can be seen. Those of the load come with it.
struct Sign {
  std::string_view milestone;
  std::vector<std::string_view> types;
};
const std::vector<Sign>& signs() {
  static const std::vector<Sign> kAll = {
      {"t1", {"acked"}},
      {"t2", {"move.begun", "broker.draining"}},
      {"t3", {"move.committed", "leader.seen"}},
      {"t4", {"move.adopted"}},
      {"t5", {"move.adopted"}},
      {"t6", {"partition.serving", "broker.answers"}},
      {"t7", {"leader.seen"}},
      {"t8", {"acked"}},
      {"t9", {"acked"}},
      {"t10", {"read"}},
      {"t11", {"acked"}},
      {"t12", {"business.stale"}},
      {"t13", {"move.ended", "storage.snapshot"}},
  };
  return kAll;
}

}  // namespace

Readiness check_routing(const ClusterView& view) {
  Readiness item{.item = "failure_domain_routing",
                 .limit = "three zones; the loss of each leaves a bootstrap; leaders within 10 %"};
  std::map<std::string, int64_t> leaders;
  const auto led = view.leaders();
  for (const auto& broker : view.brokers) leaders[broker.rack] += led.at(broker.id);
  if (leaders.contains("")) {
    item.pass = "grey";
    item.measured = "not all brokers say in which zone they are";
    return item;
  }
  int64_t sum = 0, most = 0;
  for (const auto& [zone, count] : leaders) {
    sum += count;
    most = std::max(most, count);
  }
  const double share = static_cast<double>(sum) / static_cast<double>(leaders.size());
  const bool spread = static_cast<double>(most) <= share * (1 + kSpread) + 1;
  item.measured = fmt::format("{} zones, {} brokers, at most {} of {} leaders in one zone",
                              leaders.size(), view.brokers.size(), most, sum);
  item.pass = leaders.size() < 2 ? "red" : leaders.size() >= 3 && spread ? "green" : "amber";
  return item;
}

Readiness check_rollback_readiness(const Plan& plan, const std::string& owner, int64_t now_ms) {
  Readiness item{.item = "rollback",
                 .limit = "a point, a command, an owner and a rule; rehearsed within 90 days",
                 .evidence = "plan.toml",
                 .valid_for_s = kRehearsedDays * kDayS};
  std::vector<std::string_view> missing;
  if (plan.rollback.point.empty()) missing.emplace_back("a point");
  if (plan.rollback.command.empty()) missing.emplace_back("a command");
  if (owner.empty()) missing.emplace_back("an owner");
  if (plan.rollback.rule.empty()) missing.emplace_back("a rule");
  if (!missing.empty()) {
    item.pass = "red";
    item.measured = fmt::format("without {}", fmt::join(missing, ", "));
    return item;
  }
  const auto rehearsed = parse_wall_time(plan.rollback.rehearsed);
  if (!rehearsed) {
    item.pass = "amber";
    item.measured = fmt::format("owner {}; this run is the first rehearsal", owner);
    return item;
  }
  const int64_t days = (now_ms - *rehearsed) / (kDayS * 1000);
  item.pass = days <= kRehearsedDays ? "green" : "amber";
  item.measured = fmt::format("owner {}; rehearsed {} days ago", owner, days);
  item.valid_for_s = std::max<int64_t>(kRehearsedDays - days, 0) * kDayS;
  return item;
}

Readiness check_observability(const std::vector<std::string>& types_seen,
                              const std::vector<std::string>& observes,
                              std::optional<double> clock_bound_ms) {
  Readiness item{.item = "observability",
                 .limit = "14 of 14 milestones at a canary move; clocks within 5 ms",
                 .valid_for_s = kDayS};
  std::vector<std::string> missing;
  // A fault is what a canary has not; whether it can be observed is known from the target.
  if (std::ranges::find(observes, "t0") == observes.end()) missing.emplace_back("t0");
  for (const Sign& sign : signs()) {
    const bool seen = std::ranges::any_of(sign.types, [&](std::string_view type) {
      return std::ranges::find(types_seen, type) != types_seen.end();
    });
    if (!seen) missing.emplace_back(sign.milestone);
  }
  const size_t seen = kMilestones - missing.size();
  item.measured = fmt::format("{} of {} milestones", seen, kMilestones);
  if (!missing.empty()) item.measured += fmt::format(", without {}", fmt::join(missing, ", "));
  item.measured += clock_bound_ms ? fmt::format("; clocks within {:.3f} ms", *clock_bound_ms)
                                  : std::string("; clocks not measured");
  const bool clocks = clock_bound_ms && *clock_bound_ms <= kClockMs;
  item.pass = missing.empty() && clocks ? "green" : seen >= kEnough ? "amber" : "grey";
  return item;
}

}  // namespace paceline::drill
