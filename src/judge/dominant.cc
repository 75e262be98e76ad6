#include "judge/dominant.h"

#include <fmt/format.h>

#include <algorithm>

#include "judge/stats.h"

namespace paceline::judge {
namespace {

enum Unit { metadata, wal, cache, store_requests, retained_bytes, client_refresh, kUnits };
constexpr const char* kNames[] = {"metadata",       "wal",           "cache", "store_requests",
                                  "retained_bytes", "client_refresh"};
constexpr const char* kWhy[] = {
    "from the fault until others own its partitions",
    "sealing and reading what the old leader had not uploaded",
    "opening what was recovered",
    "reading directories from the object store",
    "copying what had been written before",
    "from the new leader's first answer until the last client was answered"};

double median(std::vector<double> samples) {
  if (samples.empty()) return 0;
  std::ranges::sort(samples);
  return nearest_rank(samples, 0.5);
}

class Intervals {
 public:
  Intervals(const Dossier& dossier, const Report& report, const std::string& step)
      : dossier_(dossier), report_(report) {
    for (const PartitionRow& row : report.partitions)
      if (row.step == step && row.concerned) rows_.push_back(&row);
    for (const StepView& view : dossier.steps)
      if (view.plan->id == step) step_ = &view;
  }

  std::optional<Dominant> dominant() const {
    if (rows_.empty()) return std::nullopt;
    double ms[kUnits] = {};
    ms[metadata] = between(0, 3);
    ms[store_requests] = directories_ms();
    ms[wal] = std::max(0.0, between(3, 5) - ms[store_requests]);
    // Without the target's own word, who answers late may open, read or copy: it is not known.
    ms[cache] = between(5, 6);
    // Who is answered through the old leader meanwhile does not wait.
    ms[client_refresh] = std::min(between(6, 9), longest_waits_ms());
    if (report_.recovery.historical_bytes_copied.value_or(0) > 0)
      ms[retained_bytes] = between(8, 13);
    double sum = 0;
    for (const double part : ms) sum += part;
    if (sum <= 0) return std::nullopt;
    const auto most = std::ranges::max_element(ms) - std::begin(ms);
    return Dominant{kNames[most], ms[most], ms[most] / sum, kWhy[most]};
  }

 private:
  double between(size_t from, size_t to) const {
    std::vector<double> samples;
    for (const PartitionRow* row : rows_) {
      const Milestone& a = row->milestones[from];
      const Milestone& b = row->milestones[to];
      if (a.known() && b.known()) samples.push_back(std::max(0.0, *b.ms - *a.ms));
    }
    return median(std::move(samples));
  }
  double longest_waits_ms() const {
    std::vector<double> samples;
    for (const PartitionRow* row : rows_)
      if (row->gap_last_ms) samples.push_back(*row->gap_last_ms);
    return median(std::move(samples));
  }
  double directories_ms() const {
    std::vector<double> samples;
    for (const evidence::Event* event : dossier_.all("lane.directories_read")) {
      const auto broker = broker_of_lane(event->lane.empty() ? event->cause_id : event->lane);
      if (event->value && event->unit == "ms" && step_ && broker && step_->about(*broker))
        samples.push_back(*event->value);
    }
    return median(std::move(samples));
  }

  const Dossier& dossier_;
  const Report& report_;
  const StepView* step_ = nullptr;
  std::vector<const PartitionRow*> rows_;
};

State state_of(const Report& report, std::string_view row) {
  const auto found = std::ranges::find(report.scorecard, row, &Row::id);
  return found == report.scorecard.end() ? State::grey : found->state;
}
const Row* worst_row(const Report& report, State state) {
  const auto found = std::ranges::find(report.scorecard, state, &Row::state);
  return found == report.scorecard.end() ? nullptr : &*found;
}

NextStep by_dominant(const Report& report) {
  const std::string& unit = report.dominant->unit;
  if (unit == "metadata")
    return {"automation",
            "Notice a failed leader sooner: most of the gap passed before others owned "
            "its partitions."};
  if (unit == "client_refresh")
    return {"runbook",
            "Have clients refresh their metadata sooner: brokers answered long before "
            "the last client asked them."};
  if (unit == "wal")
    return {"automation", "Upload more often, so that less of the log is left to be read."};
  if (unit == "store_requests")
    return {"automation",
            "Make a takeover ask the object store less: its requests took most of it."};
  if (unit == "retained_bytes")
    return {"architecture", "Ownership that moves without copying what had been written before."};
  return {"automation", "Open partitions sooner: that took most of the takeover."};
}

}  // namespace

std::optional<Dominant> dominant_of(const Dossier& dossier, const Report& report,
                                    const std::string& step) {
  return Intervals(dossier, report, step).dominant();
}

std::optional<Dominant> dominant_of(const Dossier& dossier, const Report& report) {
  const StepRow* slowest = nullptr;
  for (const StepRow& step : report.steps)
    if (step.gap.max && (!slowest || *step.gap.max > *slowest->gap.max)) slowest = &step;
  return slowest ? dominant_of(dossier, report, slowest->id) : std::nullopt;
}

NextStep next_step(const Report& report) {
  const Counts& counts = report.counts;
  if (counts.lost.value_or(0) > 0 || counts.duplicated > 0 || counts.damaged > 0 ||
      !report.anomalies.empty())
    return {"architecture",
            "Find out why the cluster broke a promise about records before anything "
            "else: `anomalies` has the first of them."};
  if (state_of(report, "rollback") == State::red)
    return {"runbook",
            "Give the rollback a point, a command, an owner and a rule, and rehearse it."};
  if (report.verdict == State::grey)
    return {"runbook", fmt::format("Gather what is missing, and run again: {}.", report.reason)};
  if (report.verdict == State::green)
    return {"none", "Nothing. Run it again when the cluster, its clients or its load change."};
  if (state_of(report, "leaders") != State::green && report.dominant) return by_dominant(report);
  if (state_of(report, "evidence") == report.verdict)
    return {"runbook",
            "Observe for longer, and let the target tell more: not all that happened was "
            "seen."};
  if (const Row* row = worst_row(report, report.verdict))
    return {"runbook", fmt::format("Bring this within its limit: {}, {}.", row->id, row->why)};
  for (const NegativeTest& test : report.negative)
    if (test.state == report.verdict)
      return {"runbook", fmt::format("Bring {} ({}) within its limits.", test.id, test.name)};
  return {"runbook", "Look at the steps that are not green."};
}

}  // namespace paceline::judge
