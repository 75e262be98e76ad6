#include "judge/brokers.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace paceline::judge {

bool stays_faulty(const Dossier& dossier, const StepView& step) {
  if (step.heal_failed && !step.healed) return true;
  if (!step.effective || step.healed) return false;
  if (step.heal_commanded) return dossier.run.outcome == "completed";
  // What was planned may stay as it is, and a storm of clients heals itself.
  return dossier.run.outcome == "completed" && !step.plan->planned && step.plan->test != "N4";
}

std::vector<std::string> brokers_of(std::string_view leaders) {
  std::vector<std::string> names;
  const auto json = nlohmann::json::parse(leaders, nullptr, false);
  if (!json.is_object()) return names;
  for (const auto& [name, led] : json.items()) names.push_back(name);
  return names;
}

namespace {

uint64_t led(std::string_view leaders) {
  uint64_t sum = 0;
  const auto json = nlohmann::json::parse(leaders, nullptr, false);
  if (!json.is_object()) return sum;
  for (const auto& [name, count] : json.items())
    if (count.is_number_unsigned()) sum += count.get<uint32_t>();
  return sum;
}

}  // namespace

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
    const auto there = brokers_of(after->word("leaders"));
    const auto were = brokers_of(before->word("leaders"));
    result.before = were.size();
    for (const std::string& name : were)
      if (std::ranges::find(there, name) == there.end()) missing.insert(name);
    result.events = {before->event_id, after->event_id};
  }
  if (after) {
    result.leaderless = after->number("leaderless");
    result.partitions = led(after->word("leaders")) +
                        static_cast<uint64_t>(std::clamp(result.leaderless.value_or(0), 0.0, 1e9));
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
