#include <fmt/format.h>

#include "drill/run.h"
#include "drill/wall_time.h"

namespace paceline::drill {
namespace {

std::string outcome_of(Halt halt) {
  switch (halt) {
    case Halt::none:
      return "completed";
    case Halt::interrupted:
      return "interrupted";
    case Halt::guarded:
      return "guarded";
    case Halt::refused:
      return "refused";
    case Halt::failed:
      return "failed";
  }
  return "failed";
}

Task<void> do_phases(Course& course) {
  co_await plan_phase(course);
  if (!course.stopped()) co_await choose_transactions(course);
  if (course.stopped()) co_return;
  co_await readiness_phase(course);
  if (!course.stopped()) co_await baseline_phase(course);
  const std::vector<Hit> hits = course.hits;
  for (const Hit& hit : hits) {
    if (course.stopped()) break;
    for (const Plan::Step& step : course.plan.steps)
      if (step.id == hit.step) co_await fault_phases(course, hit, step);
  }
  // Whatever has happened: what we made goes, and what was acknowledged is looked for.
  co_await cleanup_phase(course);
  co_await read_back_phase(course);
  course.heed_interrupt();
}

}  // namespace

Task<void> run_phases(Course& course) {
  course.run.began = rfc3339(course.shard.wall_ms());
  course.run.began_ns = course.shard.now().since_start.count();
  course.keeper->describe(course.run);
  course.add(course.event("run.began"));
  co_await do_phases(course);
  co_await course.watchdog->end();
  course.run.outcome = outcome_of(course.halt);
  course.run.reason = course.reason;
  auto ended = course.event("run.ended");
  ended.figures["outcome"] = course.run.outcome;
  course.add(std::move(ended));
  course.run.ended = rfc3339(course.shard.wall_ms());
  course.run.ended_ns = course.shard.now().since_start.count();
  course.keeper->describe(course.run);
  (void)co_await course.keeper->flush();
}

}  // namespace paceline::drill
