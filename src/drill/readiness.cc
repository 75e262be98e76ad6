#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "client/client.h"
#include "drill/course.h"
#include "drill/wall_time.h"

// What of P1 follows from what is known already. Pure.

namespace paceline::drill {
namespace {

constexpr int64_t kDayS = 86'400;
constexpr int64_t kRehearsedDays = 90;
constexpr int64_t kRollbackMs = 60'000, kRollbackAmberMs = 300'000;
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

// Whose loss leaves no address of the bootstrap at which another broker answers: brokers, zones. An
// address that no broker calls its own is nobody's.
std::vector<std::string> without_bootstrap(const ClusterView& view, std::string_view bootstrap,
                                           const std::set<int32_t>& answering) {
  std::vector<const ClusterView::Broker*> first;
  for (const std::string& address : client::addresses_of(std::string(bootstrap)))
    for (const auto& broker : view.brokers)
      if (broker.address() == address && answering.contains(broker.id)) first.push_back(&broker);
  std::vector<std::string> lost;
  std::set<std::string> zones;
  for (const auto& broker : view.brokers) {
    if (std::ranges::all_of(first, [&](const auto* one) { return one->id == broker.id; }))
      lost.push_back(fmt::format("broker {}", broker.id));
    if (!broker.rack.empty()) zones.insert(broker.rack);
  }
  for (const std::string& zone : zones)
    if (zones.size() > 1 &&
        std::ranges::all_of(first, [&](const auto* one) { return one->rack == zone; }))
      lost.push_back("zone " + zone);
  return lost;
}

}  // namespace

Readiness check_routing(const ClusterView& view, std::string_view bootstrap,
                        const std::set<int32_t>& answering) {
  Readiness item{.item = "failure_domain_routing",
                 .limit =
                     "three zones; the loss of any broker, or zone, leaves a bootstrap that "
                     "answers; leaders within 10 %"};
  const auto lost = without_bootstrap(view, bootstrap, answering);
  item.measured = fmt::format("{} of {} brokers answer at what they say is theirs; ",
                              answering.size(), view.brokers.size());
  item.measured += lost.empty() ? std::string("any one may be lost")
                                : fmt::format("no bootstrap is left without {}",
                                              fmt::join(lost, ", or without "));
  item.measured +=
      view.controller >= 0
          ? fmt::format("; of a metadata quorum only broker {}, the controller, is seen",
                        view.controller)
          : std::string("; no metadata quorum is seen");
  std::map<std::string, int64_t> leaders;
  const auto led = view.leaders();
  for (const auto& broker : view.brokers) leaders[broker.rack] += led.at(broker.id);
  if (leaders.contains("")) {
    item.pass = "grey";
    item.measured += "; not all brokers say in which zone they are";
    return item;
  }
  int64_t sum = 0, most = 0;
  for (const auto& [zone, count] : leaders) {
    sum += count;
    most = std::max(most, count);
  }
  const double share = static_cast<double>(sum) / static_cast<double>(leaders.size());
  const bool spread = static_cast<double>(most) <= share * (1 + kSpread) + 1;
  item.measured +=
      fmt::format("; {} zones, at most {} of {} leaders in one zone", leaders.size(), most, sum);
  const bool sound = leaders.size() >= 3 && spread && lost.empty();
  item.pass = leaders.size() < 2 ? "red" : sound ? "green" : "amber";
  return item;
}

Readiness check_rollback_readiness(const Plan& plan, const std::string& owner, int64_t now_ms) {
  Readiness item{.item = "rollback",
                 .limit =
                     "a point, a command, an owner and a rule; rehearsed within 90 days, in "
                     "at most 60 s, amber to 300 s",
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
  const int64_t took_ms = plan.rollback.rehearsed_ms;
  item.measured = fmt::format("owner {}; rehearsed {} days ago, ", owner, days);
  item.measured += took_ms > 0 ? fmt::format("in {:.1f} s", static_cast<double>(took_ms) / 1000)
                               : std::string("nobody says in what time");
  const bool quick = took_ms > 0 && took_ms <= kRollbackMs;
  item.pass = took_ms > kRollbackAmberMs        ? "red"
              : days <= kRehearsedDays && quick ? "green"
                                                : "amber";
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
