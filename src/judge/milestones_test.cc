#include <gtest/gtest.h>

#include "judge/order.h"
#include "judge/stats.h"
#include "judge/test_report.h"

namespace paceline::judge {
namespace {

Json milestone(const Json& report, int32_t partition, const char* name) {
  for (const Json& row : report["partitions"])
    if (row["topic"] == "drill-probe" && row["partition"] == partition)
      return row["milestones"][name];
  return {};
}

TEST(Milestones, AreThoseOfTheContract) {
  const Json report = report_of(TestEvidence::kill());
  const std::pair<const char*, double> expected[] = {
      {"t0", 0},   {"t2", 120}, {"t3", 150}, {"t4", 190},  {"t5", 400},   {"t6", 500},
      {"t7", 600}, {"t8", 803}, {"t9", 803}, {"t10", 805}, {"t11", 1000}, {"t13", 9000}};
  for (const auto& [name, ms] : expected) {
    const Json found = milestone(report, 0, name);
    EXPECT_EQ(found["state"], "observed") << name;
    EXPECT_EQ(found["ms"], ms) << name;
  }
  EXPECT_LE(milestone(report, 0, "t1")["ms"], 0.0);
  EXPECT_EQ(milestone(report, 0, "t4")["event"], "paceline:2.1-3") << "the new leader's own word";
  EXPECT_EQ(milestone(report, 1, "t8")["state"], "not_concerned");
}

TEST(Milestones, OfAForeignClusterAreBoundsOrNotObservable) {
  TestEvidence evidence = TestEvidence::kill();
  std::erase_if(evidence.events,
                [](const auto& event) { return event.source.starts_with("paceline:"); });
  evidence.run.target.profile = "kafka";
  evidence.run.target.observes = {"t0", "t13"};
  evidence.run.target.external_only = true;
  const Json report = report_of(evidence);
  for (const char* name : {"t2", "t4", "t5"}) {
    EXPECT_EQ(milestone(report, 0, name)["state"], "not_observable") << name;
    EXPECT_TRUE(milestone(report, 0, name)["ms"].is_null());
    EXPECT_FALSE(milestone(report, 0, name)["by"].is_null()) << "with the reason";
  }
  EXPECT_EQ(milestone(report, 0, "t3")["state"], "upper_bound");
  EXPECT_EQ(milestone(report, 0, "t3")["ms"], 600.0);
  EXPECT_EQ(milestone(report, 0, "t6")["ms"], 610.0) << "who was asked itself";
  EXPECT_EQ(milestone(report, 0, "t13")["state"], "upper_bound");
  EXPECT_NE(report["verdict"], "green") << "what is not observed is not green";
  EXPECT_NE(report["sentence"].get<std::string>().find("external evidence only"),
            std::string::npos);
}

class LeftOver : public testing::Test {
 protected:
  static constexpr int64_t kSecond = TestEvidence::kSecond;

  LeftOver() {
    std::erase_if(evidence_.events,
                  [](const auto& event) { return event.source.starts_with("paceline:"); });
  }
  std::string looked(int64_t after_s, int64_t behind, int64_t moving = 0) {
    auto& event = evidence_.add("drill", "storage", "storage.snapshot",
                                TestEvidence::kT0 + after_s * kSecond);
    event.figures = {
        {"when", std::string("during")}, {"replicas_out_of_sync", behind}, {"reassigning", moving}};
    return event.event_id;
  }
  void in_the_end(int64_t behind) {
    for (auto& event : evidence_.events)
      if (event.type == "storage.snapshot" && event.word("when") == "after")
        event.figures["replicas_out_of_sync"] = behind;
  }
  Json t13() { return milestone(report_of(evidence_), 0, "t13"); }

  TestEvidence evidence_ = TestEvidence::kill();
};

TEST_F(LeftOver, IsGoneFromTheFirstLookAfterWhichNobodyFindsAny) {
  EXPECT_EQ(t13()["ms"], 41'000.0) << "nobody looked before the end";
  looked(-10, 0);
  looked(1, 0);
  looked(6, 3);
  looked(11, 0, 1);
  const std::string first = looked(16, 0);
  looked(21, 0);
  EXPECT_EQ(t13()["state"], "upper_bound");
  EXPECT_EQ(t13()["ms"], 16'000.0);
  EXPECT_EQ(t13()["event"], first);
  EXPECT_EQ(report_of(evidence_)["recovery"]["left_over_ms"], 15'197.0);
}

TEST_F(LeftOver, ThatComesBackWasNotGone) {
  looked(6, 0);
  looked(11, 2);
  EXPECT_EQ(t13()["ms"], 41'000.0);
  in_the_end(1);
  EXPECT_EQ(t13()["state"], "never");
}

TEST(Milestones, WhatShouldHaveBeenToldAndWasNotIsNever) {
  TestEvidence evidence = TestEvidence::kill();
  evidence.erase("lane.sealed");
  evidence.erase("leader.seen");
  EXPECT_EQ(milestone(report_of(evidence), 0, "t4")["state"], "never");
  EXPECT_EQ(milestone(report_of(evidence), 0, "t7")["state"], "not_observable");
}

TEST(Milestones, WhoTellsFromOutsideWhatWasNoticedPromisesNothingOfPlannedMoves) {
  TestEvidence evidence = TestEvidence::kill();
  std::erase_if(evidence.events,
                [](const auto& event) { return event.source.starts_with("paceline:"); });
  evidence.run.target.observes = {"t0", "t2"};
  evidence.run.target.external_only = true;
  EXPECT_EQ(milestone(report_of(evidence), 0, "t2")["state"], "never") << "somebody has died";
  evidence.run.plan.steps.front().planned = true;
  EXPECT_EQ(milestone(report_of(evidence), 0, "t2")["state"], "not_observable");
}

TEST(Milestones, OthersMayNoticeBeforeTheDrillDoes) {
  TestEvidence evidence = TestEvidence::kill();
  evidence.find("broker.noticed").t_mono_ns = TestEvidence::kT0 - 8 * TestEvidence::kMs;
  EXPECT_EQ(milestone(report_of(evidence), 0, "t2")["ms"], -8.0);
  evidence.find("broker.noticed").t_mono_ns = TestEvidence::kT0 - TestEvidence::kSecond;
  EXPECT_EQ(milestone(report_of(evidence), 0, "t2")["state"], "never") << "before the command";
}

TEST(Milestones, AHookTellsWhatATargetDoesNot) {
  TestEvidence evidence = TestEvidence::kill();
  std::erase_if(evidence.events,
                [](const auto& event) { return event.source.starts_with("paceline:"); });
  evidence.add("hook", "control", "broker.noticed", TestEvidence::kT0 + 250 * TestEvidence::kMs);
  EXPECT_EQ(milestone(report_of(evidence), 0, "t2")["ms"], 250.0);
}

TEST(Milestones, LatencyThatDoesNotComeBackIsNeverSettled) {
  const Json report = report_of(TestEvidence::kill({.on_row = [](evidence::LedgerRow& row) {
    if (row.kind != evidence::LedgerRow::Kind::sent && row.intended_ns > TestEvidence::kT0)
      row.at_ns += 20 * TestEvidence::kMs;
    return true;
  }}));
  EXPECT_EQ(milestone(report, 0, "t11")["state"], "never");
  EXPECT_EQ(report["verdict"], "amber") << report["reason"];
  EXPECT_EQ(figure_of(report, "evidence", "milestones missing of 14")["state"], "green")
      << "the ledger knows";
}

TEST(Order, ACauseThatClocksContradictIsAFindingOfTheClock) {
  TestEvidence evidence = TestEvidence::kill();
  auto& cause = evidence.find("fault.commanded");
  const std::string id = cause.event_id;
  const int64_t at = cause.t_mono_ns;
  auto& effect = evidence.add("client:java", "client", "client.error", at - 5 * TestEvidence::kMs);
  effect.cause_id = id;
  effect.clock_err_ns = 6'000'000;
  EXPECT_TRUE(report_of(evidence)["clock"]["contradictions"].empty()) << "within its bound";
  evidence.events.back().clock_err_ns = 1'000'000;
  const Json report = report_of(evidence);
  ASSERT_EQ(report["clock"]["contradictions"].size(), 1u);
  EXPECT_EQ(report["clock"]["contradictions"][0]["events"], Json({id, "client:java-1"}));
  EXPECT_EQ(report["verdict"], "amber") << report["reason"];
  size_t cause_at = 0, effect_at = 0;
  for (size_t i = 0; i < report["events"].size(); ++i) {
    if (report["events"][i]["event"] == id) cause_at = i;
    if (report["events"][i]["event"] == "client:java-1") effect_at = i;
  }
  EXPECT_LT(cause_at, effect_at) << "causes decide, not clocks";
}

TEST(Order, ClocksTellOnlyBeyondBothBounds) {
  evidence::Event a, b;
  a.t_mono_ns = 1'000;
  b.t_mono_ns = 1'500;
  a.clock_err_ns = 300;
  b.clock_err_ns = 100;
  EXPECT_EQ(by_clock(a, b), Relation::before);
  EXPECT_EQ(by_clock(b, a), Relation::after);
  b.clock_err_ns = 200;
  EXPECT_EQ(by_clock(a, b), Relation::concurrent);
}

TEST(Stats, NoP99OfFewSamples) {
  std::vector<double> samples(298);
  for (size_t i = 0; i < samples.size(); ++i) samples[i] = static_cast<double>(i + 1);
  EXPECT_FALSE(quantiles_of(samples).p99);
  EXPECT_EQ(quantiles_of(samples).worst(), 298.0);
  samples.push_back(299);
  EXPECT_EQ(quantiles_of(samples).p99, 297.0);
  EXPECT_EQ(quantiles_of(samples).p50, 150.0);
  EXPECT_EQ(quantiles_of({}).samples, 0u);
}

}  // namespace
}  // namespace paceline::judge
