#include "judge/judge.h"

#include <algorithm>

#include "judge/clock.h"
#include "judge/dimensions.h"
#include "judge/dominant.h"
#include "judge/gaps.h"
#include "judge/groups.h"
#include "judge/junit.h"
#include "judge/ledger_check.h"
#include "judge/negative.h"
#include "judge/prometheus.h"
#include "judge/readiness.h"
#include "judge/recovery.h"
#include "judge/report_json.h"
#include "judge/screen.h"
#include "judge/series.h"
#include "judge/shown.h"
#include "judge/steps.h"
#include "judge/verdict.h"

namespace paceline::judge {

Result<Derived> judge(const Files& evidence) {
  TRY(const Dossier dossier, open_dossier(evidence));
  Strays strays;
  const Logs logs = logs_of(dossier, strays);
  const std::vector<Edge> edges = causal_edges(dossier);
  const Limits limits(dossier.run.limits);
  Report report;
  report.evidence = evidence_of(dossier, evidence, strays.strangers);
  report.clock = judge_clocks(dossier, edges);
  check_ledger(dossier, logs, strays, report);
  report.counts.rebalances_extra = group_losses(dossier).extra;
  judge_steps(dossier, logs, step_logs(dossier, logs), report);
  report.recovery = judge_recovery(dossier, report.partitions);
  report.readiness = judge_readiness(dossier);
  report.series = series_of(dossier, logs);
  report.dominant = dominant_of(dossier, report);
  for (StepRow& step : report.steps)
    if (const auto unit = dominant_of(dossier, report, step.id)) step.dominant = unit->unit;

  const Score score{dossier, logs, report, limits};
  report.scorecard = scorecard(score);
  report.negative = negative_tests(score, State::grey);
  const State worst = worst_of(score, report.negative);
  report.negative = negative_tests(score, worst);
  decide(score, worst, report);
  report.next_step = next_step(report);
  report.dimensions = dimensions_of(dossier, report);
  show(dossier, edges, report);

  Derived derived;
  derived.report_json = report_json(dossier, evidence, report);
  derived.junit_xml = junit_xml(dossier, report);
  derived.metrics_prom = metrics_prom(report);
  derived.verdict = report.verdict;
  derived.exit_code = report.exit_code;
  derived.sentence = report.sentence;
  derived.screen = screen(dossier, report);
  return derived;
}

}  // namespace paceline::judge
