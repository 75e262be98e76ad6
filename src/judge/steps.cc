#include "judge/steps.h"

#include <algorithm>

#include "judge/brokers.h"
#include "judge/limits.h"
#include "judge/milestones.h"
#include "judge/stats.h"

namespace paceline::judge {
namespace {

// Partitions that the fault did not concern are told as long as there are few.
constexpr size_t kUnconcernedMax = 1'000;

struct Samples {
  std::vector<double> gap, detect, own, hop, gap_first, gap_last, settle, storage_tail;
};

void between(const Milestones& milestones, size_t from, size_t to, std::vector<double>& samples) {
  if (milestones[from].known() && milestones[to].known())
    samples.push_back(std::max(0.0, *milestones[to].ms - *milestones[from].ms));
}

PartitionRow partition_row(const Dossier& dossier, const StepLog& log,
                           const StepMilestones& shared) {
  PartitionRow row;
  row.step = log.step->plan->id;
  row.topic = dossier.run.topics[log.log->topic].name;
  row.partition = log.log->partition;
  row.from = log.before;
  row.to = log.after;
  row.concerned = log.concerned;
  for (const Wait& wait : log.waits) {
    if (wait.excepted) continue;
    row.gap_ms = std::min(row.gap_ms.value_or(wait.ms()), wait.ms());
    row.gap_last_ms = std::max(row.gap_last_ms.value_or(0), wait.ms());
  }
  row.milestones = milestones_of(dossier, log, shared);
  return row;
}

void sample(const PartitionRow& row, Samples& samples) {
  if (row.gap_ms) samples.gap_first.push_back(*row.gap_ms);
  if (row.gap_last_ms) samples.gap_last.push_back(*row.gap_last_ms);
  between(row.milestones, 0, 2, samples.detect);
  between(row.milestones, 2, 6, samples.own);
  between(row.milestones, 6, 9, samples.hop);
  between(row.milestones, 8, 11, samples.settle);
  between(row.milestones, 8, 13, samples.storage_tail);
}

void set(Samples samples, StepRow& row) {
  row.gap = quantiles_of(std::move(samples.gap));
  row.detect = quantiles_of(std::move(samples.detect));
  row.own = quantiles_of(std::move(samples.own));
  row.hop = quantiles_of(std::move(samples.hop));
  row.gap_first = quantiles_of(std::move(samples.gap_first));
  row.gap_last = quantiles_of(std::move(samples.gap_last));
  row.settle = quantiles_of(std::move(samples.settle));
  row.storage_tail = quantiles_of(std::move(samples.storage_tail));
}

StepRow step_row(const Dossier& dossier, const StepView& view) {
  StepRow row;
  row.id = view.plan->id;
  row.fault = view.plan->fault;
  row.test = view.plan->test;
  row.planned = view.plan->planned;
  row.broker = view.broker;
  if (view.effective) row.effective_ms = dossier.ms(view.effective->t_mono_ns);
  if (view.healed) row.healed_ms = dossier.ms(view.healed->t_mono_ns);
  return row;
}

}  // namespace

void judge_steps(const Dossier& dossier, const Logs& logs, const std::vector<StepLog>& step_logs,
                 Report& report) {
  const Limits limits(dossier.run.limits);
  std::vector<double> all, planned, unplanned;
  for (const StepView& view : dossier.steps) {
    StepRow row = step_row(dossier, view);
    Samples samples;
    bool open = false;  // a client was not answered any more
    // Where no leader was to move, whoever waits is concerned.
    const bool leaders_moved = std::ranges::any_of(
        step_logs, [&](const StepLog& log) { return log.step == &view && log.concerned; });
    if (view.effective) {
      const StepMilestones shared = step_milestones(dossier, logs, view);
      for (const StepLog& log : step_logs) {
        if (log.step != &view) continue;
        PartitionRow partition = partition_row(dossier, log, shared);
        const bool counts = log.concerned || !leaders_moved;
        for (const Wait& wait : log.waits) {
          if (wait.excepted) continue;
          if (counts) {
            samples.gap.push_back(wait.ms());
            open |= wait.first == nullptr;
          } else {
            row.wait_elsewhere_ms = std::max(row.wait_elsewhere_ms.value_or(0), wait.ms());
            ++report.waits_elsewhere;
          }
        }
        if (log.concerned) sample(partition, samples);
        if (log.concerned || step_logs.size() <= kUnconcernedMax)
          report.partitions.push_back(std::move(partition));
      }
    }
    auto& kind = view.plan->planned ? planned : unplanned;
    kind.insert(kind.end(), samples.gap.begin(), samples.gap.end());
    all.insert(all.end(), samples.gap.begin(), samples.gap.end());
    set(std::move(samples), row);
    if (view.effective)
      row.state =
          limits.judge(row.planned ? "gap_planned_ms" : "gap_unplanned_ms", row.gap.worst()).state;
    if (open || stays_faulty(dossier, view)) row.state = State::red;
    if (row.wait_elsewhere_ms)
      report.wait_elsewhere_ms =
          std::max(report.wait_elsewhere_ms.value_or(0), *row.wait_elsewhere_ms);
    report.steps.push_back(std::move(row));
  }
  report.gap = quantiles_of(std::move(all));
  report.gap_planned = quantiles_of(std::move(planned));
  report.gap_unplanned = quantiles_of(std::move(unplanned));
}

}  // namespace paceline::judge
