#include <gtest/gtest.h>

#include "judge/test_report.h"

// Broker 1 of three is killed at t0 and led three of eight partitions: two of them are a fair
// share.

namespace paceline::judge {
namespace {

class Capacity : public testing::Test {
 protected:
  static constexpr int64_t kMs = TestEvidence::kMs;
  static constexpr int64_t kBack = TestEvidence::kT0 + 2'000 * kMs;

  void joined(int64_t at_ns = kBack) {
    evidence_.add("paceline:1.8", "control", "broker.joined", at_ns);
  }
  void leads(int64_t broker, int32_t partition, int32_t epoch, int64_t at_ns) {
    auto& event = evidence_.add("watcher", "client", "leader.seen", at_ns);
    event.topic = "drill-probe";
    event.partition = partition;
    event.leader_epoch = epoch;
    event.figures = {{"leader", broker}, {"by", std::string("watcher:2")}, {"hinted", false}};
  }
  void rolled_back(int64_t at_ns, double took_ms, int64_t asked) {
    auto& event = evidence_.find("rollback.done");
    event.t_mono_ns = at_ns;
    event.value = took_ms;
    event.figures["asked"] = asked;
  }
  Json figure(std::string_view name) { return figure_of(report(), "capacity", name); }
  std::string state() { return state_of(report(), "scorecard", "capacity"); }
  Json report() { return report_of(evidence_); }

  TestEvidence evidence_ = TestEvidence::kill();
};

TEST_F(Capacity, ABrokerThatComesBackLeadsAndHasItsShareSoon) {
  joined();
  leads(1, 0, 6, kBack + 1'500 * kMs);
  leads(1, 3, 6, kBack + 4'000 * kMs);
  EXPECT_EQ(figure("first leader")["value"], 1'500.0);
  EXPECT_EQ(figure("first leader")["state"], "green");
  EXPECT_EQ(figure("a fair share")["value"], 4'000.0);
  EXPECT_EQ(figure("a fair share")["samples"], 1);
  EXPECT_EQ(figure("historical")["state"], "green");
  EXPECT_EQ(state(), "green") << report()["scorecard"][2];
}

TEST_F(Capacity, WhatAnotherOneLeadsIsNoHelp) {
  joined();
  leads(3, 0, 6, kBack + 1'500 * kMs);
  leads(1, 3, 6, kBack + 12'000 * kMs);
  EXPECT_EQ(figure("first leader")["value"], 12'000.0);
  EXPECT_EQ(figure("first leader")["state"], "amber");
  EXPECT_EQ(figure("a fair share")["state"], "grey") << "one of two, until nobody looked any more";
}

TEST_F(Capacity, AnOldTermIsNoLeader) {
  joined();
  leads(1, 0, 4, kBack + 1'500 * kMs);
  EXPECT_EQ(figure("first leader")["state"], "amber") << "none for half a minute";
}

TEST_F(Capacity, WhatTheDrillGivesBackIsNotTheClustersDoing) {
  joined();
  leads(1, 0, 6, kBack + 29'000 * kMs);
  leads(1, 3, 6, kBack + 29'000 * kMs);
  EXPECT_EQ(figure("a fair share")["value"], 29'000.0);
  rolled_back(kBack + 30'000 * kMs, 5'000, 3);
  EXPECT_EQ(figure("a fair share")["value"], 25'000.0);
  EXPECT_EQ(figure("a fair share")["state"], "grey");
  EXPECT_EQ(figure("first leader")["state"], "amber");
  EXPECT_NE(figure("first leader")["green"].get<std::string>().find("itself"), std::string::npos);
}

TEST_F(Capacity, WithoutItsOwnWordItIsBackWhenItIsHealed) {
  leads(1, 0, 6, TestEvidence::kBegan + 53'000 * kMs);
  leads(1, 3, 6, TestEvidence::kBegan + 53'000 * kMs);
  EXPECT_EQ(figure("a fair share")["value"], 1'000.0);
}

TEST_F(Capacity, WhoHasLostNothingWasNotAdded) {
  evidence_.erase("leader.seen");
  for (int32_t partition = 0; partition < 6; ++partition)
    leads(partition % 3 + 1, partition, 4, TestEvidence::kBegan + 3'000 * kMs);
  joined();
  EXPECT_EQ(state(), "grey");
  EXPECT_TRUE(figure("first leader").is_null());
}

TEST_F(Capacity, AnEndAsPlannedAddsNobody) {
  joined();
  evidence_.run.plan.steps[0].planned = true;
  EXPECT_TRUE(figure("first leader").is_null());
}

}  // namespace
}  // namespace paceline::judge
