#include "judge/scorecard.h"

namespace paceline::judge {
namespace {

int64_t answers(const evidence::Event* event) {
  if (!event) return 0;
  return event->integer("allowed").value_or(0) + event->integer("denied").value_or(0);
}

// The last count up to then; nullptr: none.
const evidence::Event* counted(const Dossier& dossier, int64_t until_ns) {
  const evidence::Event* last = nullptr;
  for (const evidence::Event* event : dossier.all("rights.tried"))
    if (event->t_mono_ns <= until_ns) last = event;
  return last;
}

// Answered before the first fault, and after it: else nothing was held against anything.
bool compared(const Dossier& dossier) {
  for (const StepView& step : dossier.steps) {
    if (!step.effective) continue;
    const int64_t before = answers(counted(dossier, step.from_ns()));
    return before > 0 && answers(counted(dossier, dossier.end_ns)) > before;
  }
  return false;
}

}  // namespace

Row governance_row(const Score& score) {
  Row row;
  row.id = "governance";
  row.question = "Did governance hold?";
  const evidence::Event* all = counted(score.dossier, score.dossier.end_ns);
  if (!all || !compared(score.dossier)) {
    row.why = "no rights were tried before and after a fault in this run";
    return row;
  }
  Figure wrong =
      score.limits.judge("rights_wrong", all->number("wrong"), static_cast<uint64_t>(answers(all)));
  for (const evidence::Event* event : score.dossier.all("right.answered"))
    if (event->word("answer") != event->word("due")) wrong.events.push_back(event->event_id);
  if (wrong.events.empty()) wrong.events.push_back(all->event_id);
  row.figures.push_back(std::move(wrong));
  row.figures.push_back(
      from(score.limits.judge("rights_silent", all->number("silent"),
                              static_cast<uint64_t>(all->integer("rights").value_or(0))),
           {all->event_id}));
  settle(row);
  return row;
}

}  // namespace paceline::judge
