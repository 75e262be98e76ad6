#include <gtest/gtest.h>

#include "judge/test_report.h"

// Whatever is told is told with what it was computed from.

namespace paceline::judge {
namespace {

// Of each figure with a value: how many samples, and which events or files.
void expect_sources(const Json& report) {
  std::vector<std::string> files;
  for (const Json& file : report["evidence"]["files"]) files.push_back(file["name"]);
  for (const Json& row : report["scorecard"])
    for (const Json& figure : row["figures"]) {
      if (figure["value"].is_null()) continue;
      EXPECT_TRUE(figure["samples"].is_number()) << row["id"] << ": " << figure;
      EXPECT_FALSE(figure["events"].empty() && figure["evidence"].empty())
          << row["id"] << ": " << figure;
      for (const Json& name : figure["evidence"])
        EXPECT_TRUE(std::ranges::find(files, name.get<std::string>()) != files.end()) << figure;
    }
  const Json& recovery = report["recovery"];
  for (const char* name : {"unuploaded_bytes", "bytes_read", "bytes_written",
                           "historical_bytes_copied", "left_over_ms", "orphans"})
    if (!recovery[name].is_null()) EXPECT_FALSE(recovery["events"][name].empty()) << name;
  for (const char* name : {"get", "put", "list"})
    if (!recovery["requests"][name].is_null())
      EXPECT_FALSE(recovery["events"]["requests_" + std::string(name)].empty()) << name;
  if (!recovery["usd"]["value"].is_null()) EXPECT_FALSE(recovery["events"]["usd"].empty());
}

void expect_links(const Json& report) {
  std::vector<std::string> shown;
  for (const Json& event : report["events"]) shown.push_back(event["event"]);
  const auto is_shown = [&](const Json& events) {
    return events.empty() || std::ranges::any_of(events, [&](const Json& event) {
             return std::ranges::find(shown, event.get<std::string>()) != shown.end();
           });
  };
  for (const Json& row : report["scorecard"])
    for (const Json& figure : row["figures"]) EXPECT_TRUE(is_shown(figure["events"])) << figure;
  for (const auto& [name, events] : report["recovery"]["events"].items())
    EXPECT_TRUE(is_shown(events)) << name;
}

void expect_all_said(const TestEvidence& evidence) {
  const Json report = report_of(evidence);
  expect_sources(report);
  expect_links(report);
}

TEST(Figures, EachOfAGoodRunSaysWhatItIsMadeOf) {
  expect_all_said(TestEvidence::kill());
}

TEST(Figures, EachOfABadRunDoesAsWell) {
  TestEvidence evidence = TestEvidence::kill({.down_ms = 7'000});
  auto& guard = evidence.drill("guard.tripped", TestEvidence::kT0 + TestEvidence::kSecond);
  guard.figures = {{"rule", std::string("errors")}, {"measured", 0.2}, {"limit", 0.01}};
  evidence.drill("topic.gone", TestEvidence::kT0 + TestEvidence::kSecond).topic = "drill-probe";
  auto& overhead = evidence.add("probe", "data", "overhead.measured", TestEvidence::kT0);
  overhead.value = 1.2;
  overhead.figures = {{"samples", int64_t{400}}};
  evidence.erase("rollback.done");
  const Json report = report_of(evidence);
  expect_sources(report);
  expect_links(report);
}

// A clean-up that is refused, for one: groups are there, and nothing was done to them.
TEST(Figures, EachOfARunWithoutAFaultDoesAsWell) {
  TestEvidence evidence = TestEvidence::kill();
  evidence.erase("fault.effective");
  expect_all_said(evidence);
}

TEST(Figures, EachOfAForeignClusterDoesAsWell) {
  TestEvidence evidence = TestEvidence::kill();
  std::erase_if(evidence.events,
                [](const auto& event) { return event.source.starts_with("paceline:"); });
  evidence.run.target.external_only = true;
  expect_all_said(evidence);
}

TEST(Figures, AClockThatNobodyMeasuredIsNotGreen) {
  TestEvidence evidence = TestEvidence::kill();
  evidence.erase("clock.measured");
  std::erase_if(evidence.events,
                [](const auto& event) { return event.source.starts_with("paceline:"); });
  evidence.run.target.external_only = true;
  for (const char* type : {"broker.noticed", "lane.sealed", "lane.recovered"}) {
    auto& event = evidence.add("hook", "control", type, TestEvidence::kT0 + TestEvidence::kMs);
    event.clock_err_ns = 1'000'000;
  }
  const Json report = report_of(evidence);
  const Json clock = figure_of(report, "evidence", "clock bound");
  EXPECT_EQ(clock["state"], "grey") << clock;
  EXPECT_TRUE(clock["value"].is_null()) << "it is a claim";
  EXPECT_NE(clock["name"].get<std::string>().find("hook"), std::string::npos) << clock;
  EXPECT_TRUE(report["clock"]["bound_ms"].is_null());
  EXPECT_EQ(state_of(report, "scorecard", "evidence"), "amber") << "never green";

  evidence.run.target.external_only = false;
  EXPECT_EQ(state_of(report_of(evidence), "scorecard", "evidence"), "grey")
      << "Paceline's own can be measured";
}

TEST(Figures, OverheadIsToldOfEnoughSamplesOnly) {
  TestEvidence evidence = TestEvidence::kill();
  auto& event = evidence.add("probe", "data", "overhead.measured", TestEvidence::kBegan);
  event.value = 2.685;
  event.figures = {{"samples", int64_t{298}}};
  Json figure = figure_of(report_of(evidence), "evidence", "bystanders");
  EXPECT_TRUE(figure["value"].is_null()) << "no p99 of so few";
  EXPECT_EQ(figure["samples"], 298);
  EXPECT_EQ(figure["state"], "grey");
  evidence.find("overhead.measured").figures["samples"] = int64_t{299};
  figure = figure_of(report_of(evidence), "evidence", "bystanders");
  EXPECT_EQ(figure["value"], 2.685);
  EXPECT_EQ(figure["state"], "grey") << "it says nothing of the cluster";
  evidence.find("overhead.measured").value = 1.04;
  EXPECT_EQ(figure_of(report_of(evidence), "evidence", "bystanders")["state"], "green");
}

TEST(Dimensions, MigrationIsNotTheRollbackAgain) {
  const Json report = report_of(TestEvidence::kill());
  for (const Json& one : report["dimensions"]) {
    if (one["name"] != "migration risk") continue;
    EXPECT_EQ(one["state"], "grey") << "one cluster was drilled, not two";
    EXPECT_NE(one["findings"][0]["text"].get<std::string>().find("compare"), std::string::npos);
    for (const Json& finding : one["findings"])
      for (const Json& figure : report["scorecard"][4]["figures"])
        EXPECT_FALSE(finding["text"].get<std::string>().starts_with(
            figure["name"].get<std::string>() + ":"));
    return;
  }
  FAIL() << "it is one of the seven";
}

}  // namespace
}  // namespace paceline::judge
