#include "judge/groups.h"

#include <algorithm>
#include <map>
#include <set>

namespace paceline::judge {
namespace {

struct Member {
  uint64_t assigned = 0;  // within the step
  bool holds = false;     // in the end of the step
};

}  // namespace

GroupLosses group_losses(const Dossier& dossier) {
  GroupLosses losses;
  std::set<std::string> groups, lost;
  for (const evidence::Event* event : dossier.all("group.rebalanced"))
    groups.emplace(event->word("group"));
  losses.groups = groups.size();
  losses.any = !groups.empty();
  for (const StepView& step : dossier.steps) {
    if (!step.effective) continue;
    std::map<std::string, std::map<std::string, Member>> members;
    std::map<std::string, std::vector<std::string>> events;
    for (const evidence::Event* event : dossier.all("group.rebalanced")) {
      if (event->t_mono_ns > step.last_ns) continue;
      const std::string group(event->word("group"));
      Member& member = members[group][std::string(event->word("member"))];
      const bool assigned = event->word("event") == "assigned";
      member.holds = assigned;
      if (!assigned || event->t_mono_ns < step.effective->t_mono_ns) continue;
      ++member.assigned;
      events[group].push_back(event->event_id);
    }
    for (const auto& [group, all] : members) {
      // One rebalance is told by each member once.
      uint64_t most = 0;
      bool held = false;
      for (const auto& [name, member] : all) {
        most = std::max(most, member.assigned);
        held |= member.holds;
      }
      if (!held) lost.insert(group);
      if (most > 1) losses.extra += most - 1;
      if (most > losses.rebalances_max) {
        losses.rebalances_max = most;
        losses.events = events[group];
      }
    }
  }
  losses.lost.assign(lost.begin(), lost.end());
  return losses;
}

}  // namespace paceline::judge
