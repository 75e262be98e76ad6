#include "protocol/gen/balance_cluster.h"
#include "protocol/gen/drain_broker.h"
#include "sim/wire_cluster_test.h"

// Brokers that come, go and have too much to do: leadership is shared out anew, and nobody else
// notices.

namespace paceline::sim {
namespace {

class WireBalanceTest : public WireClusterTest {
 protected:
  WireBalanceTest() : WireBalanceTest(true) {}
  explicit WireBalanceTest(bool by_itself)
      : WireClusterTest(3, 1, [by_itself](int, broker::Settings& settings) {
          settings.balance = by_itself;
          settings.balance_hold_ms = 20'000;
        }) {}

  std::map<int, int> led_by(std::string_view topic, int as_seen_by = 2) {
    std::map<int, int> count;
    for (const auto& one : host(as_seen_by).server().node().image()->topic(topic)->partitions)
      ++count[one.leader.value];
    return count;
  }
  protocol::BalanceClusterResponse balance(int asked, bool dry_run) {
    protocol::BalanceClusterRequest request;
    request.dry_run = dry_run;
    return ask_at<protocol::BalanceClusterResponse>(asked, 0, request);
  }
  bool comes_to(const std::function<bool()>& done, env::Duration within) {
    return world_.run_until(done, within);
  }
  // So much a second into one partition, for as long.
  void feed(std::string_view topic, int32_t index, size_t bytes, env::Duration duration) {
    for (env::Duration passed{0}; passed < duration; passed += 200ms) {
      const std::string records = *batch({std::string(bytes / 5, 'x')}).build();
      auto later =
          begin<protocol::ProduceResponse>(at(leader(topic, static_cast<size_t>(index), 2)), 9,
                                           produce_request(topic, index, records));
      ASSERT_TRUE(end(later));
      world_.run_for(200ms);
    }
  }
};
PACELINE_ON_ONE_AND_TWO_SHARDS(WireBalanceTest);

TEST_P(WireBalanceTest, AnAddedBrokerCarriesItsShareAndAProducerDoesNotNotice) {
  create("t", 16);
  world_.run_for(10s);
  std::vector<int32_t> of_first;
  for (int32_t index = 0; index < 16; ++index)
    if (leader("t", static_cast<size_t>(index)) == 1) of_first.push_back(index);
  for (int32_t index : of_first) expect_produced(1, "t", index, 0);
  host(4).start();
  EXPECT_TRUE(comes_to([&] { return led_by("t")[4] == 4; }, 10s));
  for (const auto& [broker, count] : led_by("t")) EXPECT_EQ(count, 4) << broker;
  for (int32_t index : of_first) expect_produced(1, "t", index, 1);
  size_t moved = 0;
  for (int32_t index : of_first) {
    const cluster::PartitionImage now = led("t", static_cast<size_t>(index), 2);
    EXPECT_EQ(now.leader, now.preferred.front());
    moved += now.leader == BrokerId(4);
  }
  EXPECT_GT(moved, 0u);
  world_.run_for(60s);
  for (const auto& [broker, count] : led_by("t")) EXPECT_EQ(count, 4) << broker;
}

TEST_P(WireBalanceTest, LeadersReturnToABrokerThatWasAway) {
  create("t", 9);
  world_.run_for(3s);
  for (const auto& [broker, count] : led_by("t")) EXPECT_EQ(count, 3) << broker;
  host(3).kill();
  ASSERT_TRUE(comes_to([&] { return led_by("t")[3] == 0; }, 20s));
  world_.run_for(10s);
  EXPECT_EQ(led_by("t")[3], 0);
  host(3).start();
  EXPECT_TRUE(comes_to([&] { return led_by("t")[3] == 3; }, 10s));
  for (size_t index = 0; index < 9; ++index)
    EXPECT_EQ(led("t", index, 2).leader, led("t", index, 2).preferred.front());
}

TEST_P(WireBalanceTest, TheNextOneBalancesWhenTheFirstIsGone) {
  create("t", 8);
  host(1).kill();
  ASSERT_TRUE(comes_to([&] { return led_by("t")[1] == 0; }, 20s));
  host(4).start();
  EXPECT_TRUE(comes_to([&] { return led_by("t")[4] >= 2; }, 20s));
  host(1).start();
  EXPECT_TRUE(comes_to([&] { return led_by("t")[1] >= 2; }, 20s));
}

TEST_P(WireBalanceTest, ADrainedBrokerStaysSoUntilItIsGivenSomething) {
  create("t", 6);
  protocol::DrainBrokerRequest request;
  request.broker_id = 3;
  EXPECT_EQ(name(ask_at<protocol::DrainBrokerResponse>(1, 0, request).error_code), "NONE");
  EXPECT_TRUE(comes_to([&] { return led_by("t")[3] == 0; }, 10s));
  world_.run_for(60s);
  EXPECT_EQ(led_by("t")[3], 0);
  const auto told = balance(2, true);
  ASSERT_EQ(told.brokers.size(), 3u);
  EXPECT_TRUE(told.brokers[2].drained);
  EXPECT_EQ(told.brokers[2].due_ppm, 0);
  EXPECT_TRUE(told.moves.empty());
  // What is created meanwhile is taken from it, too.
  create("u", 6);
  EXPECT_TRUE(comes_to([&] { return led_by("u")[3] == 0; }, 20s));
  move("t", 0, 3);
  EXPECT_TRUE(comes_to([&] { return led_by("t")[3] >= 2; }, 20s));
}

TEST_P(WireBalanceTest, HeavyPartitionsDoNotStayTogether) {
  create("t", 6);
  for (int32_t index = 0; index < 6; ++index) move("t", index, 1 + index / 2);
  for (int round = 0; round < 5; ++round)
    for (int32_t index : {0, 1}) feed("t", index, 20u << 20, 2s);
  EXPECT_TRUE(comes_to([&] { return leader("t", 0) != leader("t", 1); }, 40s));
}

class WireBalanceOnDemandTest : public WireBalanceTest {
 protected:
  WireBalanceOnDemandTest() : WireBalanceTest(false) {}
};
PACELINE_ON_ONE_AND_TWO_SHARDS(WireBalanceOnDemandTest);

TEST_P(WireBalanceOnDemandTest, ADryRunSaysWhatItWouldDoAndMovesNothing) {
  create("t", 9);
  host(4).start();
  CHECK(world_.run_until([&] { return host(4).serving(); }, kPatience));
  world_.run_for(20s);
  const auto before = led_by("t");
  EXPECT_FALSE(before.contains(4));
  const auto told = balance(4, true);
  EXPECT_EQ(name(told.error_code), "NONE") << told.error_message.value_or("");
  EXPECT_EQ(told.balancer_id, 1);
  ASSERT_EQ(told.brokers.size(), 4u);
  EXPECT_EQ(told.brokers[3].leaders, 0);
  EXPECT_EQ(told.brokers[3].due_ppm, 250'000);
  ASSERT_EQ(told.moves.size(), 2u);
  for (const auto& move : told.moves) {
    EXPECT_EQ(move.topic, "t");
    EXPECT_EQ(move.to_broker_id, 4);
    EXPECT_FALSE(move.reason.empty());
  }
  world_.run_for(20s);
  EXPECT_EQ(led_by("t"), before);

  EXPECT_EQ(balance(3, false).moves.size(), 2u);
  EXPECT_TRUE(comes_to([&] { return led_by("t")[4] == 2; }, 5s));
  world_.run_for(100ms);  // until the balancer has seen it too
  EXPECT_TRUE(balance(2, true).moves.empty());
}

TEST_P(WireBalanceOnDemandTest, NothingIsPlannedWhileABrokerGoes) {
  create("t", 3);
  host(2).begin_stop();
  world_.run_for(50ms);
  const auto told = balance(3, true);
  EXPECT_EQ(name(told.error_code), "OPERATION_NOT_ATTEMPTED");
  EXPECT_TRUE(told.error_message.has_value());
}

}  // namespace
}  // namespace paceline::sim
