#pragma once

#include <optional>
#include <string>
#include <vector>

#include "judge/dossier.h"

namespace paceline::judge {

// Who is there in the end, as against before the first fault.
struct BrokersAfter {
  bool known = false;  // there is evidence of it
  uint64_t before = 0;
  std::vector<std::string> missing;
  std::optional<double> leaderless;
  uint64_t partitions = 0;  // with and without a leader, in the end
  std::vector<std::string> events;
};
BrokersAfter brokers_after(const Dossier& dossier);

// Its fault has to be taken back, and nobody saw that it was.
bool stays_faulty(const Dossier& dossier, const StepView& step);

}  // namespace paceline::judge
