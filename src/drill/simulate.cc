#include "drill/simulate.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace paceline::drill {
namespace {

std::string listed(const std::vector<std::string>& names) {
  constexpr size_t kNamedMax = 8;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kNamedMax); ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > kNamedMax) text += fmt::format(" and {} more", names.size() - kNamedMax);
  return text;
}

bool lives(const ClusterView& view, const std::set<int32_t>& gone, int32_t broker) {
  return !gone.contains(broker) && view.find_broker(broker) != nullptr;
}

// Only those that a step makes so: what has no leader today is another story.
std::vector<std::string> leaderless_without(const ClusterView& view, const std::set<int32_t>& gone,
                                            bool any_broker_leads) {
  const bool anybody = std::ranges::any_of(
      view.brokers, [&](const ClusterView::Broker& broker) { return !gone.contains(broker.id); });
  std::vector<std::string> left;
  for (const auto& topic : view.topics) {
    for (const auto& partition : topic.partitions) {
      const bool led =
          any_broker_leads ? anybody : std::ranges::any_of(partition.in_sync, [&](int32_t broker) {
            return lives(view, gone, broker);
          });
      if (!led) left.push_back(fmt::format("{}-{}", topic.name, partition.index));
    }
  }
  return left;
}

std::vector<std::string> zones_without(const ClusterView& view, const std::set<int32_t>& gone) {
  std::set<std::string> before, after;
  for (const auto& broker : view.brokers) {
    if (broker.rack.empty()) continue;
    before.insert(broker.rack);
    if (!gone.contains(broker.id)) after.insert(broker.rack);
  }
  std::vector<std::string> empty;
  std::ranges::set_difference(before, after, std::back_inserter(empty));
  return empty;
}

}  // namespace

Outlook simulate_step(const ClusterView& view, const Plan::Step& step,
                      const std::vector<int32_t>& brokers, bool any_broker_leads) {
  Outlook outlook{.step = step.id, .leaderless = {}, .zones_empty = {}, .why = {}};
  const std::set<int32_t> gone(brokers.begin(), brokers.end());
  std::set<std::string> zones;
  for (int32_t id : gone) {
    const auto* broker = view.find_broker(id);
    if (!broker) {
      outlook.why = fmt::format("there is no broker {}", id);
      return outlook;
    }
    zones.insert(broker->rack);
  }
  // Who is drained stays; what nobody else has stays with it.
  if (step.fault == Fault::drain) {
    if (view.brokers.size() < 2) outlook.why = "there is no other broker";
    return outlook;
  }
  // A zone is one failure domain, and so is a broker; several brokers are one only as a zone.
  if (gone.size() > 1 && (zones.size() > 1 || step.zone.empty())) {
    outlook.why = "more than one failure domain at a time";
    return outlook;
  }
  outlook.leaderless = leaderless_without(view, gone, any_broker_leads);
  outlook.zones_empty = zones_without(view, gone);
  if (!outlook.leaderless.empty()) {
    outlook.why = fmt::format("nobody could lead {}", listed(outlook.leaderless));
  } else if (!outlook.zones_empty.empty() && step.zone.empty()) {
    // Who asks for a zone's end knows that it is empty then.
    outlook.why = fmt::format(
        "no broker would be left in zone {}; a step with this zone as its target may do it",
        listed(outlook.zones_empty));
  }
  return outlook;
}

std::vector<std::string> check_cleanup(const ClusterView& view, const CleanUp& asked,
                                       const CleanUp& made) {
  std::vector<std::string> why;
  for (int32_t broker : asked.brokers)
    why.push_back(fmt::format("broker {} is not ours to remove", broker));
  for (const auto& topic : asked.topics) {
    const auto ours = std::ranges::find(made.topics, topic.id, &CleanUp::Topic::id);
    const auto* there = view.find_topic(topic.name);
    if (topic.id.empty() || ours == made.topics.end()) {
      why.push_back(fmt::format("topic {} ({}) was not made by this run", topic.name,
                                topic.id.empty() ? "without an id" : topic.id));
    } else if (ours->name != topic.name) {
      why.push_back(fmt::format("topic {} is not the one of the id {}, which is {}", topic.name,
                                topic.id, ours->name));
    } else if (there && there->id != topic.id) {
      why.push_back(fmt::format("topic {} has been made anew by somebody ({})", topic.name,
                                there->id.empty() ? "without an id" : there->id));
    }
  }
  return why;
}

std::vector<std::string> check_rollback(const Plan& plan, const std::string& owner) {
  std::vector<std::string> why;
  if (plan.rollback.point.empty()) why.emplace_back("the plan names no rollback point");
  if (owner.empty() && plan.rollback.owner.empty())
    why.emplace_back("nobody owns the rollback: --owner NAME, or 'owner' in [rollback]");
  return why;
}

}  // namespace paceline::drill
