#include "group/core_player_test.h"

namespace paceline::group {
namespace {

TEST(Join, TheFirstRebalanceWaitsForOthersAndMakesOneLeader) {
  Player p;
  auto first = p.join();
  p.pass(2'000);
  auto second = p.join();
  p.pass(2'000);
  EXPECT_TRUE(p.waits(first)) << "the delay is extended once a member came";
  p.pass(2'000);
  const JoinResponse a = p.answer(first), b = p.answer(second);
  EXPECT_EQ(a.generation, 1);
  EXPECT_EQ(b.generation, 1);
  EXPECT_EQ(a.leader, a.member);
  EXPECT_EQ(b.leader, a.member);
  EXPECT_EQ(a.members.size(), 2u);
  EXPECT_TRUE(b.members.empty());
  EXPECT_EQ(a.protocol, "range");
  EXPECT_EQ(a.members[0].metadata, "m");
  EXPECT_EQ(a.member, "c-1");
}

TEST(Join, TheExtensionEndsWithTheRebalanceTimeout) {
  Player p;
  JoinRequest request = Player::request();
  request.rebalance_timeout_ms = 7'000;
  auto first = p.join(request);
  for (int i = 0; i < 8; ++i) {
    if (p.waits(first)) p.join(request);
    p.pass(1'000);
  }
  EXPECT_FALSE(p.waits(first));
}

TEST(Join, AMemberGetsItsIdBeforeItCounts) {
  Player p;
  JoinRequest request = Player::request();
  request.require_known_member = true;
  auto id = p.join(request);
  EXPECT_EQ(p.answer(id).error, KafkaError::member_id_required);
  const std::string member = p.answer(id).member;
  EXPECT_EQ(p.core.state(), State::empty);
  EXPECT_FALSE(p.core.unused());
  EXPECT_EQ(p.heartbeat(member), KafkaError::unknown_member_id);
  request.member = member;
  auto again = p.join(request);
  p.pass(3'000);
  EXPECT_EQ(p.answer(again).member, member);
  EXPECT_EQ(p.answer(again).error, KafkaError::none);
}

TEST(Join, AnIdThatIsNotUsedIsForgotten) {
  Player p;
  JoinRequest request = Player::request();
  request.require_known_member = true;
  const std::string member = p.answer(p.join(request)).member;
  p.pass(10'000);
  EXPECT_TRUE(p.core.unused());
  request.member = member;
  EXPECT_EQ(p.answer(p.join(request)).error, KafkaError::unknown_member_id);
}

TEST(Join, ARebalanceWaitsForAnIdHandedOut) {
  Player p;
  auto members = p.stable(1);
  JoinRequest request = Player::request();
  request.require_known_member = true;
  const std::string coming = p.answer(p.join(request)).member;
  EXPECT_EQ(p.core.state(), State::stable);
  auto rejoin = p.join(members[0]);
  EXPECT_TRUE(p.waits(rejoin));
  request.member = coming;
  auto joined = p.join(request);
  EXPECT_EQ(p.answer(rejoin).members.size(), 2u);
  EXPECT_EQ(p.answer(joined).generation, 2);
}

TEST(Join, BadRequestsGetTheirErrors) {
  Player p;
  JoinRequest request = Player::request();
  request.session_timeout_ms = 1;
  EXPECT_EQ(p.answer(p.join(request)).error, KafkaError::invalid_session_timeout);
  request.session_timeout_ms = 1'800'001;
  EXPECT_EQ(p.answer(p.join(request)).error, KafkaError::invalid_session_timeout);
  request = Player::request();
  request.protocols.clear();
  EXPECT_EQ(p.answer(p.join(request)).error, KafkaError::inconsistent_group_protocol);
  EXPECT_EQ(p.answer(p.join("nobody")).error, KafkaError::unknown_member_id);
  p.stable(1);
  request = Player::request();
  request.protocol_type = "connect";
  EXPECT_EQ(p.answer(p.join(request)).error, KafkaError::inconsistent_group_protocol);
  request = Player::request();
  request.protocols = {{"sticky", ""}};
  EXPECT_EQ(p.answer(p.join(request)).error, KafkaError::inconsistent_group_protocol);
}

TEST(Join, AFullGroupRefusesNewMembersButNotItsOwn) {
  Options options;
  options.group_size_max = 2;
  Player p(options);
  auto members = p.stable(2);
  auto refused = p.join();
  EXPECT_EQ(p.answer(refused).error, KafkaError::group_max_size_reached);
  auto a = p.join(members[0]), b = p.join(members[1]);
  EXPECT_EQ(p.answer(a).error, KafkaError::none);
  EXPECT_EQ(p.answer(b).error, KafkaError::none);
}

TEST(Join, MetadataIsLimitedByMemberAndByGroup) {
  Options options;
  options.member_metadata_bytes_max = 2'000;
  options.group_metadata_bytes_max = 3'000;
  Player p(options);
  EXPECT_EQ(p.answer(p.join(Player::request("", std::string(2'000, 'x')))).error,
            KafkaError::group_max_size_reached);
  p.join(Player::request("", std::string(1'500, 'x')));
  EXPECT_EQ(p.answer(p.join(Player::request("", std::string(1'500, 'x')))).error,
            KafkaError::group_max_size_reached);
}

TEST(Join, IdsHandedOutAreLimited) {
  Options options;
  options.group_size_max = 3;
  Player p(options);
  JoinRequest request = Player::request();
  request.require_known_member = true;
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(p.answer(p.join(request)).error, KafkaError::member_id_required);
  EXPECT_EQ(p.answer(p.join(request)).error, KafkaError::group_max_size_reached);
}

TEST(Join, TheProtocolIsVotedForAmongThoseThatAllKnow) {
  Player p;
  auto with = [](std::vector<JoinProtocol> protocols) {
    JoinRequest request = Player::request();
    request.protocols = std::move(protocols);
    return request;
  };
  auto a = p.join(with({{"x", "ax"}, {"range", "ar"}, {"sticky", "as"}}));
  p.join(with({{"sticky", ""}, {"range", ""}}));
  p.join(with({{"sticky", ""}, {"y", ""}, {"range", ""}}));
  p.until(a);
  EXPECT_EQ(p.answer(a).protocol, "sticky");
  EXPECT_EQ(p.answer(a).members[0].metadata, "as");
}

TEST(Join, AFollowerThatAsksAgainHearsTheCurrentGeneration) {
  Player p;
  auto members = p.stable(2);
  auto id = p.join(members[1]);
  EXPECT_EQ(p.answer(id).generation, 1);
  EXPECT_EQ(p.core.state(), State::stable);
  auto changed = p.join(Player::request(members[1], "other"));
  EXPECT_TRUE(p.waits(changed));
  EXPECT_EQ(p.core.state(), State::preparing_rebalance);
}

TEST(Join, TheLeaderThatAsksAgainWantsARebalance) {
  Player p;
  auto members = p.stable(2);
  auto id = p.join(members[0]);
  EXPECT_TRUE(p.waits(id));
  EXPECT_EQ(p.heartbeat(members[1]), KafkaError::rebalance_in_progress);
  p.join(members[1]);
  EXPECT_EQ(p.answer(id).generation, 2);
}

TEST(Join, ALostAnswerIsGivenAgainWhileTheGroupCompletes) {
  Player p;
  auto id = p.join();
  p.pass(3'000);
  const std::string member = p.answer(id).member;
  auto again = p.join(member);
  EXPECT_EQ(p.answer(again).generation, 1);
  EXPECT_EQ(p.answer(again).members.size(), 1u);
}

TEST(Join, ANewerJoinOfAMemberReplacesTheOlder) {
  Player p;
  auto members = p.stable(2);
  auto older = p.join(members[0]);
  auto newer = p.join(members[0]);
  EXPECT_EQ(p.answer(older).error, KafkaError::rebalance_in_progress);
  EXPECT_TRUE(p.waits(newer));
}

TEST(Rebalance, WhoDoesNotRejoinInTimeIsOut) {
  Player p;
  auto members = p.stable(3);
  auto id = p.join(members[0]);
  for (int i = 0; i < 59; ++i) {
    p.pass(1'000);
    for (int m : {1, 2}) EXPECT_EQ(p.heartbeat(members[m]), KafkaError::rebalance_in_progress);
  }
  EXPECT_TRUE(p.waits(id));
  p.pass(1'000);
  EXPECT_EQ(p.answer(id).members.size(), 1u);
  EXPECT_EQ(p.heartbeat(members[1]), KafkaError::unknown_member_id);
}

TEST(Rebalance, AnExpiredSessionLetsTheOthersGoOn) {
  Player p;
  auto members = p.stable(2);
  auto id = p.join(members[0]);
  p.pass(10'000);
  EXPECT_EQ(p.answer(id).generation, 2);
  EXPECT_EQ(p.answer(id).members.size(), 1u);
}

TEST(Rebalance, AnExpiredLeaderIsReplaced) {
  Player p;
  auto members = p.stable(2);
  for (int i = 0; i < 3; ++i) {
    p.pass(4'000);
    p.heartbeat(members[1]);
  }
  EXPECT_EQ(p.core.state(), State::preparing_rebalance);
  auto id = p.join(members[1]);
  EXPECT_EQ(p.answer(id).leader, members[1]);
  EXPECT_EQ(p.answer(id).members.size(), 1u);
}

TEST(Rebalance, AWaitingSyncIsReleasedWhenANewOneStarts) {
  Player p;
  auto a = p.join(), b = p.join();
  p.until(a);
  const std::string follower =
      p.answer(a).leader == p.answer(a).member ? p.answer(b).member : p.answer(a).member;
  auto waiting = p.sync(follower);
  EXPECT_TRUE(p.waits(waiting));
  auto third = p.join();
  EXPECT_EQ(p.synced.at(waiting).error, KafkaError::rebalance_in_progress);
  EXPECT_EQ(p.core.state(), State::preparing_rebalance);
  p.until(third);
  EXPECT_EQ(p.core.members().size(), 1u) << "who was released and never came back is out";
}

TEST(Rebalance, WhoDoesNotSyncInTimeIsOut) {
  Player p;
  auto a = p.join();
  auto b = p.join();
  p.until(a);
  const std::string first = p.answer(a).member, second = p.answer(b).member;
  p.sync(first, {{first, "1"}, {second, "2"}});
  p.write_all();
  for (int i = 0; i < 70; ++i) {
    p.pass(1'000);
    p.heartbeat(first);
    p.heartbeat(second);
  }
  EXPECT_FALSE(p.core.members().contains(second));
  EXPECT_TRUE(p.core.members().contains(first));
  EXPECT_EQ(p.heartbeat(first), KafkaError::rebalance_in_progress);
}

TEST(Rebalance, TwoStepsOfACooperativeOneLoseNobody) {
  Player p;
  auto members = p.stable(2);
  auto third = p.join();
  for (const auto& id : members) EXPECT_EQ(p.heartbeat(id), KafkaError::rebalance_in_progress);
  std::vector<RequestId> rejoined{p.join(members[0]), p.join(members[1])};
  EXPECT_EQ(p.answer(third).generation, 2);
  p.settle();
  // They gave up what moves and join again at once: the leader with new metadata.
  auto second_step = p.join(Player::request(members[0], "owned"));
  p.join(members[1]);
  p.join(p.answer(third).member);
  EXPECT_EQ(p.answer(second_step).generation, 3);
  EXPECT_EQ(p.answer(second_step).members.size(), 3u);
  p.settle();
}

TEST(Rebalance, TheGenerationWrapsToOne) {
  GroupRecord record{"consumer", INT32_MAX, {}, {}, 0, {}};
  Player p({}, &record);
  auto id = p.join();
  p.pass(3'000);
  EXPECT_EQ(p.answer(id).generation, 1);
}

TEST(Sync, AnAssignmentIsToldWhenItIsDurable) {
  Player p;
  auto id = p.join();
  p.pass(3'000);
  const std::string member = p.answer(id).member;
  auto sync = p.sync(member, {{member, "mine"}, {"stranger", "x"}});
  ASSERT_TRUE(p.waits(sync));
  ASSERT_EQ(p.writes.size(), 1u);
  EXPECT_EQ(p.writes[0].record.members[0].assignment, "mine");
  EXPECT_EQ(p.writes[0].record.members[0].subscription, "m");
  EXPECT_EQ(p.writes[0].record.generation, 1);
  p.write_all();
  EXPECT_EQ(p.synced.at(sync).assignment, "mine");
  EXPECT_EQ(p.core.state(), State::stable);
  EXPECT_EQ(p.synced.at(p.sync(member)).assignment, "mine");
}

TEST(Sync, AFailedWriteStartsANewRebalance) {
  Player p;
  auto id = p.join();
  p.pass(3'000);
  auto sync = p.sync(p.answer(id).member);
  p.write_all(KafkaError::not_coordinator);
  EXPECT_EQ(p.synced.at(sync).error, KafkaError::not_coordinator);
  EXPECT_EQ(p.core.state(), State::preparing_rebalance);
}

TEST(Sync, AWriteThatARebalanceOvertookChangesNothing) {
  Player p;
  auto id = p.join();
  p.pass(3'000);
  auto sync = p.sync(p.answer(id).member);
  p.join();
  EXPECT_EQ(p.synced.at(sync).error, KafkaError::rebalance_in_progress);
  p.write_all();
  EXPECT_EQ(p.core.state(), State::preparing_rebalance);
}

TEST(Sync, StrangersAndOldGenerationsAreRefused) {
  Player p;
  auto members = p.stable(1);
  EXPECT_EQ(p.synced.at(p.sync("x")).error, KafkaError::unknown_member_id);
  EXPECT_EQ(p.synced.at(p.sync(members[0], {}, 7)).error, KafkaError::illegal_generation);
  SyncRequest request{"g", 1, members[0], {}, "connect", {}, {}};
  p.take(p.core.sync(++p.last_id, request, p.now));
  EXPECT_EQ(p.synced.at(p.last_id).error, KafkaError::inconsistent_group_protocol);
}

TEST(Heartbeat, FollowsTheStates) {
  Player p;
  auto id = p.join();
  p.pass(3'000);
  const std::string member = p.answer(id).member;
  EXPECT_EQ(p.core.state(), State::completing_rebalance);
  EXPECT_EQ(p.heartbeat(member), KafkaError::none);
  EXPECT_EQ(p.heartbeat(member, 0), KafkaError::illegal_generation);
  EXPECT_EQ(p.heartbeat("x"), KafkaError::unknown_member_id);
  p.settle();
  for (int i = 0; i < 10; ++i) {
    p.pass(9'000);
    EXPECT_EQ(p.heartbeat(member), KafkaError::none);
  }
  p.pass(10'000);
  EXPECT_EQ(p.heartbeat(member), KafkaError::unknown_member_id);
  EXPECT_EQ(p.core.state(), State::empty);
}

TEST(Leave, TheLastMemberEndsTheGenerationDurably) {
  Player p;
  auto members = p.stable(1);
  EXPECT_EQ(p.leave(members[0]), KafkaError::none);
  EXPECT_EQ(p.core.state(), State::empty);
  ASSERT_EQ(p.writes.size(), 1u);
  EXPECT_EQ(p.writes[0].record.generation, 2);
  EXPECT_TRUE(p.writes[0].record.members.empty());
  EXPECT_FALSE(p.core.unused());
  p.write_all();
  EXPECT_TRUE(p.core.unused());
  EXPECT_EQ(p.leave(members[0]), KafkaError::unknown_member_id);
}

TEST(Leave, TheOthersRebalanceUnderANewLeader) {
  Player p;
  auto members = p.stable(2);
  p.leave(members[0]);
  EXPECT_EQ(p.heartbeat(members[1]), KafkaError::rebalance_in_progress);
  EXPECT_EQ(p.answer(p.join(members[1])).leader, members[1]);
}

TEST(Leave, AWaitingJoinAndSyncOfTheLeaverAreAnswered) {
  Player p;
  auto members = p.stable(2);
  auto join = p.join(members[0]);
  p.leave(members[0]);
  EXPECT_EQ(p.answer(join).error, KafkaError::unknown_member_id);
  auto again = p.join(members[1]);
  EXPECT_EQ(p.answer(again).generation, 2);
}

TEST(Commit, FollowsTheStates) {
  Player p;
  EXPECT_EQ(p.commit("", -1), KafkaError::none) << "a simple group";
  EXPECT_EQ(p.commit("x", 1), KafkaError::unknown_member_id);
  auto id = p.join();
  p.pass(3'000);
  const std::string member = p.answer(id).member;
  EXPECT_EQ(p.commit(member, 1), KafkaError::rebalance_in_progress) << "CompletingRebalance";
  p.settle();
  EXPECT_EQ(p.commit(member, 1), KafkaError::none);
  EXPECT_EQ(p.commit(member, 2), KafkaError::illegal_generation);
  EXPECT_EQ(p.commit("", -1), KafkaError::unknown_member_id);
  p.join();
  EXPECT_EQ(p.core.state(), State::preparing_rebalance);
  EXPECT_EQ(p.commit(member, 1), KafkaError::none) << "before it rejoins it saves its work";
}

TEST(Restart, AStableGroupGoesOnWithoutARebalance) {
  GroupRecord record{"consumer", 4, "range", "b", 0, {}};
  record.members.push_back({"a", {}, "c", "h", 60'000, 10'000, "sa", "1"});
  record.members.push_back({"b", "i", "c", "h", 60'000, 10'000, "sb", "2"});
  Player p({}, &record);
  EXPECT_EQ(p.core.state(), State::stable);
  EXPECT_EQ(p.heartbeat("a", 4), KafkaError::none);
  EXPECT_EQ(p.heartbeat("b", 4, "i"), KafkaError::none);
  EXPECT_EQ(p.synced.at(p.sync("b")).assignment, "2");
  EXPECT_EQ(p.answer(p.join(Player::request("a", "sa"))).generation, 4);
  p.pass(10'000);
  EXPECT_EQ(p.core.state(), State::empty) << "who is not heard of again is out";
}

TEST(Delete, OnlyAnEmptyGroupDies) {
  Player p;
  auto members = p.stable(1);
  EXPECT_EQ(p.core.begin_delete(), KafkaError::non_empty_group);
  p.leave(members[0]);
  EXPECT_EQ(p.core.begin_delete(), KafkaError::none);
  EXPECT_EQ(p.answer(p.join()).error, KafkaError::coordinator_not_available);
  EXPECT_EQ(p.commit("", -1), KafkaError::coordinator_not_available);
  p.core.delete_failed();
  EXPECT_EQ(p.commit("", -1), KafkaError::none);
}

TEST(Expiry, FollowsTheKindOfGroup) {
  Options options;
  const int64_t retention = options.offsets_retention_ms;
  Player p;
  OffsetValue value;
  value.commit_time_ms = p.now.wall_ms;
  auto expired = [&](const std::string& topic, int64_t after) {
    return p.core.expirable({topic, 0}, value, p.core.subscribed_topics(), p.now.wall_ms + after);
  };
  EXPECT_FALSE(expired("t", retention - 1)) << "a simple group counts from the commit";
  EXPECT_TRUE(expired("t", retention));
  value.expire_at_ms = p.now.wall_ms + 5;
  EXPECT_FALSE(expired("t", 4));
  EXPECT_TRUE(expired("t", 5));
  value.expire_at_ms = -1;

  JoinRequest request = Player::request("", std::string("\0\1\0\0\0\1\0\1t", 9));
  auto id = p.join(request);
  p.pass(3'000);
  EXPECT_FALSE(expired("u", retention * 2)) << "not in a rebalance";
  p.settle();
  EXPECT_FALSE(expired("t", retention * 2)) << "subscribed";
  EXPECT_TRUE(expired("u", retention * 2));
  EXPECT_TRUE(p.core.subscribed("t"));
  EXPECT_FALSE(p.core.subscribed("u"));
  p.leave(p.answer(id).member);
  value.commit_time_ms = 0;
  EXPECT_FALSE(expired("t", retention - 1)) << "an empty group counts from its end";
  EXPECT_TRUE(expired("t", retention));
}

TEST(Offsets, OnlyConsumersDeleteUnderALiveGroup) {
  Player p;
  EXPECT_EQ(p.core.admit_offset_delete(), KafkaError::none);
  p.stable(1);
  EXPECT_EQ(p.core.admit_offset_delete(), KafkaError::none);
  EXPECT_TRUE(p.core.subscribed("any")) << "a subscription that cannot be read covers all";
  Player q;
  JoinRequest request = Player::request();
  request.protocol_type = "connect";
  q.join(request);
  EXPECT_EQ(q.core.admit_offset_delete(), KafkaError::non_empty_group);
}

}  // namespace
}  // namespace paceline::group
