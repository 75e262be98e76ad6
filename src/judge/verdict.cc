#include "judge/verdict.h"

#include <fmt/format.h>

#include <algorithm>

namespace paceline::judge {
namespace {

constexpr int kExitRed = 4, kExitRefused = 6, kExitGrey = 7;

bool ran(const NegativeTest& test) {
  return test.measured != "did not run";
}

// Ended before its end: what it proves, it does not prove in whole.
bool is_cut_short(const evidence::Run& run) {
  return run.ended.empty() || (run.outcome != "completed" && run.outcome != "guarded");
}

// What is proved counts, whoever asked for it; where nothing is, it depends on whether it is
// needed.
bool counts(const evidence::Run& run, const Report& report, const Row& row) {
  return row.state != State::grey || is_required(run, report, row.id);
}

std::string why(const Score& score, const Report& report) {
  const evidence::Run& run = score.dossier.run;
  std::string reasons;
  const auto add = [&](std::string_view reason) {
    if (!reasons.empty()) reasons += "; ";
    reasons += reason;
  };
  if (run.outcome == "refused") {
    add(run.reason.empty() ? "refused" : run.reason);
    return reasons;
  }
  if (is_cut_short(run) && report.verdict == State::grey)
    add(run.ended.empty() ? "the drill was killed"
                          : fmt::format("the run was {}{}{}", run.outcome,
                                        run.reason.empty() ? "" : ": ", run.reason));
  for (const Row& row : report.scorecard)
    if (row.state == report.verdict && row.state != State::green && counts(run, report, row))
      add(fmt::format("{}: {}", row.id, row.why));
  for (const NegativeTest& test : report.negative)
    if (test.state == report.verdict && test.state != State::green && ran(test))
      add(fmt::format("{}: {}", test.id, test.measured));
  return reasons.empty() ? "all that the plan requires is green" : reasons;
}

std::string sentence(const Score& score, const Report& report) {
  const evidence::Run& run = score.dossier.run;
  std::string text(name_of(report.verdict));
  std::ranges::transform(text, text.begin(),
                         [](char c) { return static_cast<char>(c - 'a' + 'A'); });
  if (run.outcome == "refused") return fmt::format("{}: refused, nothing was injected", text);
  if (report.gap.max)
    text +=
        fmt::format(": client gap {}{}, N {}",
                    report.gap.p99 ? fmt::format("p99 {}, max ", in_words(*report.gap.p99, "ms"))
                                   : std::string("max "),
                    in_words(*report.gap.max, "ms"), report.gap.samples);
  text += fmt::format("; {} acknowledged, {} lost, {} duplicated", report.counts.acked,
                      report.counts.lost ? fmt::format("{}", *report.counts.lost) : "unknown",
                      report.counts.duplicated);
  // Of nothing in N trials, at most three in N are to be believed.
  if (report.counts.lost == 0u && report.counts.acked > 0)
    text += fmt::format(" (loss below {:.2g} a record, 95 %)",
                        3.0 / static_cast<double>(report.counts.acked));
  if (report.dominant) text += fmt::format("; most of it {}", report.dominant->unit);
  if (run.target.external_only) text += "; external evidence only";
  return text;
}

}  // namespace

State worst_of(const Score& score, const std::vector<NegativeTest>& tests) {
  State worst = State::green;
  for (const Row& row : score.report.scorecard)
    if (counts(score.dossier.run, score.report, row)) worst = worse(worst, row.state);
  for (const NegativeTest& test : tests)
    if (test.id != "N8" && ran(test)) worst = worse(worst, test.state);
  // A guard healed and gave up, whatever was measured until then.
  if (score.dossier.run.outcome == "guarded" || score.dossier.first("guard.tripped"))
    worst = State::red;
  for (const StepRow& step : score.report.steps)
    if (step.state == State::red) worst = State::red;
  if (is_cut_short(score.dossier.run) && worst != State::red) worst = State::grey;
  return worst;
}

void decide(const Score& score, State worst, Report& report) {
  const evidence::Run& run = score.dossier.run;
  report.verdict = worst;
  // A drill that does not notice what it falsifies itself proves nothing of others.
  for (const NegativeTest& test : report.negative)
    if (test.id == "N8" && test.state == State::red) report.verdict = State::red;
  if (run.outcome == "refused") report.verdict = State::grey;
  switch (report.verdict) {
    case State::green:
    case State::amber:
      report.exit_code = 0;
      break;
    case State::red:
      report.exit_code = kExitRed;
      break;
    case State::grey:
      report.exit_code = run.outcome == "refused" ? kExitRefused : kExitGrey;
      break;
  }
  report.reason = why(score, report);
  report.sentence = sentence(score, report);
}

}  // namespace paceline::judge
