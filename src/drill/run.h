#pragma once

#include "drill/course.h"
#include "drill/hooks.h"

namespace paceline::drill {

// All phases of a run that has a target, a watchdog, a keeper and a load to start; on return its
// evidence is whole. The judge is not asked.
Task<void> run_phases(Course& course);

// What of run.json is known before anything is looked at.
evidence::Run run_of(env::Disk& disk, const Plan& plan, const std::string& plan_text,
                     const RunOptions& options, const std::string& run_id);

// What makes a run with this seed again, for a shell, without secrets.
std::string command_of(const Plan& plan, const RunOptions& options);

// A plan by its name or its path, with what the options change in it. invalid_argument: all that is
// wrong, one sentence a line.
Result<std::pair<Plan, std::string>> load_plan(env::Disk& disk, const RunOptions& options);

// The cluster that the options mean. unsupported: the drill cannot ask it as the plan's clients do.
Task<Result<std::unique_ptr<Target>>> open_target(env::Shard& shard, const RunOptions& options,
                                                  const Plan& plan, HookLog log);

}  // namespace paceline::drill
