#pragma once

#include <vector>

#include "judge/gaps.h"
#include "judge/model.h"

namespace paceline::judge {

// What all partitions of a step share: the load's latency and the business.
struct StepMilestones {
  Milestone settled;   // t11
  Milestone business;  // t12
};
StepMilestones step_milestones(const Dossier& dossier, const Logs& logs, const StepView& step);

// t0 to t13 of one partition: docs/format/drill.md.
Milestones milestones_of(const Dossier& dossier, const StepLog& log, const StepMilestones& shared);

// A step's staleness limit of t12 and of the business row's default.
inline constexpr double kStalenessLimitMs = 2'000;

}  // namespace paceline::judge
