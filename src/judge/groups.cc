#include "judge/groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "judge/records.h"

namespace paceline::judge {
namespace {

using evidence::Event;

struct Member {
  uint64_t assigned = 0;  // times, within the step
  int64_t held = 0;       // partitions
  bool is_in = false;     // it may be in a group that has no partition for it
  bool held_before = false;
  const Event* last = nullptr;
};
// By group and by name, whichever life.
using Members = std::map<std::string, std::map<std::string, Member>>;

// Of one event; a file may say anything.
constexpr int64_t kPartitionsMax = INT32_MAX;

void leave(Member& member, const Event& event) {
  if (member.is_in || member.held > 0) member.last = &event;
  member.held = 0;
  member.is_in = false;
}

// What is assigned comes on top of what was not revoked: members that cooperate give a part away.
void tell(Member& member, const Event& event) {
  const auto partitions = event.integer("partitions");
  if (event.word("event") == "assigned") {
    member.held += std::clamp<int64_t>(partitions.value_or(1), 0, kPartitionsMax);
    member.is_in = true;
    member.last = &event;
  } else if (event.word("event") == "revoked" && partitions && *partitions < member.held) {
    member.held -= std::max<int64_t>(*partitions, 0);
    member.last = &event;
  } else {
    leave(member, event);
  }
}

// Of groups and of clients that ended, as it was told.
std::vector<const Event*> told(const Dossier& dossier) {
  std::vector<const Event*> all = dossier.all("group.rebalanced");
  const auto& ended = dossier.all("client.ended");
  all.insert(all.end(), ended.begin(), ended.end());
  std::ranges::sort(all);  // they are in one list, in the order of lines
  return all;
}

// In the end of a step.
Members members_after(const std::vector<const Event*>& events, const StepView& step,
                      std::map<std::string, std::vector<std::string>>& rebalances) {
  Members members;
  for (const Event* event : events) {
    if (event->t_mono_ns > step.last_ns) continue;
    if (event->type == "client.ended") {
      const std::string client = first_life_of(event->client_id);
      for (auto& [group, all] : members)
        for (auto& [name, member] : all) {
          // A client outside may have several.
          if (name != client && !name.starts_with(client + ":")) continue;
          leave(member, *event);
          if (event->t_mono_ns < step.from_ns()) member.held_before = false;
        }
      continue;
    }
    const std::string group(event->word("group"));
    Member& member = members[group][first_life_of(std::string(event->word("member")))];
    tell(member, *event);
    if (event->t_mono_ns < step.from_ns()) member.held_before = member.held > 0;
    if (event->word("event") != "assigned" || event->t_mono_ns < step.effective->t_mono_ns)
      continue;
    ++member.assigned;
    rebalances[group].push_back(event->event_id);
  }
  return members;
}

}  // namespace

GroupLosses group_losses(const Dossier& dossier) {
  GroupLosses losses;
  std::set<std::string> groups, lost, gone;
  for (const Event* event : dossier.all("group.rebalanced")) groups.emplace(event->word("group"));
  losses.groups = groups.size();
  losses.any = !groups.empty();
  const std::vector<const Event*> events = told(dossier);
  for (const StepView& step : dossier.steps) {
    if (!step.effective) continue;
    std::map<std::string, std::vector<std::string>> rebalances;
    losses.last_events.clear();
    for (const auto& [group, all] : members_after(events, step, rebalances)) {
      // One rebalance is told by each member once.
      uint64_t most = 0;
      bool held = false;
      for (const auto& [name, member] : all) {
        most = std::max(most, member.assigned);
        held |= member.is_in;
        if (member.last) losses.last_events.push_back(member.last->event_id);
        losses.members += member.held_before;
        if (!member.held_before || member.is_in) continue;
        if (gone.insert(fmt::format("{}: {}", group, name)).second)
          losses.gone_events.push_back(member.last->event_id);
      }
      if (!held) lost.insert(group);
      if (most > 1) losses.extra += most - 1;
      if (most > losses.rebalances_max) {
        losses.rebalances_max = most;
        losses.events = rebalances[group];
      }
    }
  }
  losses.lost.assign(lost.begin(), lost.end());
  losses.gone.assign(gone.begin(), gone.end());
  return losses;
}

}  // namespace paceline::judge
