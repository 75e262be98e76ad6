#include <gtest/gtest.h>

#include "judge/test_report.h"

namespace paceline::judge {
namespace {

class Governance : public testing::Test {
 protected:
  static constexpr int64_t kSecond = TestEvidence::kSecond;

  void tried(int64_t after_s, int64_t allowed, int64_t denied, int64_t wrong = 0,
             int64_t silent = 0) {
    auto& event =
        evidence_.add("probe", "control", "rights.tried", TestEvidence::kBegan + after_s * kSecond);
    event.figures = {{"rights", int64_t{3}}, {"silent", silent},      {"allowed", allowed},
                     {"denied", denied},     {"unknown", int64_t{4}}, {"wrong", wrong}};
  }
  std::string answered(int64_t after_s, const char* answer, const char* due) {
    auto& event = evidence_.add("probe", "control", "right.answered",
                                TestEvidence::kBegan + after_s * kSecond);
    event.figures = {{"right", std::string("mallory writes")},
                     {"answer", std::string(answer)},
                     {"due", std::string(due)}};
    return event.event_id;
  }
  std::string state() { return state_of(report_of(evidence_), "scorecard", "governance"); }

  TestEvidence evidence_ = TestEvidence::kill();
};

TEST_F(Governance, WhatIsAnsweredAsItIsDueBeforeAndAfterIsGreen) {
  tried(10, 40, 20);
  tried(50, 140, 70);
  EXPECT_EQ(state(), "green");
  const auto wrong = figure_of(report_of(evidence_), "governance", "allowed or denied");
  EXPECT_EQ(wrong["value"], 0);
  EXPECT_EQ(wrong["samples"], 210);
}

TEST_F(Governance, OneHoleIsRedAndNamed) {
  tried(10, 40, 20);
  const std::string hole = answered(21, "allowed", "denied");
  tried(50, 141, 69, 1);
  EXPECT_EQ(state(), "red");
  const auto wrong = figure_of(report_of(evidence_), "governance", "allowed or denied");
  EXPECT_EQ(wrong["events"], Json::array({hole}));
  EXPECT_EQ(report_of(evidence_)["verdict"], "red") << "though no plan asked for it";
}

TEST_F(Governance, WhoMayAndIsDeniedIsRedToo) {
  tried(10, 40, 20);
  answered(30, "denied", "allowed");
  tried(50, 100, 60, 12);
  EXPECT_EQ(state(), "red");
}

TEST_F(Governance, ARightThatNobodyAnsweredIsAmber) {
  tried(10, 40, 20, 0, 1);
  tried(50, 140, 70, 0, 1);
  EXPECT_EQ(state(), "amber");
}

TEST_F(Governance, WithoutAnswersOnBothSidesOfTheFaultItIsGrey) {
  EXPECT_EQ(state(), "grey") << "never tried";
  tried(30, 40, 20);
  EXPECT_EQ(state(), "grey") << "only after";
  tried(10, 40, 20);
  EXPECT_EQ(state(), "grey") << "only before: the counts did not grow";
}

}  // namespace
}  // namespace paceline::judge
