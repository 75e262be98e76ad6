#include <algorithm>
#include <set>

#include "judge/scorecard.h"

namespace paceline::judge {
namespace {

// The rule is evaluated at these seconds after each fault, as far as it is observed.
constexpr int64_t kRulesAtS[] = {30, 60, 120};
constexpr int64_t kSecond = 1'000'000'000;

struct Decisions {
  uint64_t due = 0, missing = 0;
  std::vector<std::string> events;
};

Decisions decisions(const Dossier& dossier) {
  Decisions result;
  for (const StepView& step : dossier.steps) {
    if (!step.effective) continue;
    const int64_t t0 = step.effective->t_mono_ns;
    for (const int64_t at_s : kRulesAtS) {
      // What ends just then has not been due.
      if (step.end_ns - t0 < (at_s + 1) * kSecond) continue;
      ++result.due;
      const evidence::Event* found = nullptr;
      for (const evidence::Event* event : dossier.all("rollback.evaluated"))
        if (event->integer("at_s") == at_s && event->t_mono_ns >= t0 &&
            event->t_mono_ns <= step.last_ns)
          found = event;
      if (found) {
        result.events.push_back(found->event_id);
      } else {
        ++result.missing;
      }
    }
  }
  return result;
}

}  // namespace

Row rollback_row(const Score& score) {
  const auto& rollback = score.dossier.run.rollback;
  Row row;
  row.id = "rollback";
  row.question = "Was rollback decided, not improvised?";
  const std::initializer_list<const std::string*> fields = {&rollback.point, &rollback.command,
                                                            &rollback.owner, &rollback.rule};
  const auto missing =
      std::ranges::count_if(fields, [](const std::string* field) { return field->empty(); });
  row.figures.push_back(
      from(score.limits.judge("rollback_missing", static_cast<double>(missing), fields.size()), {},
           {"run.json"}));

  const Decisions decided = decisions(score.dossier);
  if (decided.due > 0) {
    row.figures.push_back(score.limits.judge("rollback_undecided",
                                             static_cast<double>(decided.missing), decided.due));
    row.figures.back().events = decided.events;
  }

  std::optional<double> took;
  uint64_t differs = 0;
  std::vector<std::string> events;
  for (const evidence::Event* event : score.dossier.all("rollback.done")) {
    if (event->value) took = std::max(took.value_or(0), *event->value);
    differs += !event->flag("equal").value_or(false);
    events.push_back(event->event_id);
  }
  const bool told = took.has_value();
  if (!told && rollback.rehearsed_ms && !rollback.rehearsed.empty())
    took = static_cast<double>(*rollback.rehearsed_ms);
  row.figures.push_back(
      told || !took ? from(score.limits.judge("rollback_ms", took, events.size()), events)
                    : from(score.limits.judge("rollback_ms", took, 1), events, {"run.json"}));
  if (!events.empty()) {
    row.figures.push_back(
        score.limits.judge("rollback_differs", static_cast<double>(differs), events.size()));
    row.figures.back().events = events;
  }
  settle(row);
  return row;
}

}  // namespace paceline::judge
