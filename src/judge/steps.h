#pragma once

#include "judge/gaps.h"
#include "judge/model.h"

namespace paceline::judge {

// Steps and partitions of the report, and the gaps over all of them.
void judge_steps(const Dossier& dossier, const Logs& logs, const std::vector<StepLog>& step_logs,
                 Report& report);

}  // namespace paceline::judge
