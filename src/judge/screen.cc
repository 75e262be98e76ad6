#include "judge/screen.h"

#include <fmt/format.h>

#include <algorithm>

#include "judge/limits.h"
#include "judge/scorecard.h"

namespace paceline::judge {
namespace {

constexpr size_t kColumns = 80;

// Broken between words; what follows the first line is indented.
std::string wrapped(std::string_view text, size_t indent) {
  std::string out;
  std::string line;
  const auto flush = [&] {
    while (!line.empty() && line.back() == ' ') line.pop_back();
    out += line + "\n";
    line = std::string(indent, ' ');
  };
  while (!text.empty()) {
    size_t end = std::min(text.find(' '), text.size());
    std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.size() + word.size() > kColumns && line.size() > indent) flush();
    // A word that has no room in any line is cut.
    while (line.size() + word.size() > kColumns) {
      const size_t room = kColumns - line.size();
      line += word.substr(0, room);
      word.remove_prefix(room);
      flush();
    }
    line += word;
    if (line.size() < kColumns) line += ' ';
  }
  if (line.find_first_not_of(' ') != std::string::npos) flush();
  return out;
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) out += c >= 0x20 && c < 0x7f ? c : '?';
  return out;
}

std::string line_of(const char* name, const Quantiles& gap) {
  if (!gap.max) return {};
  return fmt::format("  {:<10} p50 {:>9}   p99 {:>9}   max {:>9}   N {}\n", name,
                     in_words(*gap.p50, "ms"), gap.p99 ? in_words(*gap.p99, "ms") : "N < 299",
                     in_words(*gap.max, "ms"), gap.samples);
}

}  // namespace

std::string screen(const Dossier& dossier, const Report& report) {
  const auto& run = dossier.run;
  std::string text = wrapped(printable(report.sentence), 2);
  text +=
      wrapped(printable(fmt::format("{}, plan {}, {}{}{} at {}, seed {}", run.run_id, run.plan.name,
                                    run.target.profile, run.target.version.empty() ? "" : " ",
                                    run.target.version, run.target.bootstrap, run.seed)),
              2);
  text += wrapped(printable(fmt::format("rollback: {}, owner {}",
                                        run.rollback.point.empty() ? "none" : run.rollback.point,
                                        run.rollback.owner.empty() ? "none" : run.rollback.owner)),
                  2);
  if (report.gap.max) {
    text += "\nclient gap\n";
    text += line_of("planned", report.gap_planned);
    text += line_of("unplanned", report.gap_unplanned);
  }
  text += "\nscorecard\n";
  for (const Row& row : report.scorecard)
    text +=
        wrapped(printable(fmt::format("  {:<5} {:<11} {}{}", name_of(row.state), row.id, row.why,
                                      is_required(run, report, row.id) ? "" : " (not required)")),
                20);
  text += "\nnegative tests\n";
  for (const NegativeTest& test : report.negative)
    if (test.measured != "did not run")
      text += wrapped(
          printable(fmt::format("  {:<5} {:<11} {}", name_of(test.state), test.id, test.measured)),
          20);
  for (const AnomalyRow& anomaly : report.anomalies) {
    text += "\n" + wrapped(printable(fmt::format("{} {}-{}: {}", anomaly.name, anomaly.topic,
                                                 anomaly.partition.value_or(-1), anomaly.what)),
                           2);
    if (report.anomalies.size() > 1)
      text += fmt::format("  and {} more\n", report.anomalies.size() - 1);
    break;
  }
  if (report.dominant)
    text +=
        "\n" +
        wrapped(printable(fmt::format("most of the time: {}, {} ({:.0f} %): {}",
                                      report.dominant->unit, in_words(report.dominant->ms, "ms"),
                                      report.dominant->share * 100, report.dominant->why)),
                2);
  text += wrapped(printable(fmt::format("next: {}", report.next_step.text)), 2);
  return text;
}

}  // namespace paceline::judge
