#include "drill/simulate.h"

#include <gmock/gmock.h>

namespace paceline::drill {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ClusterView three_brokers() {
  ClusterView view;
  view.brokers = {{1, "a", 9092, "east"}, {2, "b", 9092, "west"}, {3, "c", 9092, "west"}};
  view.topics = {
      {"orders", "id-orders", false, {{0, 1, 5, {1, 2}, {1, 2}}, {1, 2, 5, {2, 1}, {2}}}}};
  return view;
}

Plan::Step kill_step() {
  Plan::Step step;
  step.id = "kill";
  return step;
}

TEST(Simulate, WhereBrokersOwnNoDataWhoeverLivesLeads) {
  const Outlook outlook = simulate_step(three_brokers(), kill_step(), {2}, true);
  EXPECT_FALSE(outlook.refused()) << outlook.why;
}

TEST(Simulate, TheLastBrokerIsNotTaken) {
  ClusterView view = three_brokers();
  view.brokers.resize(1);
  const Outlook outlook = simulate_step(view, kill_step(), {1}, true);
  EXPECT_THAT(outlook.leaderless, ElementsAre("orders-0", "orders-1"));
  EXPECT_THAT(outlook.why, HasSubstr("nobody could lead orders-0, orders-1"));
}

TEST(Simulate, APartitionWithItsOnlyReplicaInSyncThereIsRefused) {
  const Outlook outlook = simulate_step(three_brokers(), kill_step(), {2}, false);
  EXPECT_THAT(outlook.leaderless, ElementsAre("orders-1"));
  EXPECT_TRUE(outlook.refused());
}

TEST(Simulate, AZoneIsNotEmptiedUnlessItIsAskedFor) {
  EXPECT_THAT(simulate_step(three_brokers(), kill_step(), {1}, true).why,
              HasSubstr("no broker would be left in zone east"));
  Plan::Step zone = kill_step();
  zone.zone = "east";
  EXPECT_FALSE(simulate_step(three_brokers(), zone, {1}, true).refused());
}

TEST(Simulate, OneFailureDomainAtATime) {
  EXPECT_THAT(simulate_step(three_brokers(), kill_step(), {2, 3}, true).why,
              HasSubstr("one failure domain"));
  Plan::Step zone = kill_step();
  zone.zone = "west";
  EXPECT_FALSE(simulate_step(three_brokers(), zone, {2, 3}, true).refused());
  EXPECT_TRUE(simulate_step(three_brokers(), zone, {1, 2}, true).refused());
}

TEST(Simulate, WhoIsDrainedStays) {
  Plan::Step drain = kill_step();
  drain.fault = Fault::drain;
  EXPECT_FALSE(simulate_step(three_brokers(), drain, {2}, false).refused());
  EXPECT_FALSE(simulate_step(three_brokers(), drain, {1}, false).refused());
  ClusterView view = three_brokers();
  view.brokers.resize(1);
  EXPECT_TRUE(simulate_step(view, drain, {1}, true).refused());
}

TEST(Simulate, AnUnknownBrokerIsRefused) {
  EXPECT_THAT(simulate_step(three_brokers(), kill_step(), {7}, true).why, HasSubstr("no broker 7"));
}

TEST(CheckCleanup, OnlyWhatTheRunHasMade) {
  const ClusterView view = three_brokers();
  CleanUp made;
  made.topics = {{"drill", "id-drill"}};
  EXPECT_THAT(check_cleanup(view, made, made), IsEmpty());

  CleanUp asked = made;
  asked.topics.push_back({"orders", "id-orders"});
  asked.brokers = {2};
  EXPECT_THAT(
      check_cleanup(view, asked, made),
      ElementsAre(HasSubstr("broker 2"), HasSubstr("topic orders (id-orders) was not made")));

  CleanUp renamed;
  renamed.topics = {{"orders", "id-drill"}};
  EXPECT_THAT(check_cleanup(view, renamed, made), ElementsAre(HasSubstr("which is drill")));
  CleanUp nameless;
  nameless.topics = {{"drill", ""}};
  EXPECT_THAT(check_cleanup(view, nameless, made), ElementsAre(HasSubstr("without an id")));
}

TEST(CheckCleanup, ATopicOfOurNameThatSomebodyHasMadeAnewStays) {
  ClusterView view = three_brokers();
  view.topics.push_back({"drill", "id-other", false, {}});
  CleanUp made;
  made.topics = {{"drill", "id-drill"}};
  EXPECT_THAT(check_cleanup(view, made, made), ElementsAre(HasSubstr("made anew")));
}

TEST(CheckRollback, APointAndAnOwner) {
  Plan plan;
  EXPECT_THAT(check_rollback(plan, ""),
              ElementsAre(HasSubstr("rollback point"), HasSubstr("nobody owns")));
  plan.rollback.point = "the snapshot";
  EXPECT_THAT(check_rollback(plan, "ada"), IsEmpty());
  plan.rollback.owner = "ada";
  EXPECT_THAT(check_rollback(plan, ""), IsEmpty());
}

}  // namespace
}  // namespace paceline::drill
