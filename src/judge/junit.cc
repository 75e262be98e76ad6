#include "judge/junit.h"

#include <fmt/format.h>

#include "judge/limits.h"
#include "judge/scorecard.h"

namespace paceline::judge {
namespace {

// Without what XML cannot hold at all.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out +=
            static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f ? ' ' : c;
    }
  }
  return out;
}

struct Case {
  std::string name, measured, limit;
  State state = State::grey;
};

std::string suite(std::string_view name, const std::vector<Case>& cases,
                  std::string_view properties = {}) {
  size_t failures = 0, skipped = 0;
  std::string body;
  for (const Case& one : cases) {
    body +=
        fmt::format("    <testcase classname=\"drill.{}\" name=\"{}\"", name, escaped(one.name));
    if (one.state == State::red) {
      ++failures;
      body += fmt::format(">\n      <failure message=\"{}\">limit: {}</failure>\n    </testcase>\n",
                          escaped(one.measured), escaped(one.limit));
    } else if (one.state == State::grey) {
      ++skipped;
      body += fmt::format(">\n      <skipped message=\"{}\"/>\n    </testcase>\n",
                          escaped(one.measured));
    } else {
      body += fmt::format(">\n      <system-out>{}: {}</system-out>\n    </testcase>\n",
                          name_of(one.state), escaped(one.measured));
    }
  }
  return fmt::format(
      "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" "
      "skipped=\"{}\">\n{}{}  </testsuite>\n",
      name, cases.size(), failures, skipped, properties, body);
}

std::string properties(const Dossier& dossier, const Report& report) {
  const auto& run = dossier.run;
  std::string text = "    <properties>\n";
  for (const auto& [name, value] :
       {std::pair<const char*, std::string>("run_id", run.run_id),
        {"verdict", std::string(name_of(report.verdict))},
        {"seed", std::to_string(run.seed)},
        {"build", run.build},
        {"version", run.tool_version},
        {"target", fmt::format("{} {}", run.target.profile, run.target.version)},
        {"config_hash", run.target.config_hash},
        {"plan_sha256", run.plan.sha256}})
    text += fmt::format("      <property name=\"{}\" value=\"{}\"/>\n", name, escaped(value));
  return text + "    </properties>\n";
}

}  // namespace

std::string junit_xml(const Dossier& dossier, const Report& report) {
  std::vector<Case> readiness, rows, tests;
  for (const ReadinessRow& row : report.readiness)
    readiness.push_back({row.item, row.measured, row.limit, row.state});
  for (const Row& row : report.scorecard)
    rows.push_back({row.id + ": " + row.question, row.why, "docs/drill.md", row.state});
  for (const NegativeTest& test : report.negative)
    tests.push_back({test.id + " " + test.name, test.measured, test.green, test.state});
  for (Case& one : rows)
    if (const auto row = &one - rows.data(); one.state == State::red)
      for (const Figure& figure : report.scorecard[static_cast<size_t>(row)].figures)
        if (figure.state == State::red) {
          one.limit = fmt::format("{} {}", figure.name, figure.green);
          break;
        }
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"drill\">\n"
      "{}{}{}</testsuites>\n",
      suite("readiness", readiness), suite("scorecard", rows, properties(dossier, report)),
      suite("negative", tests));
}

}  // namespace paceline::judge
