#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "evidence/event.h"
#include "evidence/ledger.h"
#include "evidence/run.h"
#include "judge/judge.h"

namespace paceline::judge {

// One step of the plan, as far as it came. Times on the drill's clock.
struct StepView {
  const evidence::Run::Step* plan = nullptr;
  const evidence::Event* commanded = nullptr;  // nullptr: not told, here and below
  const evidence::Event* effective = nullptr;
  const evidence::Event* not_effective = nullptr;
  const evidence::Event* heal_commanded = nullptr;
  const evidence::Event* healed = nullptr;
  const evidence::Event* heal_failed = nullptr;
  std::optional<int32_t> broker;  // the fault's, if it is about one
  std::vector<int32_t> brokers;   // all that it is about: a zone has several
  std::string zone;
  std::optional<int64_t> began_ns;  // of P3
  int64_t end_ns = 0;               // of the observation
  int64_t last_ns = 0;              // of all that belongs to the step

  bool about(int32_t which) const;
  // From when on what happens may be the step's doing: its command, which is before it is observed.
  // REQUIRES: it took effect.
  int64_t from_ns() const;
};

// All the evidence, opened: what the phases of the verdict read.
struct Dossier {
  Dossier() = default;
  Dossier(Dossier&&) = default;
  Dossier& operator=(Dossier&&) = default;
  Dossier(const Dossier&) = delete;  // steps point into it
  Dossier& operator=(const Dossier&) = delete;

  evidence::Run run;
  std::vector<evidence::Event> events;  // each once, in the order of lines
  std::vector<uint64_t> damaged_lines;
  evidence::Ledger ledger;
  std::string plan_sha256;  // of plan.toml; empty: it is not there
  std::vector<StepView> steps;
  // Those about one partition, by topic and partition, in the order of lines.
  std::map<std::pair<std::string, int32_t>, std::vector<const evidence::Event*>> of_partition;
  std::map<std::string, std::vector<const evidence::Event*>, std::less<>> by_type;
  int64_t zero_ns = 0;  // of the report's milliseconds
  int64_t end_ns = 0;   // of all that was seen
  int64_t baseline_from_ns = 0, baseline_to_ns = 0;

  double ms(int64_t ns) const { return static_cast<double>(ns - zero_ns) / 1e6; }
  // nullptr: none.
  const evidence::Event* first(std::string_view type) const;
  const std::vector<const evidence::Event*>& all(std::string_view type) const;
  std::optional<int64_t> phase_ns(std::string_view type, std::string_view phase,
                                  std::string_view step = {}) const;
};

// corrupt: run.json, timeline.ndjson or ledger.bin is not there or is none.
Result<Dossier> open_dossier(const Files& evidence);

// Of "1.7" or "paceline:1.7": the broker. Nothing: no lane.
std::optional<int32_t> broker_of_lane(std::string_view lane);

}  // namespace paceline::judge
