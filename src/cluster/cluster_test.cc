#include "cluster/cluster.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>

#include "cluster/lossy_store_test.h"
#include "env/test_shards.h"
#include "meta/etcd.h"
#include "meta/etcd_cluster_test.h"
#include "meta/model.h"

namespace paceline::cluster {
namespace {

// Shards, and a metadata store to open on them.
class Place {
 public:
  virtual ~Place() = default;
  virtual env::Shard& shard(size_t index) = 0;
  virtual void run(size_t index, Task<void> task) = 0;
  virtual std::unique_ptr<meta::Store> open() = 0;
};

class SqlitePlace : public Place {
 public:
  env::Shard& shard(size_t index) override { return world_.shard(index); }
  void run(size_t index, Task<void> task) override { world_.run(index, std::move(task)); }
  std::unique_ptr<meta::Store> open() override {
    auto store = meta::open_sqlite_store(shard(0).disk(), shard(0), world_.dir() + "/meta");
    CHECK(store);
    return std::move(*store);
  }

 private:
  env::RealTestShards world_;
};

class EtcdPlace final : public SqlitePlace {
 public:
  // One cluster for all tests; each has a prefix of its own. Made here: it starts processes.
  EtcdPlace() {
    static meta::EtcdCluster cluster;
    static int places = 0;
    url_ = fmt::format("etcd://{}/cluster/{}", cluster.endpoints(), ++places);
  }
  std::unique_ptr<meta::Store> open() override {
    auto options = meta::parse_etcd_url(url_);
    CHECK(options);
    auto store = meta::open_etcd_store(shard(0), std::move(*options));
    CHECK(store);
    return std::move(*store);
  }

 private:
  std::string url_;
};

class ModelPlace final : public Place {
 public:
  ModelPlace() { model_.faults() = {.foreign_write = 0.5, .watch_cut = 0.2}; }
  env::Shard& shard(size_t index) override { return world_.shard(index); }
  void run(size_t index, Task<void> task) override { world_.run(index, std::move(task)); }
  std::unique_ptr<meta::Store> open() override { return model_.connect(); }

 private:
  env::SimTestShards world_;
  meta::Model model_{5};
};

struct PlaceParam {
  std::string name;
  std::function<std::unique_ptr<Place>()> make;
};

class ClusterTest : public testing::TestWithParam<PlaceParam> {
 protected:
  void SetUp() override {
    auto open = [](ClusterTest* test) -> Task<void> {
      test->store_ = std::make_unique<LossyStore>(test->world_.open());
      co_return;
    };
    world_.run(0, open(this));
  }
  void TearDown() override {
    for (auto& member : members_) leave(member);
    auto close = [](ClusterTest* test) -> Task<void> {
      test->store_.reset();
      co_return;
    };
    world_.run(0, close(this));
  }

  template <class T>
  T wait(Task<T> task, size_t on = 0) {
    std::optional<T> value;
    auto body = [](Task<T> inner, std::optional<T>* out) -> Task<void> {
      out->emplace(co_await std::move(inner));
    };
    world_.run(on, body(std::move(task), &value));
    return std::move(*value);
  }
  Result<std::unique_ptr<Cluster>> try_join(std::optional<Uuid> demanded = {}, int32_t broker = 1,
                                            std::string rack = "a") {
    Options options;
    options.broker = BrokerId(broker);
    options.endpoints = {{"PLAIN", "localhost", 9092},
                         {std::string(meta::kPeerListener), "localhost", 9645}};
    options.rack = std::move(rack);
    options.cluster_id = demanded;
    return wait(Cluster::join(world_.shard(0), *store_, options));
  }
  Cluster& join() {
    auto joined = try_join();
    CHECK(joined);
    members_.push_back(std::move(*joined));
    return *members_.back();
  }
  void leave(std::unique_ptr<Cluster>& member) {
    auto end = [](ClusterTest* test, std::unique_ptr<Cluster>* which) -> Task<void> {
      co_await (*which)->stop(test->world_.shard(0));
      which->reset();
    };
    if (member) world_.run(0, end(this, &member));
  }
  Result<Uuid> create(Cluster& cluster, std::string name, uint32_t count = 1, size_t on = 0) {
    NewTopic topic;
    topic.name = std::move(name);
    topic.partition_count = count;
    return wait(cluster.create_topic(world_.shard(on), topic), on);
  }
  std::optional<meta::Entry> get(std::string key) {
    return *wait(store_->get(world_.shard(0), std::move(key)));
  }
  size_t count_under(std::string prefix) {
    return wait(meta::range_prefix(*store_, world_.shard(0), std::move(prefix)))->entries.size();
  }
  bool none_left_under(const std::string& prefix) {
    for (int i = 0; i < 200 && count_under(prefix) > 0; ++i) wait_ms(10);
    return count_under(prefix) == 0;
  }
  void wait_ms(int ms) {
    auto sleep = [](env::Shard& shard, int milliseconds) -> Task<void> {
      co_await env::sleep_for(shard, std::chrono::milliseconds(milliseconds));
    };
    world_.run(0, sleep(world_.shard(0), ms));
  }
  static Code code(const auto& result) { return result ? Code::io_error : result.error().code; }

  std::unique_ptr<Place> place_ = GetParam().make();
  Place& world_ = *place_;
  std::unique_ptr<LossyStore> store_;
  std::vector<std::unique_ptr<Cluster>> members_;
};

INSTANTIATE_TEST_SUITE_P(
    Places, ClusterTest,
    testing::Values(PlaceParam{"Sqlite", [] { return std::make_unique<SqlitePlace>(); }},
                    PlaceParam{"Model", [] { return std::make_unique<ModelPlace>(); }},
                    PlaceParam{"Etcd", [] { return std::make_unique<EtcdPlace>(); }}),
    [](const auto& param) { return param.param.name; });

TEST_P(ClusterTest, AJoinSealsTheLaneBeforeItAndOpensItsOwn) {
  Cluster& first = join();
  EXPECT_EQ(first.lane(), (Lane{BrokerId(1), Incarnation(1)}));
  Cluster& second = join();
  EXPECT_EQ(second.lane(), (Lane{BrokerId(1), Incarnation(2)}));
  EXPECT_EQ(first.cluster_id(), second.cluster_id());
  auto old = meta::decode<meta::LaneRecord>(get(meta::lane_key(first.lane()))->value);
  ASSERT_TRUE(old && old->sealed);
  ASSERT_EQ(old->successors.size(), 1u);
  EXPECT_EQ(old->successors[0].lane, second.lane());
  EXPECT_FALSE(meta::decode<meta::LaneRecord>(get(meta::lane_key(second.lane()))->value)->sealed);
  ASSERT_EQ(second.image()->brokers.size(), 1u);
  EXPECT_EQ(second.image()->brokers[0].incarnation, Incarnation(2));
}

TEST_P(ClusterTest, ThePortForBrokersIsNotForClients) {
  const auto image = join().image();
  ASSERT_EQ(image->brokers.size(), 1u);
  ASSERT_EQ(image->brokers[0].endpoints.size(), 1u);
  EXPECT_EQ(image->brokers[0].endpoints[0].port, 9092);
  ASSERT_TRUE(image->brokers[0].peer);
  EXPECT_EQ(image->brokers[0].peer->port, 9645);
}

TEST_P(ClusterTest, OfAllWhoFenceADeadBrokerOneIsTold) {
  members_.push_back(*try_join());
  members_.push_back(*try_join({}, 2));
  members_.push_back(*try_join({}, 3));
  const Lane dead = members_[0]->lane();
  leave(members_[0]);
  ASSERT_TRUE(wait(members_[1]->newest_image(world_.shard(0))));  // with all who have joined
  EXPECT_TRUE(wait(members_[1]->fence(world_.shard(0), dead, {}))->by_us);
  EXPECT_FALSE(wait(members_[2]->fence(world_.shard(0), dead, {}))->by_us);
  const auto record = meta::decode<meta::LaneRecord>(get(meta::lane_key(dead))->value);
  ASSERT_TRUE(record && record->sealed);
  ASSERT_EQ(record->successors.size(), 2u);
  EXPECT_EQ(members_[1]->image()->brokers.size(), 2u);
}

TEST_P(ClusterTest, WhoMayBeDeadAsWellTakesNothingOver) {
  for (int32_t id = 1; id <= 4; ++id) members_.push_back(*try_join({}, id));
  const auto heirs_of = [&](const Lane& lane) {
    std::vector<BrokerId> heirs;
    const auto record = meta::decode<meta::LaneRecord>(get(meta::lane_key(lane))->value);
    for (const meta::Successor& one : record->successors) heirs.push_back(one.lane.broker);
    return heirs;
  };
  const Lane first = members_[0]->lane(), second = members_[1]->lane();
  ASSERT_TRUE(wait(members_[3]->newest_image(world_.shard(0))));
  ASSERT_TRUE(wait(members_[3]->fence(world_.shard(0), first, {second.broker}))->by_us);
  EXPECT_EQ(heirs_of(first), (std::vector{BrokerId(3), BrokerId(4)}));
  // Whoever fences is sure of itself alone.
  ASSERT_TRUE(wait(members_[3]->fence(world_.shard(0), second, {BrokerId(3)}))->by_us);
  EXPECT_EQ(heirs_of(second), std::vector{BrokerId(4)});
}

TEST_P(ClusterTest, WhoIsGoneIsRememberedForAWhileUnlessItIsBack) {
  for (int32_t id = 1; id <= 3; ++id) members_.push_back(*try_join({}, id));
  Cluster& here = *members_[0];
  ASSERT_TRUE(wait(here.newest_image(world_.shard(0))));
  EXPECT_TRUE(here.image()->gone.empty());
  const auto gone = [&] {
    std::vector<BrokerId> ids;
    for (const GoneBroker& one : here.image()->gone) ids.push_back(one.broker.id);
    return ids;
  };
  for (size_t other : {1, 2}) {
    const Lane dead = members_[other]->lane();
    leave(members_[other]);
    ASSERT_TRUE(wait(here.fence(world_.shard(0), dead, {}))->by_us);
  }
  EXPECT_EQ(gone(), (std::vector{BrokerId(2), BrokerId(3)}));
  EXPECT_EQ(here.image()->gone[0].broker.endpoints.at(0).port, 9092);
  members_[1] = *try_join({}, 2);
  ASSERT_TRUE(wait(here.newest_image(world_.shard(0))));
  EXPECT_EQ(gone(), std::vector{BrokerId(3)}) << "2 is back";
  wait_ms(5'000);
  ASSERT_TRUE(create(here, "t"));
  EXPECT_TRUE(gone().empty());
}

TEST_P(ClusterTest, ANewTopicIsSpreadOverRacks) {
  members_.push_back(*try_join({}, 1, "a"));
  members_.push_back(*try_join({}, 2, "a"));
  members_.push_back(*try_join({}, 3, "b"));
  members_.push_back(*try_join({}, 4, "b"));
  for (const char* name : {"first", "second", "third"}) {
    NewTopic topic{name, 2, 2, false, {}};
    ASSERT_TRUE(wait(members_[3]->create_topic(world_.shard(0), topic)));
    std::set<bool> leaders;
    for (const PartitionImage& partition : members_[3]->image()->topic(name)->partitions) {
      leaders.insert(partition.leader.value <= 2);
      ASSERT_EQ(partition.replicas.size(), 2u);
      EXPECT_NE(partition.replicas[0].value <= 2, partition.replicas[1].value <= 2);
    }
    EXPECT_EQ(leaders.size(), 2u) << "both are led in one rack";
  }
}

TEST_P(ClusterTest, AnotherClusterIsRefused) {
  join();
  EXPECT_EQ(code(try_join(Uuid{{9, 9}})), Code::in_use);
}

TEST_P(ClusterTest, ARegistrationWhoseAnswerIsLostIsNeverUsedTwice) {
  join();
  store_->key = meta::broker_key(BrokerId(1));
  store_->next = LossyStore::Loss::after_commit;
  EXPECT_EQ(join().lane().incarnation, Incarnation(3));
  EXPECT_TRUE(
      meta::decode<meta::LaneRecord>(get(meta::lane_key({BrokerId(1), Incarnation(2)}))->value)
          ->sealed);
  store_->next = LossyStore::Loss::before_commit;
  EXPECT_EQ(join().lane().incarnation, Incarnation(4));
}

TEST_P(ClusterTest, ATopicIsVisibleWholeWhenItsCreationReturns) {
  Cluster& cluster = join();
  auto id = create(cluster, "big", 2500, 1);  // 40 pages, two transactions, from another shard
  ASSERT_TRUE(id);
  auto image = cluster.image();
  const TopicImage* topic = image->topic("big");
  ASSERT_TRUE(topic);
  EXPECT_EQ(topic->id, *id);
  ASSERT_EQ(topic->partitions.size(), 2500u);
  EXPECT_EQ(topic->partitions[2499].leader, BrokerId(1));
  EXPECT_EQ(topic->partitions[2499].epoch, Epoch(0));
  EXPECT_EQ(image->topic(*id), topic);
  EXPECT_EQ(code(create(cluster, "big")), Code::already_exists);
  EXPECT_EQ(code(create(cluster, "none", 0)), Code::invalid_argument);
}

TEST_P(ClusterTest, EpochsGrowWithEveryIncarnationMaterialisedOrNot) {
  ASSERT_TRUE(create(join(), "t", 70));
  for (int32_t life = 1; life <= 5; ++life) {
    leave(members_.back());
    Cluster& cluster = join();
    EXPECT_EQ(cluster.image()->topic("t")->partitions[69].epoch, Epoch(life));
    if (life % 2 == 0) {
      ASSERT_TRUE(wait(cluster.materialise(world_.shard(1)), 1));
      EXPECT_EQ(cluster.image()->topic("t")->partitions[69].epoch, Epoch(life));
      auto page = get(meta::page_key(cluster.image()->topic("t")->id, 1));
      auto record = meta::decode<meta::PageRecord>(page->value);
      EXPECT_EQ(record->partitions.back().term.epoch, Epoch(life));
      EXPECT_EQ(record->partitions.back().term.lane, cluster.lane());
    }
  }
}

TEST_P(ClusterTest, ADeletedTopicGoesAtOnceAndItsPagesLater) {
  Cluster& cluster = join();
  auto id = create(cluster, "t", 200);
  ASSERT_TRUE(wait(cluster.delete_topic(world_.shard(0), "t")));
  EXPECT_FALSE(cluster.image()->topic("t"));
  EXPECT_FALSE(cluster.image()->topic(*id));
  EXPECT_EQ(code(wait(cluster.delete_topic(world_.shard(0), "t"))), Code::not_found);
  auto again = create(cluster, "t", 3);
  ASSERT_TRUE(again);
  EXPECT_NE(*again, *id);
  EXPECT_TRUE(none_left_under(meta::pages_prefix(*id)));
  EXPECT_EQ(count_under(meta::pages_prefix(*again)), 1u);
}

TEST_P(ClusterTest, ATopicGrowsAndKeepsWhatItHas) {
  Cluster& cluster = join();
  ASSERT_TRUE(create(cluster, "t", 60));
  leave(members_.back());
  Cluster& next = join();
  ASSERT_TRUE(wait(next.grow_topic(world_.shard(0), "t", 200)));
  auto image = next.image();
  ASSERT_EQ(image->topic("t")->partitions.size(), 200u);
  EXPECT_EQ(image->topic("t")->partitions[59].epoch, Epoch(1));
  EXPECT_EQ(image->topic("t")->partitions[60].epoch, Epoch(0));
  EXPECT_EQ(code(wait(next.grow_topic(world_.shard(0), "t", 200))), Code::invalid_argument);
  EXPECT_EQ(code(wait(next.grow_topic(world_.shard(0), "no", 2))), Code::not_found);
}

TEST_P(ClusterTest, ConfigurationsChangeAndAreSeen) {
  Cluster& cluster = join();
  ASSERT_TRUE(create(cluster, "t"));
  auto set = [](auto& configs) { configs["retention.ms"] = "5"; };
  ASSERT_TRUE(wait(cluster.change_topic_configs(world_.shard(0), "t", set)));
  EXPECT_EQ(cluster.image()->topic("t")->configs.at("retention.ms"), "5");
  ASSERT_TRUE(wait(cluster.change_broker_configs(world_.shard(0), BrokerId(1), set)));
  EXPECT_EQ(cluster.image()->broker_configs.size(), 1u);
  ASSERT_TRUE(wait(cluster.change_broker_configs(world_.shard(0), std::nullopt, set)));
  EXPECT_EQ(cluster.image()->default_broker_configs.size(), 1u);
  auto clear = [](auto& configs) { configs.clear(); };
  ASSERT_TRUE(wait(cluster.change_broker_configs(world_.shard(0), BrokerId(1), clear)));
  EXPECT_TRUE(cluster.image()->broker_configs.empty());
  EXPECT_EQ(code(wait(cluster.change_topic_configs(world_.shard(0), "no", set))), Code::not_found);
}

TEST_P(ClusterTest, AFencedIncarnationChangesNothing) {
  Cluster& old = join();
  ASSERT_TRUE(create(old, "t"));
  Cluster& fresh = join();
  EXPECT_EQ(code(create(old, "late")), Code::fenced);
  EXPECT_EQ(code(wait(old.delete_topic(world_.shard(0), "t"))), Code::fenced);
  EXPECT_EQ(code(wait(old.grow_topic(world_.shard(0), "t", 9))), Code::fenced);
  EXPECT_FALSE(fresh.image()->topic("late"));
  EXPECT_TRUE(fresh.image()->topic("t"));
}

TEST_P(ClusterTest, ALostAnswerIsReadBack) {
  Cluster& cluster = join();
  store_->key = meta::topic_key("t");
  store_->next = LossyStore::Loss::after_commit;
  auto id = create(cluster, "t", 2);
  ASSERT_TRUE(id);
  EXPECT_TRUE(cluster.image()->topic(*id));
  store_->next = LossyStore::Loss::after_commit;
  ASSERT_TRUE(wait(cluster.delete_topic(world_.shard(0), "t")));
  EXPECT_FALSE(cluster.image()->topic(*id));
}

// The answer is lost, and so is that to the question what became of it.
TEST_P(ClusterTest, PagesOfATopicStayWhileNobodyKnowsWhetherItIsThere) {
  Cluster& cluster = join();
  store_->key = meta::topic_key("t");
  store_->next = LossyStore::Loss::after_commit;
  store_->silent = true;
  EXPECT_EQ(code(create(cluster, "t", 2)), Code::maybe_written);
  leave(members_.back());
  Cluster& next = join();
  ASSERT_TRUE(wait(next.materialise(world_.shard(0))));
  EXPECT_EQ(count_under("pages/"), 1u);
  EXPECT_TRUE(next.image()->topic("t"));
}

TEST_P(ClusterTest, PagesOfACreationInDoubtStayUntilTheNextLife) {
  Cluster& cluster = join();
  store_->key = meta::topic_key("t");
  store_->next = LossyStore::Loss::before_commit;
  EXPECT_EQ(code(create(cluster, "t", 2)), Code::maybe_written);
  ASSERT_TRUE(wait(cluster.materialise(world_.shard(0))));
  EXPECT_EQ(count_under("pages/"), 1u);
  leave(members_.back());
  Cluster& next = join();
  ASSERT_TRUE(wait(next.materialise(world_.shard(0))));
  EXPECT_EQ(count_under("pages/"), 0u);
}

TEST_P(ClusterTest, ProducerIdsAreNeverGivenTwice) {
  std::set<int64_t> given;
  size_t count = 0;
  store_->key = meta::producer_ids_key();
  for (int life = 0; life < 3; ++life) {
    Cluster& cluster = join();
    store_->next = life == 1 ? LossyStore::Loss::after_commit : LossyStore::Loss::none;
    for (int i = 0; i < 1100; ++i, ++count) {
      auto id = wait(cluster.next_producer_id(world_.shard(i % 2)), i % 2);
      ASSERT_TRUE(id);
      given.insert(*id);
    }
  }
  EXPECT_EQ(given.size(), count);
}

TEST_P(ClusterTest, ListenersHearEveryImageInOrder) {
  Cluster& cluster = join();
  auto heard = std::make_shared<std::vector<int64_t>>();
  auto listen = [](Cluster* which, std::shared_ptr<std::vector<int64_t>> into) -> Task<void> {
    which->on_image(
        [into](std::shared_ptr<const Image> image) { into->push_back(image->revision.value); });
    co_return;
  };
  world_.run(0, listen(&cluster, heard));
  ASSERT_TRUE(create(cluster, "a"));
  ASSERT_TRUE(create(cluster, "b"));
  leave(members_.back());
  EXPECT_GE(heard->size(), 2u);
  EXPECT_TRUE(std::ranges::is_sorted(*heard));
}

struct Told {
  int left = 0;
  std::vector<Code> codes;
  env::Duration slowest{};
};

Task<void> ask_for_one(Cluster& cluster, env::Shard& shard, int number, Told& told) {
  const env::Instant began = shard.now();
  NewTopic topic;
  topic.name = fmt::format("new-{}", number);
  Result<void> done;
  if (number % 2 == 0) {
    auto created = co_await cluster.create_topic(shard, topic);
    if (!created) done = fail(created.error());
  } else {
    auto change = [](auto& configs) { configs["a"] = "b"; };
    done = co_await cluster.change_topic_configs(shard, "old", change);
  }
  told.codes.push_back(done ? Code::io_error : done.error().code);
  told.slowest = std::max(told.slowest, shard.now() - began);
  --told.left;
}

Task<void> change_without_store(env::Shard& shard, meta::Model& model, meta::Store& store) {
  using namespace std::chrono_literals;
  Options options;
  options.broker = BrokerId(1);
  auto cluster = co_await Cluster::join(shard, store, options);
  CHECK(cluster);
  NewTopic old;
  old.name = "old";
  CHECK(co_await (*cluster)->create_topic(shard, old));
  model.down_until(shard.now() + 5min);
  Told told{.left = 20, .codes = {}};
  for (int i = 0; i < 20; ++i) shard.spawn(ask_for_one(**cluster, shard, i, told));
  while (told.left > 0) co_await env::sleep_for(shard, 10ms);
  for (Code code : told.codes)
    EXPECT_TRUE(code == Code::unavailable || code == Code::maybe_written) << code_name(code);
  EXPECT_LE(told.slowest, 21s);
  EXPECT_EQ((*cluster)->image()->topics.size(), 1u);
  co_await env::sleep_for(shard, 6min);
  NewTopic after;
  after.name = "after";
  EXPECT_TRUE(co_await (*cluster)->create_topic(shard, after));
  co_await (*cluster)->stop(shard);
}

// Each asks the store for some seconds; those that wait for their turn behind do not add them up.
TEST(ClusterWithoutStore, ChangesEndHoweverManyAreAskedForAtOnce) {
  env::SimTestShards world;
  meta::Model model(5);
  auto store = model.connect();
  world.run(0, change_without_store(world.shard(0), model, *store));
}

struct Slow {
  env::Duration took{};
  bool known = false;
};

// Fences 2 as 1, whose watch brings nothing for a second.
Task<void> fence_with_slow_watch(env::Shard& shard, meta::Model& model, LossyStore& store,
                                 Slow& slow) {
  using namespace std::chrono_literals;
  auto joining = [&](int32_t number) {
    Options options;
    options.broker = BrokerId(number);
    return Cluster::join(shard, store, options);
  };
  auto one = co_await joining(1);
  auto two = co_await joining(2);
  CHECK(one && two);
  NewTopic topic;
  topic.name = "t";
  topic.partition_count = 8;
  CHECK(co_await (*one)->create_topic(shard, topic));
  co_await env::sleep_for(shard, 1s);
  CHECK((*one)->image()->brokers.size() == 2 && (*one)->image()->topics.size() == 1);
  *store.watches_held = true;
  auto let_go = [](env::Shard* on, LossyStore* of) -> Task<void> {
    co_await env::sleep_for(*on, 1s);
    *of->watches_held = false;
  };
  shard.spawn(let_go(&shard, &store));
  model.faults().delay_min = model.faults().delay_max = 1ms;
  const env::Instant began = shard.now();
  const auto fenced = co_await (*one)->fence(shard, {BrokerId(2), Incarnation(1)}, {});
  CHECK(fenced && fenced->by_us);
  slow.took = shard.now() - began;
  auto image = (*one)->image();
  const auto led_by_one = [&] {
    const auto& partitions = (*one)->image()->topic("t")->partitions;
    return static_cast<size_t>(
        std::ranges::count(partitions, BrokerId(1), &PartitionImage::leader));
  };
  slow.known = image->brokers.size() == 1 && led_by_one() == 8 && image->revision == fenced->at;
  // Then the watch tells it once more.
  co_await env::sleep_for(shard, 3s);
  EXPECT_GE((*one)->image()->revision, fenced->at);
  EXPECT_EQ(led_by_one(), 8u);
  NewTopic after;
  after.name = "after";
  EXPECT_TRUE(co_await (*one)->create_topic(shard, after));
  co_await (*two)->stop(shard);
  co_await (*one)->stop(shard);
}

TEST(ClusterWithSlowWatch, WhoFencesKnowsItAtOnce) {
  env::SimTestShards world;
  meta::Model model(5);
  LossyStore store(model.connect());
  Slow slow;
  world.run(0, fence_with_slow_watch(world.shard(0), model, store, slow));
  EXPECT_LE(slow.took, std::chrono::milliseconds(10));
  EXPECT_TRUE(slow.known);
}

// Something came before it: what, only the watch tells.
TEST(ClusterWithSlowWatch, UnlessSomebodyElseHasChangedAnything) {
  env::SimTestShards world;
  meta::Model model(5);
  model.faults().foreign_write = 1;
  LossyStore store(model.connect());
  Slow slow;
  world.run(0, fence_with_slow_watch(world.shard(0), model, store, slow));
  EXPECT_GE(slow.took, std::chrono::milliseconds(900));
  EXPECT_TRUE(slow.known);
}

}  // namespace
}  // namespace paceline::cluster
