#include "judge/groups.h"

#include <gtest/gtest.h>

#include "judge/test_report.h"

// Two members of a group, member-0 of the good run and one more, which hold three partitions each.

namespace paceline::judge {
namespace {

class Members : public testing::Test {
 protected:
  static constexpr int64_t kSecond = TestEvidence::kSecond;

  Members() {
    evidence_.erase("group.rebalanced");
    rebalanced("member-0", "assigned", 3, 3);
    rebalanced("member-1", "assigned", 3, 3);
  }
  std::string rebalanced(std::string member, const char* what, int64_t partitions, int64_t at_s) {
    auto& event =
        evidence_.add("probe", "client", "group.rebalanced", TestEvidence::kBegan + at_s * kSecond);
    event.figures = {{"group", std::string("drill-group")},
                     {"member", std::move(member)},
                     {"event", std::string(what)},
                     {"partitions", partitions}};
    return event.event_id;
  }
  std::string ended(std::string client, int64_t at_s) {
    auto& event =
        evidence_.add("probe", "client", "client.ended", TestEvidence::kBegan + at_s * kSecond);
    event.client_id = std::move(client);
    return event.event_id;
  }
  Json gone() { return figure_of(report_of(evidence_), "leaders", "members that stayed away"); }

  TestEvidence evidence_ = TestEvidence::kill();
};

TEST_F(Members, AllThatComeBackAreThere) {
  for (const char* member : {"member-0", "member-1"}) {
    rebalanced(member, "revoked", 3, 21);
    rebalanced(member, "assigned", 3, 22);
  }
  EXPECT_EQ(gone()["value"], 0);
  EXPECT_EQ(gone()["samples"], 2);
  EXPECT_EQ(gone()["state"], "green");
}

TEST_F(Members, OneThatLeavesForGoodIsRedThoughOthersHoldItsPartitions) {
  const std::string left = rebalanced("member-1", "revoked", 3, 21);
  rebalanced("member-0", "revoked", 3, 21);
  rebalanced("member-0", "assigned", 6, 22);
  const Json report = report_of(evidence_);
  EXPECT_EQ(figure_of(report, "leaders", "rebalances")["state"], "green") << "one of them";
  EXPECT_EQ(figure_of(report, "leaders", "groups without")["state"], "green");
  EXPECT_EQ(gone()["value"], 1);
  EXPECT_EQ(gone()["state"], "red");
  EXPECT_EQ(gone()["events"], Json::array({left}));
  EXPECT_EQ(report["verdict"], "red");
}

TEST_F(Members, OneThatEndsWithoutAWordIsGoneToo) {
  const std::string left = ended("member-1", 21);
  rebalanced("member-0", "revoked", 3, 30);
  rebalanced("member-0", "assigned", 6, 30);
  EXPECT_EQ(gone()["state"], "red");
  EXPECT_EQ(gone()["events"], Json::array({left}));
}

TEST_F(Members, AClientOutsideThatEndsTakesAllOfItsMembersAlong) {
  rebalanced("external-1:a", "assigned", 2, 3);
  rebalanced("external-1:b", "assigned", 2, 3);
  ended("external-1", 21);
  EXPECT_EQ(gone()["value"], 2);
}

TEST_F(Members, OneThatBeginsAgainIsTheSame) {
  ended("member-1", 21);
  rebalanced("member-1/2", "assigned", 3, 24);
  EXPECT_EQ(gone()["value"], 0);
}

TEST_F(Members, WhoIsInItAndHoldsNothingHasNotLeft) {
  for (const char* member : {"member-0", "member-1"}) rebalanced(member, "revoked", 3, 21);
  rebalanced("member-0", "assigned", 6, 22);
  rebalanced("member-1", "assigned", 0, 22);
  EXPECT_EQ(gone()["value"], 0) << "of a topic with few partitions";
}

TEST_F(Members, APartThatIsGivenAwayIsNoLeaving) {
  rebalanced("member-1", "revoked", 1, 21);
  rebalanced("member-0", "assigned", 1, 22);
  EXPECT_EQ(gone()["value"], 0);
  rebalanced("member-1", "lost", 2, 23);
  EXPECT_EQ(gone()["value"], 1);
}

TEST_F(Members, WhoLeavesAfterwardsIsNoLossOfTheStep) {
  rebalanced("member-1", "revoked", 3, 65);
  EXPECT_EQ(gone()["value"], 0) << "the load has ended";
}

}  // namespace
}  // namespace paceline::judge
