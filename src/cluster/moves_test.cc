#include <gtest/gtest.h>

#include "cluster/cluster.h"
#include "cluster/lossy_store_test.h"
#include "env/test_shards.h"
#include "meta/model.h"

// Planned moves between two brokers of one cluster, as far as the metadata know of them.

namespace paceline::cluster {
namespace {

class MovesTest : public testing::Test {
 protected:
  MovesTest() : store_(model_.connect()) {
    join(1);
    join(2);
    wait_for([&] { return by(1).image()->brokers.size() == 2; });
    NewTopic topic;
    topic.name = "t";
    topic.partition_count = 130;
    topic.replication_factor = 2;
    id_ = *wait(by(1).create_topic(shard(), topic));
    wait_for([&] { return by(2).image()->topic("t") != nullptr; });
    for (uint32_t index = 0; index < 130; ++index)
      (led(1, index).leader == BrokerId(1) ? of_one_ : of_two_).push_back(index);
    store_.key = page_key(of_one_[0]);
  }
  ~MovesTest() override {
    while (!members_.empty()) end(members_.begin()->first);
  }

  env::Shard& shard() { return world_.shard(0); }
  Cluster& by(int number) { return *members_.at(number); }
  template <class T>
  T wait(Task<T> task) {
    std::optional<T> value;
    auto body = [](Task<T> inner, std::optional<T>* out) -> Task<void> {
      out->emplace(co_await std::move(inner));
    };
    world_.run(0, body(std::move(task), &value));
    return std::move(*value);
  }
  void wait_for(const std::function<bool()>& done) {
    auto sleep = [](env::Shard& on) -> Task<void> {
      co_await env::sleep_for(on, std::chrono::milliseconds(5));
    };
    for (int i = 0; i < 400 && !done(); ++i) world_.run(0, sleep(shard()));
    EXPECT_TRUE(done());
  }
  void join(int number) {
    Options options;
    options.broker = BrokerId(number);
    auto joined = wait(Cluster::join(shard(), store_, options));
    CHECK(joined);
    members_[number] = std::move(*joined);
  }
  void end(int number) {
    auto stop = [](Cluster* which, env::Shard& on) -> Task<void> { co_await which->stop(on); };
    world_.run(0, stop(&by(number), shard()));
    members_.erase(number);
  }
  StreamId stream(uint32_t index) const { return {id_, index}; }
  std::string page_key(uint32_t index) const { return meta::page_key(id_, index / 64); }
  PartitionImage led(int as_seen_by, uint32_t index) {
    return by(as_seen_by).image()->topic("t")->partitions[index];
  }
  std::vector<Moving> begin(std::vector<uint32_t> indexes, int source = 1) {
    std::vector<StreamId> streams;
    for (uint32_t index : indexes) streams.push_back(stream(index));
    auto moves = wait(by(source).begin_moves(shard(), streams));
    CHECK(moves);
    return *moves;
  }
  // As storage gives it: our lane's record, compared and written.
  meta::Transaction own(int target) {
    const std::string key = meta::lane_key(by(target).lane());
    auto entry = *wait(store_.get(shard(), key));
    meta::Transaction transaction;
    transaction.if_modified_at(key, entry->modified).put(key, entry->value);
    return transaction;
  }
  Result<Revision> take(std::vector<Moving> moves, int target = 2, int source = 1) {
    return wait(by(target).take_over(shard(), by(source).lane(), std::move(moves), own(target)));
  }
  Result<bool> call_off(std::vector<Moving> moves, int source = 1) {
    return wait(by(source).call_off(shard(), std::move(moves)));
  }
  Revision lane_revision(int number) {
    return (*wait(store_.get(shard(), meta::lane_key(by(number).lane()))))->modified;
  }

  env::SimTestShards world_;
  meta::Model model_{5};
  LossyStore store_;
  std::map<int, std::unique_ptr<Cluster>> members_;
  Uuid id_;
  std::vector<uint32_t> of_one_, of_two_;
};

TEST_F(MovesTest, MovedPartitionsHaveTheNextEpochAndTheTargetsLaneAtOnce) {
  const std::vector<uint32_t> some = {of_one_[0], of_one_[1], of_one_.back()};
  const auto moves = begin(some);
  auto done = take(moves);
  ASSERT_TRUE(done);
  EXPECT_EQ(*done, lane_revision(2));
  for (int seer : {1, 2}) wait_for([&] { return led(seer, some[2]).lane == by(2).lane(); });
  for (uint32_t index : some) {
    EXPECT_EQ(led(1, index).epoch, Epoch(1));
    EXPECT_EQ(led(1, index).leader, BrokerId(2));
    EXPECT_EQ(led(1, index).preferred, std::vector{BrokerId(1)});
    EXPECT_EQ(led(1, index).replicas, (std::vector{BrokerId(2), BrokerId(1)}));
  }
  EXPECT_EQ(led(1, of_one_[2]).leader, BrokerId(1));
  EXPECT_TRUE(*call_off(moves));
  // And back, from there.
  ASSERT_TRUE(take(begin({some[0]}, 2), 1, 2));
  wait_for([&] { return led(2, some[0]).lane == by(1).lane(); });
  EXPECT_EQ(led(2, some[0]).epoch, Epoch(2));
}

// A preference decides who takes over, and is written in the last moment before its broker ends.
TEST_F(MovesTest, NoImageShowsTwoLeadersOfOneEpoch) {
  std::map<std::pair<uint32_t, Epoch>, BrokerId> leaders;
  size_t looked = 0;
  auto look = [&](std::shared_ptr<const Image> image) {
    const TopicImage* topic = image->topic("t");
    for (uint32_t index = 0; topic && index < topic->partitions.size(); ++index) {
      const PartitionImage& one = topic->partitions[index];
      if (one.leader == BrokerId(-1)) continue;
      const auto [first, fresh] = leaders.try_emplace({index, one.epoch}, one.leader);
      EXPECT_EQ(first->second, one.leader) << index << " in epoch " << one.epoch.value;
      ++looked;
    }
  };
  model_.faults().watch_cut = 0.3;  // what comes by another watch comes first
  join(3);
  join(4);
  for (int seer : {1, 2, 3, 4}) by(seer).on_image(look);
  for (int round = 0; round < 24; ++round) {
    const int victim = 1 + round % 4;
    const int other = 1 + (round + 1) % 4;
    for (int seer : {victim, other})
      wait_for([&] { return by(seer).image()->brokers.size() == 4; });
    std::vector<Preference> wishes;
    for (uint32_t index = 0; index < 130; ++index)
      if (led(victim, index).lane == by(victim).lane())
        wishes.push_back({stream(index), {BrokerId(1 + (victim + static_cast<int>(index)) % 4)}});
    ASSERT_FALSE(wishes.empty());
    ASSERT_TRUE(wait(by(victim).prefer(shard(), wishes)));
    ASSERT_TRUE(wait(by(other).fence(shard(), by(victim).lane(), {}))->by_us);
    end(victim);
    join(victim);
    by(victim).on_image(look);
  }
  EXPECT_GT(looked, 0u);
}

TEST_F(MovesTest, AMoveThatIsCalledOffNeverHappens) {
  const auto moves = begin({of_one_[0], of_one_.back()});
  EXPECT_FALSE(*call_off(moves));
  EXPECT_EQ(take(moves).error().code, Code::conflict);
  EXPECT_EQ(led(2, of_one_[0]).lane, by(1).lane());
  EXPECT_TRUE(take(begin({of_one_[0]})));
}

TEST_F(MovesTest, ALostAnswerIsReadBackByTheTarget) {
  store_.next = LossyStore::Loss::after_commit;
  auto done = take(begin({of_one_[0]}));
  ASSERT_TRUE(done);
  EXPECT_EQ(*done, lane_revision(2));
  store_.next = LossyStore::Loss::before_commit;
  EXPECT_EQ(take(begin({of_one_[1]})).error().code, Code::conflict);
}

TEST_F(MovesTest, WhatTheTargetGaveUpDoesNotHappenLater) {
  store_.next = LossyStore::Loss::late;
  const auto moves = begin({of_one_[0]});
  EXPECT_EQ(take(moves).error().code, Code::conflict);
  ASSERT_TRUE(store_.held);
  EXPECT_EQ(wait(store_.commit(shard(), *store_.held)).error().code, Code::conflict);
  EXPECT_FALSE(*call_off(moves));
}

TEST_F(MovesTest, AnUnknownOutcomeOfCallingOffIsReadBack) {
  for (const auto loss : {LossyStore::Loss::after_commit, LossyStore::Loss::before_commit}) {
    store_.next = loss;
    const auto moves = begin({of_one_[0]});
    EXPECT_FALSE(*call_off(moves));
    EXPECT_EQ(take(moves).error().code, Code::conflict);
  }
}

TEST_F(MovesTest, NothingMovesFromOrToAFencedBroker) {
  join(3);
  wait_for([&] { return by(1).image()->brokers.size() == 3; });
  const auto moves = begin({of_one_[0]});
  ASSERT_TRUE(wait(by(3).fence(shard(), by(1).lane(), {})));
  EXPECT_EQ(take(moves).error().code, Code::conflict);
  const auto others = begin({of_two_[0]}, 2);
  ASSERT_TRUE(wait(by(2).fence(shard(), by(3).lane(), {})));
  EXPECT_EQ(take(others, 3, 2).error().code, Code::conflict);
  EXPECT_EQ(led(2, of_two_[0]).lane, by(2).lane());
}

TEST_F(MovesTest, OnlyWhatIsLedMovesAndOnlyWithItsPage) {
  EXPECT_EQ(wait(by(1).begin_moves(shard(), {stream(of_two_[0])})).error().code, Code::conflict);
  const auto first = begin({of_one_[0]}), second = begin({of_one_[1]});
  ASSERT_TRUE(take(first));
  EXPECT_EQ(take(second).error().code, Code::conflict);  // of the same page
}

TEST_F(MovesTest, APreferenceIsKeptByAMoveAndDecidesAboutSuccessors) {
  join(3);
  wait_for([&] { return by(1).image()->brokers.size() == 3; });
  const StreamId one = stream(of_one_[0]);
  const std::vector<BrokerId> wanted = {BrokerId(3), BrokerId(1)};
  ASSERT_TRUE(wait(by(1).prefer(shard(), {{one, wanted}})));
  EXPECT_EQ(led(1, one.index).preferred, wanted);
  EXPECT_EQ(led(1, one.index).replicas, wanted);
  EXPECT_EQ(led(1, one.index).leader, BrokerId(1));
  EXPECT_EQ(wait(by(2).prefer(shard(), {{one, wanted}})).error().code, Code::conflict);
  ASSERT_TRUE(take(begin({one.index})));
  wait_for([&] { return led(3, one.index).lane == by(2).lane(); });
  EXPECT_EQ(led(3, one.index).preferred, wanted);
  ASSERT_TRUE(wait(by(1).fence(shard(), by(2).lane(), {})));
  wait_for([&] { return led(1, one.index).leader == BrokerId(3); });
  EXPECT_EQ(led(1, one.index).epoch, Epoch(2));
}

}  // namespace
}  // namespace paceline::cluster
