#include "judge/ledger_history.h"

#include <gtest/gtest.h>

#include "judge/test_report.h"

// X2 of a drill: what watchers were told of leaders and their epochs.

namespace paceline::judge {
namespace {

class Epochs : public testing::Test {
 protected:
  static constexpr int64_t kMs = TestEvidence::kMs;

  std::string seen(int64_t leader, int32_t epoch, const char* by, int64_t after_ms) {
    auto& event =
        evidence_.add("watcher", "client", "leader.seen", TestEvidence::kT0 + after_ms * kMs);
    event.topic = "drill-probe";
    event.partition = 0;
    event.leader_epoch = epoch;
    event.figures = {{"leader", leader}, {"by", std::string(by)}, {"hinted", false}};
    return event.event_id;
  }
  Json found(const char* name) {
    for (const Json& anomaly : report_of(evidence_)["anomalies"])
      if (anomaly["name"] == name) return anomaly;
    return {};
  }

  TestEvidence evidence_ = TestEvidence::kill();
};

TEST_F(Epochs, TwoLeadersUnderOneEpochAreFound) {
  EXPECT_TRUE(found("epoch-reuse").is_null());
  const std::string other = seen(3, 5, "watcher:3", 700);
  const Json anomaly = found("epoch-reuse");
  ASSERT_FALSE(anomaly.is_null());
  EXPECT_EQ(anomaly["topic"], "drill-probe");
  EXPECT_EQ(anomaly["partition"], 0);
  EXPECT_NE(anomaly["what"].get<std::string>().find("epoch 5 is led by broker 2"),
            std::string::npos)
      << anomaly["what"];
  ASSERT_EQ(anomaly["events"].size(), 2u);
  EXPECT_EQ(anomaly["events"][1], other);
  EXPECT_EQ(report_of(evidence_)["verdict"], "red");
}

TEST_F(Epochs, AnEpochThatFallsAsOneBrokerTellsItIsFound) {
  seen(3, 6, "watcher:2", 700);
  seen(2, 5, "watcher:3", 800);
  EXPECT_TRUE(found("epoch-regress").is_null()) << "others follow with a delay of their own";
  seen(2, 5, "watcher:2", 900);
  EXPECT_FALSE(found("epoch-regress").is_null());
}

TEST_F(Epochs, ABrokerThatBeganAgainMayKnowLess) {
  seen(3, 6, "watcher:1", 700);
  seen(2, 5, "watcher:1", 40'000);
  EXPECT_TRUE(found("epoch-regress").is_null());
}

TEST_F(Epochs, OfAPartitionThatWasNotReadBackTheyAreJudgedAsWell) {
  std::erase_if(evidence_.rows, [](const auto& row) {
    return row.topic == 0 && row.partition == 0 && row.kind == evidence::LedgerRow::Kind::read_back;
  });
  for (auto& event : evidence_.events)
    if (event.word("action") == "ledger.read_back") event.figures["outcome"] = std::string("cut");
  EXPECT_TRUE(found("epoch-reuse").is_null());
  seen(3, 5, "watcher:3", 700);
  EXPECT_FALSE(found("epoch-reuse").is_null());
}

}  // namespace
}  // namespace paceline::judge
