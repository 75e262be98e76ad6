#include "group/coordinator_player_test.h"

namespace paceline::group {
namespace {

TEST_F(CoordinatorTest, ACommitIsSeenWhenItIsDurableAndNotBefore) {
  auto pending = start(coordinator->commit(commit_of("g", 5)));
  shard.pass(4);
  EXPECT_FALSE(pending->has_value());
  EXPECT_EQ(fetched(*coordinator, "g"), -1);
  shard.pass(4);
  ASSERT_TRUE(pending->has_value());
  EXPECT_EQ(fetched(*coordinator, "g"), 5);
  EXPECT_EQ(fetched(*coordinator, "other"), -1);
  EXPECT_EQ(coordinator->fetch_offsets("g", std::nullopt).size(), 1u);
}

TEST_F(CoordinatorTest, CommitsThatComeTogetherShareAnAppend) {
  std::vector<std::shared_ptr<std::optional<std::vector<KafkaError>>>> pending;
  for (int i = 0; i < 20; ++i)
    pending.push_back(start(coordinator->commit(commit_of("g" + std::to_string(i), i))));
  shard.pass(50);
  for (auto& one : pending) EXPECT_TRUE(one->has_value());
  EXPECT_EQ(partition.appends, 2);
  EXPECT_EQ(fetched(*coordinator, "g19"), 19);
}

TEST_F(CoordinatorTest, MetadataRoundTripsNullAndEmptyApartAndIsLimited) {
  CommitRequest request = commit_of("g", 1);
  request.offsets.push_back(request.offsets[0]);
  request.offsets.push_back(request.offsets[0]);
  request.offsets[1].at.partition = 1;
  request.offsets[1].metadata = "";
  request.offsets[2].at.partition = 2;
  request.offsets[2].metadata = std::string(4'097, 'x');
  const auto errors = get(coordinator->commit(request));
  EXPECT_EQ(errors, (std::vector<KafkaError>{KafkaError::none, KafkaError::none,
                                             KafkaError::offset_metadata_too_large}));
  const auto offsets = coordinator->fetch_offsets("g", std::nullopt);
  ASSERT_EQ(offsets.size(), 2u);
  EXPECT_EQ(offsets[0].second.metadata, std::nullopt);
  EXPECT_EQ(offsets[1].second.metadata, "");
}

TEST_F(CoordinatorTest, AFailedAppendIsAnErrorAndNothingIsSeen) {
  EXPECT_EQ(commit("g", 1), KafkaError::none);
  partition.fail_with = KafkaError::not_leader_or_follower;
  EXPECT_EQ(commit("g", 2), KafkaError::not_coordinator);
  partition.fail_with = KafkaError::request_timed_out;
  EXPECT_EQ(commit("g", 3), KafkaError::coordinator_not_available);
  EXPECT_EQ(fetched(*coordinator, "g"), 1);
  partition.fail_with.reset();
  EXPECT_EQ(commit("g", 4), KafkaError::none);
  EXPECT_EQ(fetched(*coordinator, "g"), 4);
}

TEST_F(CoordinatorTest, OnlyTheCommitThatIsTooLargeIsRefused) {
  partition.bytes_max = 1'000;
  auto first = start(coordinator->commit(commit_of("a", 1)));
  CommitRequest large = commit_of("b", 2);
  large.offsets[0].metadata = std::string(2'000, 'x');
  auto second = start(coordinator->commit(large));
  auto third = start(coordinator->commit(commit_of("c", 3)));
  shard.pass(100);
  EXPECT_EQ((**first)[0], KafkaError::none);
  EXPECT_EQ((**second)[0], KafkaError::invalid_commit_offset_size);
  EXPECT_EQ((**third)[0], KafkaError::none);
}

TEST_F(CoordinatorTest, MembershipOfACommitIsChecked) {
  CommitRequest request = commit_of("g", 1);
  request.generation = 1;
  request.member = "m";
  EXPECT_EQ(get(coordinator->commit(request))[0], KafkaError::illegal_generation);
  EXPECT_TRUE(coordinator->list().empty()) << "a refused commit leaves no group behind";
  request.member = stable("g");
  EXPECT_EQ(get(coordinator->commit(request))[0], KafkaError::none);
  EXPECT_EQ(commit("g", 2), KafkaError::unknown_member_id);
}

TEST_F(CoordinatorTest, AGroupIsListedAndDescribed) {
  const std::string member = stable("g");
  commit("simple", 1);
  const auto listed = coordinator->list();
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0].group, "g");
  EXPECT_EQ(listed[0].state, "Stable");
  EXPECT_EQ(listed[1].state, "Empty");
  EXPECT_EQ(listed[1].protocol_type, "");
  const auto described = coordinator->describe("g");
  ASSERT_TRUE(described);
  EXPECT_EQ(described->members[0].member, member);
  EXPECT_EQ(described->members[0].assignment, "mine");
  EXPECT_EQ(described->protocol, "range");
  EXPECT_FALSE(coordinator->describe("nobody"));
}

TEST_F(CoordinatorTest, MemberIdsEndInAUuidAsKafkaPrintsIt) {
  const std::string member = stable("g");
  EXPECT_EQ(member.size(), 2 + 36u);
  EXPECT_EQ(member.substr(0, 2), "c-");
  EXPECT_EQ(member[2 + 14], '4');
}

TEST_F(CoordinatorTest, RequestsForUnknownGroupsGetTheirErrors) {
  EXPECT_EQ(get(coordinator->join(join_of(""))).error, KafkaError::invalid_group_id);
  JoinRequest known = join_of("g");
  known.member = "m";
  EXPECT_EQ(get(coordinator->join(known)).error, KafkaError::unknown_member_id);
  SyncRequest unknown;
  unknown.group = "g";
  EXPECT_EQ(get(coordinator->sync(unknown)).error, KafkaError::unknown_member_id);
  EXPECT_EQ(get(coordinator->heartbeat(HeartbeatRequest{"g", 1, "m", {}})),
            KafkaError::unknown_member_id);
  EXPECT_EQ(leave("g", "m"), KafkaError::unknown_member_id);
  EXPECT_EQ(get(coordinator->delete_group("g")), KafkaError::group_id_not_found);
  EXPECT_EQ(get(coordinator->delete_offsets("g", {{"t", 0}})).first,
            KafkaError::group_id_not_found);
  JoinRequest bad = join_of("g");
  bad.session_timeout_ms = 1;
  EXPECT_EQ(get(coordinator->join(bad)).error, KafkaError::invalid_session_timeout);
  EXPECT_TRUE(coordinator->list().empty());
}

TEST_F(CoordinatorTest, ADeletedGroupLeavesNothing) {
  const std::string member = stable("g");
  CommitRequest request = commit_of("g", 1);
  request.generation = 1;
  request.member = member;
  get(coordinator->commit(request));
  EXPECT_EQ(get(coordinator->delete_group("g")), KafkaError::non_empty_group);
  EXPECT_EQ(leave("g", member), KafkaError::none);
  EXPECT_EQ(get(coordinator->delete_group("g")), KafkaError::none);
  EXPECT_EQ(fetched(*coordinator, "g"), -1);
  EXPECT_TRUE(coordinator->list().empty());
  Image image;
  ASSERT_TRUE(image.restore(coordinator->snapshot(partition.durable_end)));
  EXPECT_TRUE(image.groups().empty());
}

TEST_F(CoordinatorTest, ACommitOnItsWayDoesNotSurviveTheDeletionOfItsGroup) {
  commit("g", 1);
  auto pending = start(coordinator->commit(commit_of("g", 2, "u")));
  auto deleted = start(coordinator->delete_group("g"));
  EXPECT_EQ((*get(coordinator->commit(commit_of("g", 3))).begin()),
            KafkaError::coordinator_not_available);
  EXPECT_EQ(**deleted, KafkaError::none);
  EXPECT_TRUE(coordinator->fetch_offsets("g", std::nullopt).empty());
  EXPECT_TRUE(coordinator->list().empty());
}

TEST_F(CoordinatorTest, OffsetsOfSubscribedTopicsAreNotDeleted) {
  commit("g", 1, "t");
  commit("g", 2, "u");
  stable("g");
  const auto [error, errors] =
      get(coordinator->delete_offsets("g", {{"t", 0}, {"u", 0}, {"v", 0}}));
  EXPECT_EQ(error, KafkaError::none);
  EXPECT_EQ(errors, (std::vector<KafkaError>{KafkaError::group_subscribed_to_topic,
                                             KafkaError::none, KafkaError::none}));
  EXPECT_EQ(fetched(*coordinator, "g", "t"), 1);
  EXPECT_EQ(fetched(*coordinator, "g", "u"), -1);
}

TEST_F(CoordinatorTest, OffsetsOfADeletedTopicGo) {
  commit("a", 1, "t");
  commit("a", 2, "u");
  commit("b", 3, "t");
  done(coordinator->forget_topic("t"));
  EXPECT_EQ(fetched(*coordinator, "a", "t"), -1);
  EXPECT_EQ(fetched(*coordinator, "a", "u"), 2);
  ASSERT_EQ(coordinator->list().size(), 1u) << "b has nothing left";
}

TEST_F(CoordinatorTest, OffsetsExpireAndTheirGroupDisappears) {
  const int64_t retention = Options{}.offsets_retention_ms;
  commit("g", 1);
  const std::string member = stable("h");
  leave("h", member);
  shard.pass(retention - 60'000);
  EXPECT_EQ(fetched(*coordinator, "g"), 1);
  commit("g", 2, "fresh");
  shard.pass(700'000);
  EXPECT_EQ(fetched(*coordinator, "g"), -1);
  EXPECT_EQ(fetched(*coordinator, "g", "fresh"), 2);
  EXPECT_EQ(coordinator->list().size(), 1u) << "h was empty and had no offsets";
  shard.pass(retention);
  EXPECT_TRUE(coordinator->list().empty());
}

TEST_F(CoordinatorTest, ClosingAnswersEverybodyWhoWaits) {
  auto waiting = start(coordinator->join(join_of("g")));
  auto committing = start(coordinator->commit(commit_of("h", 1)));
  auto queued = start(coordinator->commit(commit_of("h", 2)));
  done(coordinator->close());
  ASSERT_TRUE(waiting->has_value());
  EXPECT_EQ((*waiting)->error, KafkaError::not_coordinator);
  EXPECT_EQ((**committing)[0], KafkaError::none) << "it was on its way, and is durable";
  EXPECT_EQ((**queued)[0], KafkaError::not_coordinator);
  EXPECT_EQ(commit("g", 1), KafkaError::not_coordinator);
}

TEST_F(CoordinatorTest, BeforeItIsBoundItIsLoading) {
  GroupCoordinator loading(shard, Options{});
  EXPECT_EQ(get(loading.commit(commit_of("g", 1)))[0], KafkaError::coordinator_load_in_progress);
  EXPECT_EQ(get(loading.join(join_of("g"))).error, KafkaError::coordinator_load_in_progress);
}

TEST_F(CoordinatorTest, AnUnreadableSnapshotServesNothing) {
  GroupCoordinator broken(shard, Options{});
  broken.restore("\xff");
  broken.bind(partition);
  EXPECT_EQ(get(broken.commit(commit_of("g", 1)))[0], KafkaError::coordinator_not_available);
  EXPECT_EQ(broken.snapshot(Offset(0)), "\xff");
  done(broken.close());
}

TEST_F(CoordinatorTest, AMemberGoesOnAfterAFailoverWithItsAssignment) {
  const std::string member = stable("g");
  GroupCoordinator next(shard, Options{});
  next.restore("");
  for (const stream::Batch& batch : partition.batches) next.replay(batch);
  next.bind(partition);
  EXPECT_EQ(get(next.heartbeat(HeartbeatRequest{"g", 1, member, {}})), KafkaError::none);
  SyncRequest request;
  request.group = "g";
  request.generation = 1;
  request.member = member;
  EXPECT_EQ(get(next.sync(request)).assignment, "mine");
  shard.pass(10'100);
  EXPECT_EQ(next.describe("g")->state, "Empty") << "it was not heard of again";
  done(next.close());
}

// A random history of commits, joins, leaves and deletions. At every moment and for every cut:
// snapshot(cut) is what the records below the cut make, and with the rest replayed it is the whole.
TEST_F(CoordinatorTest, RestoreAndReplayGiveTheSameStateAtEveryCut) {
  env::Random random(11);
  std::string member;
  Offset floor{0};
  auto image_of = [&](Offset end) {
    GroupCoordinator other(shard, Options{});
    for (const stream::Batch& batch : partition.batches)
      if (batch.end() <= end) other.replay(batch);
    return other.snapshot(end);
  };
  std::vector<std::shared_ptr<std::optional<std::vector<KafkaError>>>> pending;
  for (int i = 0; i < 120; ++i) {
    const std::string group = "g" + std::to_string(random.below(4));
    const uint64_t dice = random.below(10);
    if (dice < 6) {
      pending.push_back(
          start(coordinator->commit(commit_of(group, i, "t" + std::to_string(random.below(3))))));
    } else if (dice < 7) {
      start(coordinator->delete_group(group));
    } else if (dice < 8 && member.empty()) {
      member = stable("member");
    } else if (dice < 9 && !member.empty()) {
      leave("member", member);
      member.clear();
    }
    shard.pass(static_cast<int64_t>(random.below(8)));
    // Cuts only move up; they lie at ends of batches, and may be durable before we have heard so.
    for (const stream::Batch& batch : partition.batches) {
      if (batch.end() < floor || !random.chance(0.2)) continue;
      floor = batch.end();
      const std::string snapshot = coordinator->snapshot(floor);
      ASSERT_EQ(snapshot, image_of(floor)) << "cut at " << floor.value;
      GroupCoordinator restored(shard, Options{});
      restored.restore(snapshot);
      for (const stream::Batch& above : partition.batches)
        if (above.base >= floor) restored.replay(above);
      ASSERT_EQ(restored.snapshot(partition.durable_end), image_of(partition.durable_end));
    }
  }
  shard.pass(100);
  EXPECT_GT(floor.value, 40);
  EXPECT_EQ(coordinator->snapshot(partition.durable_end), image_of(partition.durable_end));
}

}  // namespace
}  // namespace paceline::group
