#include "judge/dossier.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "judge/manifest.h"

namespace paceline::judge {
namespace {

using evidence::Event;

Result<std::string_view> file_of(const Files& files, const char* name) {
  const auto found = files.find(name);
  if (found == files.end()) return fail(Code::corrupt, fmt::format("{} is not there", name));
  return std::string_view(found->second);
}

// Files may say anything; what is beyond all times and counts of a drill is cut there, so that sums
// and differences of what was read are numbers.
constexpr int64_t kTimeMax = int64_t{1} << 60;  // ns: 36 years
constexpr int64_t kCountMax = int64_t{1} << 50;

void bound(int64_t& value, int64_t most) {
  value = std::clamp(value, -most, most);
}

void bound(Event& event) {
  bound(event.t_mono_ns, kTimeMax);
  if (event.clock_err_ns)
    event.clock_err_ns = std::clamp<int64_t>(*event.clock_err_ns, 0, kTimeMax);
  for (auto& [name, figure] : event.figures)
    if (auto* number = std::get_if<int64_t>(&figure)) bound(*number, kCountMax);
}

void bound(evidence::LedgerRow& row) {
  bound(row.at_ns, kTimeMax);
  bound(row.intended_ns, kTimeMax);
  bound(row.offset, kTimeMax);
  bound(row.amount, kCountMax);
}

// What a broker said may come twice.
void drop_repeated(std::vector<Event>& events) {
  std::set<std::pair<std::string_view, uint64_t>> seen;
  std::vector<bool> again;
  for (const Event& event : events)
    again.push_back(!seen.insert({event.source, event.source_seq}).second);
  size_t at = 0;
  std::erase_if(events, [&](const Event&) { return again[at++]; });
}

const Event* of_step(const Dossier& dossier, std::string_view type, const std::string& step) {
  for (const Event* event : dossier.all(type))
    if (event->word("step") == step) return event;
  return nullptr;
}

void find_brokers(const evidence::Run& run, StepView& step) {
  const Event* told = step.effective ? step.effective : step.commanded;
  if (!told) return;
  if (const auto broker = told->integer("broker"); broker && *broker >= 0 && *broker <= INT32_MAX)
    step.broker = static_cast<int32_t>(*broker);
  step.zone = told->word("zone");
  if (step.broker) {
    step.brokers.push_back(*step.broker);
  } else if (!step.zone.empty()) {
    for (const auto& broker : run.target.brokers)
      if (broker.rack == step.zone) step.brokers.push_back(broker.id);
  }
}

void open_steps(Dossier& dossier) {
  for (const auto& plan : dossier.run.plan.steps) {
    StepView step;
    step.plan = &plan;
    step.commanded = of_step(dossier, "fault.commanded", plan.id);
    step.effective = of_step(dossier, "fault.effective", plan.id);
    step.not_effective = of_step(dossier, "fault.not_effective", plan.id);
    step.heal_commanded = of_step(dossier, "fault.heal_commanded", plan.id);
    step.healed = of_step(dossier, "fault.healed", plan.id);
    step.heal_failed = of_step(dossier, "fault.heal_failed", plan.id);
    find_brokers(dossier.run, step);
    step.began_ns = dossier.phase_ns("phase.began", "P3", plan.id);
    if (!step.began_ns && step.commanded) step.began_ns = step.commanded->t_mono_ns;
    if (!step.began_ns && step.effective) step.began_ns = step.effective->t_mono_ns;
    dossier.steps.push_back(std::move(step));
  }
  // What a step's own phases do not end, the next step or the clean-up does.
  int64_t next = dossier.phase_ns("phase.began", "P6").value_or(dossier.end_ns);
  for (auto step = dossier.steps.rbegin(); step != dossier.steps.rend(); ++step) {
    const auto observed = dossier.phase_ns("phase.ended", "P4", step->plan->id);
    const auto healed = dossier.phase_ns("phase.ended", "P5", step->plan->id);
    step->end_ns = observed.value_or(next);
    step->last_ns = std::max(step->end_ns, healed.value_or(next));
    if (step->began_ns) next = *step->began_ns;
  }
}

void open_times(Dossier& dossier) {
  for (const Event& event : dossier.events)
    dossier.end_ns = std::max(dossier.end_ns, event.t_mono_ns);
  for (const auto& row : dossier.ledger.rows) dossier.end_ns = std::max(dossier.end_ns, row.at_ns);
  const Event* effective = dossier.first("fault.effective");
  const Event* began = dossier.first("run.began");
  dossier.zero_ns = effective ? effective->t_mono_ns
                    : began   ? began->t_mono_ns
                              : dossier.run.began_ns;
  const Event* commanded = dossier.first("fault.commanded");
  const int64_t until = commanded ? commanded->t_mono_ns : dossier.zero_ns;
  dossier.baseline_to_ns = std::min(dossier.phase_ns("phase.ended", "P2").value_or(until), until);
  int64_t first_sent = dossier.baseline_to_ns;
  for (const auto& row : dossier.ledger.rows) first_sent = std::min(first_sent, row.at_ns);
  dossier.baseline_from_ns = dossier.phase_ns("phase.began", "P2").value_or(first_sent);
}

}  // namespace

bool StepView::about(int32_t which) const {
  return std::ranges::find(brokers, which) != brokers.end();
}

int64_t StepView::from_ns() const {
  const int64_t t0 = effective->t_mono_ns;
  return commanded ? std::min(commanded->t_mono_ns, t0) : t0;
}

const std::vector<const Event*>& Dossier::all(std::string_view type) const {
  static const std::vector<const Event*> kNone;
  const auto found = by_type.find(type);
  return found == by_type.end() ? kNone : found->second;
}

const Event* Dossier::first(std::string_view type) const {
  const auto& events_of_type = all(type);
  return events_of_type.empty() ? nullptr : events_of_type.front();
}

std::optional<int64_t> Dossier::phase_ns(std::string_view type, std::string_view phase,
                                         std::string_view step) const {
  for (const Event* event : all(type))
    if (event->word("phase") == phase && (step.empty() || event->word("step") == step))
      return event->t_mono_ns;
  return std::nullopt;
}

std::optional<int32_t> broker_of_lane(std::string_view lane) {
  if (const size_t colon = lane.find(':'); colon != std::string_view::npos)
    lane.remove_prefix(colon + 1);
  int32_t broker = -1;
  const auto parsed = std::from_chars(lane.data(), lane.data() + lane.size(), broker);
  const size_t digits = static_cast<size_t>(parsed.ptr - lane.data());
  if (parsed.ec != std::errc{} || broker < 0) return std::nullopt;
  if (digits < lane.size() && lane[digits] != '.') return std::nullopt;
  return broker;
}

Result<Dossier> open_dossier(const Files& evidence) {
  TRY(const auto run_json, file_of(evidence, "run.json"));
  TRY(const auto timeline_text, file_of(evidence, "timeline.ndjson"));
  TRY(const auto ledger_bytes, file_of(evidence, "ledger.bin"));
  Dossier dossier;
  TRY(dossier.run, evidence::parse_run(run_json));
  TRY(dossier.ledger, evidence::parse_ledger(ledger_bytes));
  auto timeline = evidence::parse_timeline(timeline_text);
  if (timeline.events.empty() && !timeline_text.empty())
    return fail(Code::corrupt, "timeline.ndjson has no line that is an event");
  dossier.events = std::move(timeline.events);
  dossier.damaged_lines = std::move(timeline.damaged_lines);
  drop_repeated(dossier.events);
  for (Event& event : dossier.events) bound(event);
  for (auto& row : dossier.ledger.rows) bound(row);
  bound(dossier.run.began_ns, kTimeMax);
  if (const auto plan = evidence.find("plan.toml"); plan != evidence.end())
    dossier.plan_sha256 = sha256_of(plan->second);
  for (const Event& event : dossier.events) {
    dossier.by_type[event.type].push_back(&event);
    if (!event.topic.empty() && event.partition)
      dossier.of_partition[{event.topic, *event.partition}].push_back(&event);
  }
  open_times(dossier);
  open_steps(dossier);
  return dossier;
}

}  // namespace paceline::judge
