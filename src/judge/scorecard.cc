#include "judge/scorecard.h"

#include <fmt/format.h>

#include <algorithm>

namespace paceline::judge {
namespace {

constexpr std::string_view kRequired[] = {"leaders", "storage", "rollback", "evidence", "business"};

}  // namespace

bool leaders_moved(const Report& report) {
  return std::ranges::any_of(report.partitions, &PartitionRow::concerned);
}

bool is_required(const evidence::Run& run, const Report& report, const std::string& row) {
  const auto& set = run.plan.requires_rows;
  if (!set.empty()) return std::ranges::find(set, row) != set.end();
  if (row == "storage" && !report.steps.empty() && !leaders_moved(report)) return false;
  return std::ranges::find(kRequired, row) != std::end(kRequired);
}

void settle(Row& row) {
  row.state = State::green;
  const Figure* worst = nullptr;
  bool any = false;
  for (const Figure& figure : row.figures) {
    if (figure.state == State::grey && !figure.required) continue;
    any = true;
    if (!worst || worse(figure.state, row.state) != row.state) worst = &figure;
    row.state = worse(row.state, figure.state);
  }
  if (!any) row.state = State::grey;
  if (!worst || row.state == State::green) {
    if (row.why.empty()) row.why = any ? "all within their limits" : "no evidence";
  } else if (row.state == State::grey) {
    row.why = fmt::format("no evidence: {}", worst->name);
  } else {
    row.why = fmt::format("{}: {}", worst->name,
                          worst->value ? in_words(*worst->value, worst->unit) : "none");
    if (!worst->green.empty()) row.why += fmt::format(" (green: {})", worst->green);
  }
}

Figure from(Figure figure, std::vector<std::string> events, std::vector<std::string> files) {
  figure.events = std::move(events);
  figure.files = std::move(files);
  return figure;
}

std::vector<std::string> faults_of(const Dossier& dossier, std::optional<bool> planned) {
  std::vector<std::string> events;
  for (const StepView& step : dossier.steps)
    if (step.effective && (!planned || step.plan->planned == *planned))
      events.push_back(step.effective->event_id);
  return events;
}

std::vector<Row> scorecard(const Score& score) {
  return {leaders_row(score),  storage_row(score),  capacity_row(score), governance_row(score),
          rollback_row(score), evidence_row(score), business_row(score)};
}

}  // namespace paceline::judge
