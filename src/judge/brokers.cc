#include "judge/brokers.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

namespace paceline::judge {
namespace {

// By the broker's name. What is no count counts nothing.
std::map<std::string, uint64_t> leaders_in(std::string_view text) {
  std::map<std::string, uint64_t> leaders;
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return leaders;
  for (const auto& [name, count] : json.items())
    leaders[name] = count.is_number_unsigned() ? count.get<uint32_t>() : 0;
  return leaders;
}

}  // namespace

bool stays_faulty(const Dossier& dossier, const StepView& step) {
  if (step.heal_failed && !step.healed) return true;
  if (!step.effective || step.healed) return false;
  if (step.heal_commanded) return dossier.run.outcome == "completed";
  // What was planned may stay as it is, and a storm of clients heals itself.
  return dossier.run.outcome == "completed" && !step.plan->planned && step.plan->test != "N4";
}

BrokersAfter brokers_after(const Dossier& dossier) {
  BrokersAfter result;
  const evidence::Event* before = nullptr;
  const evidence::Event* after = nullptr;
  for (const evidence::Event* event : dossier.all("metadata.snapshot")) {
    if (event->word("when") == "before" && !before) before = event;
    if (event->word("when") == "after") after = event;
  }
  std::set<std::string> missing;
  if (before && after) {
    const auto there = leaders_in(after->word("leaders"));
    const auto were = leaders_in(before->word("leaders"));
    result.before = were.size();
    for (const auto& [name, led] : were)
      if (!there.contains(name)) missing.insert(name);
    result.events = {before->event_id, after->event_id};
  }
  if (after) {
    result.leaderless = after->number("leaderless");
    result.partitions = static_cast<uint64_t>(std::clamp(result.leaderless.value_or(0), 0.0, 1e9));
    for (const auto& [name, led] : leaders_in(after->word("leaders"))) result.partitions += led;
    if (!before) result.events = {after->event_id};
  }
  bool healed_all = !dossier.steps.empty();
  for (const StepView& step : dossier.steps) {
    if (step.effective) healed_all &= step.healed != nullptr;
    if (step.healed) result.events.push_back(step.healed->event_id);
    if (!stays_faulty(dossier, step)) continue;
    missing.insert(step.broker ? std::to_string(*step.broker) : "those of step " + step.plan->id);
    result.events.push_back(step.effective ? step.effective->event_id : step.heal_failed->event_id);
  }
  result.missing.assign(missing.begin(), missing.end());
  result.known = (before && after) || healed_all || !missing.empty();
  return result;
}

}  // namespace paceline::judge
