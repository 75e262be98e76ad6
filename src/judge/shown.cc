#include "judge/shown.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "judge/manifest.h"

namespace paceline::judge {
namespace {

using evidence::Event;

constexpr size_t kEventsMax = 2'000;
constexpr std::string_view kEvidenceFiles[] = {"hooks.log", "ledger.bin", "plan.toml", "run.json",
                                               "timeline.ndjson"};
// Told each second, or by figures elsewhere.
constexpr std::string_view kLeftOut[] = {"consumer.lag", "business.stale", "clock.measured",
                                         "phase.began", "phase.ended"};

constexpr size_t kRanks = 5;

// What a figure is made of is shown before all.
using Named = std::set<std::string, std::less<>>;

size_t rank_of(const Event& event, const Named& named) {
  if (named.contains(event.event_id)) return 0;
  if (event.plane == "control" || event.plane == "storage") return 1;
  if (event.type == "client.error" || event.type == "group.rebalanced") return 2;
  return event.type == "leader.seen" || event.type == "broker.answers" ? 3 : 4;
}

Named named_by(const Report& report) {
  Named named;
  for (const Row& row : report.scorecard)
    for (const Figure& figure : row.figures)
      named.insert(figure.events.begin(), figure.events.end());
  for (const auto& [field, events] : report.recovery.events_of)
    named.insert(events.begin(), events.end());
  return named;
}

std::string words_of(const Event& event) {
  std::string text;
  const auto add = [&](std::string name, std::string_view value) {
    std::ranges::replace(name, '_', ' ');
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, value);
  };
  if (event.value) add("took", fmt::format("{:.3f} {}", *event.value, event.unit));
  if (!event.lane.empty()) add("lane", event.lane);
  if (event.leader_epoch) add("epoch", fmt::format("{}", *event.leader_epoch));
  for (const auto& [name, figure] : event.figures) {
    if (name == "own_t_mono_ns" || name == "step" || name == "phase") continue;
    std::visit(
        [&](const auto& value) {
          if constexpr (std::is_same_v<std::decay_t<decltype(value)>, double>) {
            add(name, fmt::format("{:.4g}", value));
          } else {
            add(name, fmt::format("{}", value));
          }
        },
        figure);
  }
  return text;
}

EventRow row_of(const Dossier& dossier, const Event& event) {
  EventRow row;
  row.event = event.event_id;
  row.source = event.source;
  row.plane = event.plane;
  row.type = event.type;
  row.text = words_of(event);
  row.topic = event.topic;
  row.cause = event.cause_id;
  row.ms = dossier.ms(event.t_mono_ns);
  if (event.clock_err_ns) row.err_ms = static_cast<double>(*event.clock_err_ns) / 1e6;
  row.partition = event.partition;
  return row;
}

void show_phases(const Dossier& dossier, Report& report) {
  for (const Event* event : dossier.all("phase.began")) {
    PhaseRow row;
    row.phase = event->word("phase");
    row.name = event->word("name");
    row.step = event->word("step");
    row.from_ms = dossier.ms(event->t_mono_ns);
    row.events = {event->event_id};
    for (const Event* ended : dossier.all("phase.ended"))
      if (!row.to_ms && ended->word("phase") == row.phase && ended->word("step") == row.step &&
          ended->t_mono_ns >= event->t_mono_ns) {
        row.to_ms = dossier.ms(ended->t_mono_ns);
        row.events.push_back(ended->event_id);
      }
    report.phases.push_back(std::move(row));
  }
}

// From 1 of the drill's own sources; what a broker had said before the drill listened is not
// missed.
std::map<std::string, uint64_t> holes_of(const Dossier& dossier) {
  std::map<std::string, std::set<uint64_t>> seen;
  for (const Event& event : dossier.events) seen[event.source].insert(event.source_seq);
  std::map<std::string, uint64_t> holes;
  for (const auto& [source, numbers] : seen) {
    const uint64_t first = source.starts_with("paceline:") ? *numbers.begin() : 1;
    const uint64_t due = *numbers.rbegin() - std::min(first, *numbers.begin());
    const uint64_t missing = due - (numbers.size() - 1);
    if (missing > 0) holes[source] = missing;
  }
  return holes;
}

}  // namespace

void show(const Dossier& dossier, const std::vector<Edge>& edges, Report& report) {
  show_phases(dossier, report);
  std::vector<const Event*> events = in_order(dossier, edges);
  const Named named = named_by(report);
  std::erase_if(events, [&](const Event* event) {
    return std::ranges::find(kLeftOut, event->type) != std::end(kLeftOut) &&
           !named.contains(event->event_id);
  });
  // The last rank that has a place for each of its events, and what of the next one comes first.
  size_t counts[kRanks] = {};
  for (const Event* event : events) ++counts[rank_of(*event, named)];
  size_t left = kEventsMax;
  size_t takes[kRanks] = {};
  for (size_t rank = 0; rank < kRanks; ++rank) {
    takes[rank] = std::min(counts[rank], left);
    left -= takes[rank];
  }
  for (const Event* event : events) {
    size_t& take = takes[rank_of(*event, named)];
    if (take == 0) {
      ++report.events_left_out;
      continue;
    }
    --take;
    report.events.push_back(row_of(dossier, *event));
  }
}

EvidenceRow evidence_of(const Dossier& dossier, const Files& files, uint64_t strangers) {
  EvidenceRow row;
  for (const std::string_view name : kEvidenceFiles)
    if (const auto file = files.find(std::string(name)); file != files.end())
      row.files.push_back({file->first, file->second.size(), sha256_of(file->second)});
  row.holes = holes_of(dossier);
  row.damaged_lines = dossier.damaged_lines.size();
  row.damaged_rows = dossier.ledger.damaged_rows + strangers;
  row.cut = dossier.ledger.cut;
  return row;
}

}  // namespace paceline::judge
