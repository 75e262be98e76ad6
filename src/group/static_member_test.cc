#include "group/core_player_test.h"

namespace paceline::group {
namespace {

JoinRequest static_join(std::string instance, bool skip = false, std::string member = "") {
  JoinRequest request = Player::request(std::move(member));
  request.instance = std::move(instance);
  request.supports_skip_assignment = skip;
  request.require_known_member = true;  // does not concern static members
  return request;
}

// Two static members "a" (the leader) and "b", stable.
struct Pair : Player {
  std::string a, b;
  Pair() {
    auto first = join(static_join("a")), second = join(static_join("b"));
    until(first);
    a = answer(first).member;
    b = answer(second).member;
    EXPECT_EQ(answer(first).leader, a);
    settle();
  }
};

TEST(StaticMember, JoinsWithoutAHandshakeUnderItsInstance) {
  Pair p;
  EXPECT_EQ(p.a, "a-1");
  EXPECT_EQ(p.heartbeat(p.a, {}, "a"), KafkaError::none);
  EXPECT_EQ(p.heartbeat(p.a, {}, "b"), KafkaError::fenced_instance_id);
  EXPECT_EQ(p.heartbeat(p.a, {}, "z"), KafkaError::unknown_member_id);
}

TEST(StaticMember, ARestartCostsNoRebalanceAndIsToldWhenDurable) {
  Pair p;
  auto id = p.join(static_join("b"));
  ASSERT_TRUE(p.waits(id));
  ASSERT_EQ(p.writes.size(), 1u);
  EXPECT_EQ(p.writes[0].record.members.back().assignment, "to-" + p.b);
  p.write_all();
  const JoinResponse answer = p.answer(id);
  EXPECT_EQ(answer.error, KafkaError::none);
  EXPECT_EQ(answer.generation, 1);
  EXPECT_EQ(answer.leader, p.a);
  EXPECT_NE(answer.member, p.b);
  EXPECT_EQ(p.core.state(), State::stable);
  EXPECT_EQ(p.synced.at(p.sync(answer.member)).assignment, "to-" + p.b);
  EXPECT_EQ(p.heartbeat(p.b, {}, "b"), KafkaError::fenced_instance_id);
  EXPECT_EQ(p.heartbeat(p.b), KafkaError::unknown_member_id);
}

TEST(StaticMember, ALeaderThatRestartsIsToldToSkipTheAssignment) {
  Pair p;
  auto id = p.join(static_join("a", true));
  p.write_all();
  EXPECT_TRUE(p.answer(id).skip_assignment);
  EXPECT_EQ(p.answer(id).leader, p.answer(id).member);
  EXPECT_EQ(p.answer(id).members.size(), 2u);
}

TEST(StaticMember, AnOlderLeaderThatRestartsDoesNotTakeItselfForTheLeader) {
  Pair p;
  auto id = p.join(static_join("a", false));
  p.write_all();
  EXPECT_FALSE(p.answer(id).skip_assignment);
  EXPECT_EQ(p.answer(id).leader, p.a);
  EXPECT_TRUE(p.answer(id).members.empty());
}

TEST(StaticMember, ARestartThatCannotBeWrittenIsAnError) {
  Pair p;
  auto id = p.join(static_join("b"));
  p.write_all(KafkaError::not_coordinator);
  EXPECT_EQ(p.answer(id).error, KafkaError::not_coordinator);
}

TEST(StaticMember, ARestartThatChangesTheProtocolRebalances) {
  Pair p;
  JoinRequest request = static_join("b");
  request.protocols = {{"sticky", ""}, {"range", ""}};
  auto id = p.join(request);
  p.write_all();
  EXPECT_FALSE(p.waits(id)) << "range is still what all know";
  JoinRequest both = static_join("a");
  both.protocols = {{"sticky", ""}, {"range", ""}};
  auto other = p.join(both);
  EXPECT_TRUE(p.waits(other));
  EXPECT_EQ(p.core.state(), State::preparing_rebalance);
}

TEST(StaticMember, AThiefFencesTheOwnerWhoWaits) {
  Pair p;
  auto owner = p.join(static_join("a", false, p.a));
  EXPECT_TRUE(p.waits(owner));
  auto thief = p.join(static_join("a"));
  EXPECT_EQ(p.answer(owner).error, KafkaError::fenced_instance_id);
  EXPECT_TRUE(p.waits(thief));
  EXPECT_EQ(p.answer(p.join(static_join("a", false, p.a))).error, KafkaError::fenced_instance_id);
}

TEST(StaticMember, KeepsItsPlaceThroughARebalanceUntilItsSessionEnds) {
  Pair p;
  auto id = p.join(static_join("a", false, p.a));
  for (int i = 0; i < 30; ++i) {
    p.pass(2'000);
    if (p.waits(id)) p.heartbeat(p.b, {}, "b");
  }
  EXPECT_EQ(p.answer(id).members.size(), 2u);
  p.pass(10'000);
  EXPECT_FALSE(p.core.members().contains(p.b));
}

TEST(StaticMember, IsRemovedByItsInstance) {
  Pair p;
  EXPECT_EQ(p.leave("", "z"), KafkaError::unknown_member_id);
  EXPECT_EQ(p.leave("x", "b"), KafkaError::fenced_instance_id);
  EXPECT_EQ(p.leave("", "b"), KafkaError::none);
  EXPECT_EQ(p.core.members().size(), 1u);
  EXPECT_EQ(p.core.state(), State::preparing_rebalance);
}

}  // namespace
}  // namespace paceline::group
