#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <set>

#include "cluster/cluster.h"
#include "env/test_shards.h"
#include "meta/model.h"

namespace paceline::cluster {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds kLease = 4s;

// A way to the store on which leases cannot be renewed for a while.
class WayToStore final : public meta::Store {
 public:
  explicit WayToStore(std::unique_ptr<meta::Store> store) : store_(std::move(store)) {}
  bool mute = false;

  Task<Result<std::optional<meta::Entry>>> get(env::Shard& shard, std::string key) override {
    return store_->get(shard, std::move(key));
  }
  Task<Result<meta::Range>> range(env::Shard& shard, std::string from, std::string to,
                                  size_t count_max) override {
    return store_->range(shard, std::move(from), std::move(to), count_max);
  }
  Task<Result<Revision>> commit(env::Shard& shard, meta::Transaction transaction) override {
    return store_->commit(shard, std::move(transaction));
  }
  Result<std::unique_ptr<meta::Watch>> watch(env::Shard& shard, std::string prefix,
                                             Revision after) override {
    return store_->watch(shard, std::move(prefix), after);
  }
  Task<Result<meta::Lease>> grant(env::Shard& shard, std::chrono::seconds ttl) override {
    if (mute) co_return fail(Code::unavailable, "no way");
    co_return co_await store_->grant(shard, ttl);
  }
  Task<Result<void>> keep_alive(env::Shard& shard, meta::LeaseId lease) override {
    if (mute) co_return fail(Code::unavailable, "no way");
    co_return co_await store_->keep_alive(shard, lease);
  }
  Task<Result<void>> revoke(env::Shard& shard, meta::LeaseId lease) override {
    return store_->revoke(shard, lease);
  }

 private:
  std::unique_ptr<meta::Store> store_;
};

// Three brokers that know of each other's deaths by leases alone.
class Town {
 public:
  Town(env::Shard& shard, env::SimHost& host) : shard_(shard), host_(host) {}
  Task<void> begin() {
    for (int32_t id = 1; id <= 3; ++id) co_await add(id);
    co_await pass(3);
  }
  Task<void> add(int32_t id, bool mute = false) {
    ways_[id] = std::make_unique<WayToStore>(model_.connect());
    ways_[id]->mute = mute;
    Options options;
    options.broker = BrokerId(id);
    options.lease = kLease;
    options.log.waits = [this, id] {
      const bool waits = cut_.contains(id) || slow_.contains(id);
      return writing_.contains(id) && waits ? env::Duration(1min) : env::Duration(0);
    };
    options.log.answers = [this, id](env::Duration within) -> Task<bool> {
      if (cut_.contains(id)) co_await env::sleep_for(shard_, within);
      co_return !cut_.contains(id);
    };
    auto joined = co_await Cluster::join(shard_, *ways_[id], options);
    CHECK(joined);
    members_[id] = std::move(*joined);
  }
  Task<void> pass(int leases) { co_await env::sleep_for(shard_, leases * env::Duration(kLease)); }
  Task<void> end() {
    for (auto& [id, member] : members_) co_await member->stop(shard_);
    members_.clear();
  }
  void mute(std::set<int32_t> ids) {
    for (auto& [id, way] : ways_) way->mute = ids.contains(id);
  }
  // Who wants to write, and who reaches the place of the log.
  void writing(std::set<int32_t> ids) { writing_ = std::move(ids); }
  void cut_from_log(std::set<int32_t> ids) { cut_ = std::move(ids); }
  void slow_log(std::set<int32_t> ids) { slow_ = std::move(ids); }
  // As broker 1 knows them.
  std::set<int32_t> registered() {
    std::set<int32_t> ids;
    for (const BrokerImage& broker : members_.at(1)->image()->brokers) ids.insert(broker.id.value);
    return ids;
  }
  void step_wall_clock(env::Duration by) { host_.set_wall_skew(host_.wall_skew() + by); }
  meta::Model& model() { return model_; }
  env::Shard& shard() { return shard_; }

 private:
  env::Shard& shard_;
  env::SimHost& host_;
  meta::Model model_{5};
  std::set<int32_t> writing_, cut_, slow_;
  std::map<int32_t, std::unique_ptr<WayToStore>> ways_;
  std::map<int32_t, std::unique_ptr<Cluster>> members_;
};

using Brokers = std::set<int32_t>;

void play(Task<void> (*scene)(Town&)) {
  env::SimTestShards world;
  auto whole = [](env::Shard& shard, env::SimHost& host, Task<void> (*body)(Town&)) -> Task<void> {
    Town town(shard, host);
    co_await town.begin();
    co_await body(town);
    co_await town.end();
  };
  world.run(0, whole(world.shard(0), world.host(), scene));
}

TEST(Alive, ALeaseThatEndsAloneIsADeath) {
  play([](Town& town) -> Task<void> {
    town.mute({2});
    co_await town.pass(2);
    EXPECT_EQ(town.registered(), (Brokers{1, 3}));
  });
}

// One that has never had a lease has the time of one to make its own.
TEST(Alive, AStepOfTheWallClockIsNobodysEnd) {
  play([](Town& town) -> Task<void> {
    co_await town.add(4, true);
    co_await env::sleep_for(town.shard(), 1s);
    town.step_wall_clock(1h);
    co_await env::sleep_for(town.shard(), 2s);
    EXPECT_EQ(town.registered(), (Brokers{1, 2, 3, 4}));
    town.mute({});
    co_await town.pass(2);
    town.step_wall_clock(-2h);
    co_await town.pass(2);
    EXPECT_EQ(town.registered(), (Brokers{1, 2, 3, 4}));
    town.mute({2});
    co_await town.pass(2);
    EXPECT_EQ(town.registered(), (Brokers{1, 3, 4})) << "deaths are noticed behind it, too";
  });
}

TEST(Alive, NobodyIsDeadWhenAllLeasesEndAtOnce) {
  play([](Town& town) -> Task<void> {
    town.model().end_leases();
    co_await town.pass(3);
    EXPECT_EQ(town.registered(), (Brokers{1, 2, 3}));
  });
}

TEST(Alive, AfterTheStoreWasAwayForLongOnlyWhoDoesNotComeBackIsDead) {
  play([](Town& town) -> Task<void> {
    town.mute({1, 2, 3});
    co_await town.pass(4);
    EXPECT_EQ(town.registered(), (Brokers{1, 2, 3}));
    town.mute({3});
    co_await town.pass(3);
    EXPECT_EQ(town.registered(), (Brokers{1, 2}));
  });
}

TEST(Alive, WhoCannotWriteItsLogLosesItsPlaceToThoseWhoCould) {
  play([](Town& town) -> Task<void> {
    town.writing({1, 2});
    town.cut_from_log({2});
    co_await town.pass(1);
    EXPECT_EQ(town.registered(), (Brokers{1, 3}));
  });
}

TEST(Alive, WhoHasNothingToWriteKeepsItsPlace) {
  play([](Town& town) -> Task<void> {
    town.writing({1});
    town.cut_from_log({2});
    co_await town.pass(4);
    EXPECT_EQ(town.registered(), (Brokers{1, 2, 3}));
  });
}

// Of those who have nothing to write, too: nobody could take over.
TEST(Alive, NobodyIsDeadWhileNobodyReachesTheLogAndJustAfter) {
  play([](Town& town) -> Task<void> {
    town.writing({2});
    town.cut_from_log({1, 2, 3});
    co_await town.pass(4);
    town.cut_from_log({2});
    co_await env::sleep_for(town.shard(), env::Duration(kLease) / 2);
    town.cut_from_log({});
    co_await town.pass(4);
    EXPECT_EQ(town.registered(), (Brokers{1, 2, 3}));
  });
}

TEST(Alive, AWriteThatWaitsAtAPlaceThatAnswersIsOnlySlow) {
  play([](Town& town) -> Task<void> {
    town.writing({2});
    town.slow_log({2});
    co_await town.pass(4);
    EXPECT_EQ(town.registered(), (Brokers{1, 2, 3}));
  });
}

}  // namespace
}  // namespace paceline::cluster
