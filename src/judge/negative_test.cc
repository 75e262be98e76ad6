#include "judge/negative.h"

#include <gtest/gtest.h>

#include "judge/test_report.h"

namespace paceline::judge {
namespace {

using Row = evidence::LedgerRow;

TEST(Negative, SabotageIsNoticedOrTheHarnessIsRed) {
  TestEvidence evidence = TestEvidence::kill({.on_row = [](Row& row) {
    return !(is_probe(row, 70) &&
             (row.kind == Row::Kind::read || row.kind == Row::Kind::read_back));
  }});
  evidence.run.target.sabotage = "drop-ack";
  const Json noticed = report_of(evidence);
  EXPECT_EQ(noticed["verdict"], "red");
  EXPECT_EQ(state_of(noticed, "negative_tests", "N8"), "green");
  evidence = TestEvidence::kill();
  evidence.run.target.sabotage = "drop-ack";
  const Json missed = report_of(evidence);
  EXPECT_EQ(missed["verdict"], "red");
  EXPECT_EQ(state_of(missed, "negative_tests", "N8"), "red");
}

TEST(Negative, AWrongCleanUpThatIsExecutedIsRed) {
  TestEvidence evidence = TestEvidence::kill();
  evidence.run.plan.steps.push_back({"s2", "cleanup", "N7", "", "platform", true});
  EXPECT_EQ(state_of(report_of(evidence), "negative_tests", "N7"), "red");
  EXPECT_EQ(report_of(evidence)["verdict"], "red");
  auto& refused =
      evidence.drill("cleanup.refused", TestEvidence::kBegan + 70 * TestEvidence::kSecond);
  refused.figures["why"] = std::string("broker 1 is not ours");
  const Json report = report_of(evidence);
  EXPECT_EQ(state_of(report, "negative_tests", "N7"), "green");
  EXPECT_EQ(report["verdict"], "green") << report["reason"];
}

TEST(Negative, ACleanUpThatTakesATopicOfTheLoadIsRedAndAllOfItIsLost) {
  TestEvidence evidence = TestEvidence::kill();
  evidence.run.plan.steps.push_back({"s2", "cleanup", "N7", "", "platform", true});
  const int64_t at = TestEvidence::kBegan + 70 * TestEvidence::kSecond;
  evidence.drill("cleanup.refused", at).figures["why"] = std::string("broker 1 is not ours");
  evidence.drill("topic.gone", at).topic = evidence.run.topics[0].name;
  std::erase_if(evidence.rows,
                [](const Row& row) { return row.kind == Row::Kind::read_back && row.topic == 0; });
  const Json report = report_of(evidence);
  EXPECT_EQ(report["verdict"], "red");
  EXPECT_EQ(state_of(report, "negative_tests", "N7"), "red");
  EXPECT_EQ(figure_of(report, "leaders", "topics of the load that are gone")["state"], "red");
  const auto acked = std::ranges::count_if(
      evidence.rows, [](const Row& row) { return row.kind == Row::Kind::acked && row.topic == 0; });
  EXPECT_GT(acked, 0);
  EXPECT_EQ(report["counts"]["lost"], acked);
}

TEST(Negative, ASlowStoreMustNotFillTheMemory) {
  TestEvidence evidence = TestEvidence::kill({.down_ms = 0});
  evidence.run.plan.steps[0].test = "N3";
  const auto grows_to = [&](int64_t bytes) {
    auto& during = evidence.add("drill", "storage", "storage.snapshot",
                                TestEvidence::kT0 + TestEvidence::kSecond);
    during.figures = {{"when", std::string("during")}, {"memory_bytes", bytes}};
    const Json report = report_of(evidence);
    for (const Json& test : report["negative_tests"])
      if (test["id"] == "N3") return test["measured"].get<std::string>();
    return std::string("absent");
  };
  EXPECT_EQ(grows_to(100 << 20).find("memory"), std::string::npos) << "of before nothing is known";
  evidence.find("storage.snapshot").figures["memory_bytes"] = int64_t{60 << 20};
  EXPECT_NE(grows_to(100 << 20).find("memory grown by 41943040 bytes"), std::string::npos);
  grows_to(int64_t{2} << 30);
  EXPECT_EQ(state_of(report_of(evidence), "negative_tests", "N3"), "red");
}

TEST(Negative, WhatAZombieLeftUnansweredIsNoError) {
  const auto unanswered = [](Row& row) {
    if (row.topic != 0 || row.partition != 0 || row.intended_ns < TestEvidence::kT0 ||
        row.intended_ns >= TestEvidence::kT0 + 100 * TestEvidence::kMs)
      return true;
    if (row.kind == Row::Kind::acked) {
      row.kind = Row::Kind::unknown;
      row.offset = -1;
      return true;
    }
    return row.kind == Row::Kind::sent;
  };
  TestEvidence evidence = TestEvidence::kill({.on_row = unanswered});
  EXPECT_EQ(report_of(evidence)["verdict"], "red");
  evidence.run.plan.steps[0].test = "N6";
  const Json report = report_of(evidence);
  EXPECT_EQ(report["counts"]["errors"], 0);
  EXPECT_EQ(report["counts"]["errors_excepted"], 5);
  EXPECT_EQ(state_of(report, "negative_tests", "N6"), "green");
  EXPECT_EQ(report["verdict"], "green") << report["reason"];
}

TEST(Negative, AStormEndsClientsAndTheirNextLivesGoOn) {
  const auto next_life = [](Row& row) {
    const int64_t t0 = TestEvidence::kT0;
    if (row.topic != 0 || row.intended_ns < t0 - 40 * TestEvidence::kMs) return true;
    if (row.intended_ns < t0) {  // on its way when its client ended
      if (row.kind != Row::Kind::acked) return row.kind == Row::Kind::sent;
      row.kind = Row::Kind::unknown;
      row.offset = -1;
      row.at_ns = t0 + 10 * TestEvidence::kMs;
      return true;
    }
    row.client = static_cast<uint16_t>(row.client + 6);
    return true;
  };
  TestEvidence evidence = TestEvidence::kill({.down_ms = 0, .on_row = next_life});
  for (auto& row : evidence.rows)
    if (row.kind == Row::Kind::acked) row.broker = row.partition % 3 + 1;
  for (const char* name : {"producer-0/2", "producer-1/2"}) {
    evidence.run.clients.push_back(evidence.run.clients.front());
    evidence.run.clients.back().name = name;
  }
  evidence.run.plan.steps[0].test = "N4";
  for (auto& event : evidence.events) event.figures.erase("broker");
  std::erase_if(evidence.events, [](const auto& event) {
    return event.source.starts_with("paceline:") || event.source == "watcher";
  });
  auto& refresh = evidence.add("probe", "client", "refresh.done",
                               TestEvidence::kT0 + 39 * TestEvidence::kSecond);
  refresh.value = 900;
  refresh.figures = {{"clients", int64_t{4}}, {"lost", int64_t{0}}};
  const Json report = report_of(evidence);
  EXPECT_EQ(report["counts"]["errors"], 0);
  EXPECT_GT(report["counts"]["errors_excepted"], 0);
  EXPECT_LT(report["gap"]["max_ms"], 100.0) << "the next life's answer ends the wait";
  EXPECT_EQ(state_of(report, "negative_tests", "N4"), "green");
  EXPECT_EQ(state_of(report, "scorecard", "leaders"), "green") << report["reason"];
}

}  // namespace
}  // namespace paceline::judge
