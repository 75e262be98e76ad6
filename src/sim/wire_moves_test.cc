#include "protocol/gen/create_partitions.h"
#include "protocol/gen/describe_cluster.h"
#include "protocol/gen/drain_broker.h"
#include "protocol/gen/find_coordinator.h"
#include "protocol/gen/heartbeat.h"
#include "protocol/gen/join_group.h"
#include "protocol/gen/leave_group.h"
#include "protocol/gen/list_partition_reassignments.h"
#include "protocol/gen/metadata.h"
#include "protocol/gen/offset_commit.h"
#include "protocol/gen/offset_fetch.h"
#include "protocol/gen/sync_group.h"
#include "sim/wire_cluster_test.h"

namespace paceline::sim {
namespace {

class WireMovesTest : public WireClusterTest {
 protected:
  // Who leads t-0.
  Later<protocol::MetadataResponse> ask_who_leads(int number) {
    protocol::MetadataRequest request;
    request.topics.emplace();
    request.topics->emplace_back().name = "t";
    return begin<protocol::MetadataResponse>(at(number), 9, request);
  }
  int led_as_told_by(int number) {
    auto answer = end(ask_who_leads(number));
    EXPECT_TRUE(answer);
    return answer ? answer->topics.at(0).partitions.at(0).leader_id : -1;
  }

  // Its partition 0 goes from broker 1 to broker 2; broker 1, which waits for word of it, hears
  // neither the answer nor the metadata.
  Later<protocol::ElectLeadersResponse> move_away_unheard(const std::string& topic) {
    EXPECT_EQ(name(reassign(3, topic, 0, {2, 1, 3})), "NONE");
    protocol::ElectLeadersRequest request;
    auto& one = request.topic_partitions->emplace_back();
    one.topic = topic;
    one.partitions = {0};
    auto moving = begin<protocol::ElectLeadersResponse>(at(3), 2, request);
    const StreamId id{host(1).server().node().image()->topic(topic)->id, 0};
    broker::ShardHost& home = host(1).server().node().home_of(id.owner, 0);
    CHECK(world_.run_until(
        [&] {
          const broker::Relay* relay = home.find_relay(id);
          return relay && relay->moving;
        },
        kPatience));
    world_.cut_one_way("b2", "b1");
    CHECK(world_.run_until([&] { return leader(topic, 0) == 2; }, kPatience));
    way(1).there = false;
    return moving;
  }
};
PACELINE_ON_ONE_AND_TWO_SHARDS(WireMovesTest);

TEST_P(WireMovesTest, AProducerAtTheOldLeaderIsServedThroughTheMoveAndAfter) {
  create("t", 1);
  move("t", 0, 1);
  const Epoch before = led("t", 0, 3).epoch;
  int32_t sequence = 0;
  for (; sequence < 5; ++sequence) expect_produced(1, "t", 0, sequence);
  // A pipeline that runs into the pause.
  std::vector<Later<protocol::ProduceResponse>> under_way;
  protocol::AlterPartitionReassignmentsRequest request;
  auto& one = request.topics.emplace_back();
  one.name = "t";
  one.partitions.push_back({0, std::vector<int32_t>{2}});
  auto moving = begin<protocol::AlterPartitionReassignmentsResponse>(at(3), 0, request);
  for (int i = 0; i < 40; ++i) {
    under_way.push_back(send(1, "t", 0, sequence++));
    world_.run_for(2ms);
  }
  auto moved = end(moving);
  ASSERT_TRUE(moved);
  EXPECT_EQ(name(moved->responses.at(0).partitions.at(0).error_code), "NONE");
  for (size_t i = 0; i < under_way.size(); ++i)
    expect_offset(under_way[i], 5 + static_cast<int64_t>(i));
  world_.run_for(1s);
  EXPECT_EQ(leader("t", 0, 1), 2);
  EXPECT_EQ(led("t", 0, 1).epoch, before + 1);
  for (int i = 0; i < 5; ++i, ++sequence) expect_produced(1, "t", 0, sequence);
  // A retry gets its first offset, over there.
  expect_offset(send(1, "t", 0, sequence - 2), sequence - 2);
  EXPECT_EQ(values_at(1, "t", 0), numbers(sequence));
  EXPECT_EQ(values_at(2, "t", 0), numbers(sequence));
}

// What its client has sent behind it is not taken for the beginning of a new producer: neither
// where the client is, nor by another broker that this one sends it on to.
TEST_P(WireMovesTest, ABatchThatWasSentOnAndLostHasToComeFirst) {
  constexpr int32_t kPartitions = 8;
  create("t", kPartitions);
  for (int32_t index = 0; index < kPartitions; ++index) {
    for (int to : {1, 2}) move("t", index, to);
    const int next = index % 2 == 0 ? 1 : 3;
    EXPECT_EQ(name(reassign(1, "t", index, {2, next, 4 - next})), "NONE");
  }
  cut_all_from_store(true);
  std::vector<Later<protocol::ProduceResponse>> lost;
  for (int32_t index = 0; index < kPartitions; ++index) lost.push_back(send(1, "t", index, 0));
  world_.run_for(20ms);
  host(2).kill();
  auto told = [&](const Later<protocol::ProduceResponse>& later) {
    auto answer = end(later);
    if (!answer) return answer.error().message;
    return name(answer->responses.at(0).partition_responses.at(0).error_code);
  };
  for (const auto& one : lost) EXPECT_EQ(told(one), "the peer closed the connection");
  cut_all_from_store(false);
  world_.run_for(3s);  // all is open
  std::set<int> leaders;
  for (int32_t index = 0; index < kPartitions; ++index) {
    CHECK(world_.run_until([&] { return leader("t", static_cast<size_t>(index), 3) != 2; },
                           kPatience));
    if (index % 4 == 0) {  // and goes away again
      EXPECT_EQ(name(reassign(3, "t", index, {3, 1})), "NONE");
      EXPECT_EQ(name(elect(3, "t", index)), "NONE");
      CHECK(world_.run_until([&] { return leader("t", static_cast<size_t>(index), 1) == 3; },
                             kPatience));
    }
    std::string answer;
    for (int attempt = 0; attempt < 50; ++attempt) {
      answer = told(send(1, "t", index, 1));
      if (!answer.contains("LEADER")) break;
      world_.run_for(100ms);
    }
    EXPECT_EQ(answer, "OUT_OF_ORDER_SEQUENCE_NUMBER") << index;
    expect_produced(1, "t", index, 0);
    expect_produced(1, "t", index, 1);
    leaders.insert(leader("t", static_cast<size_t>(index), 3));
  }
  EXPECT_EQ(leaders, (std::set<int>{1, 3}));
}

TEST_P(WireMovesTest, WhoDiesAtTheSameTimeIsNoHeir) {
  create("t", 6);
  world_.run_for(1s);
  host(1).kill();
  host(2).kill();
  const auto image = [&] { return host(3).server().node().image(); };
  CHECK(world_.run_until([&] { return image()->brokers.size() == 1; }, kPatience));
  const Lane survivor{BrokerId(3), Incarnation(1)};
  for (const int32_t dead : {1, 2})
    EXPECT_EQ(image()->heirs->at({BrokerId(dead), Incarnation(1)}), std::vector{survivor});
  for (int32_t index = 0; index < 6; ++index)
    EXPECT_EQ(leader("t", static_cast<size_t>(index), 3), 3);
}

// It reaches clients, the others and the metadata. Its clients would wait for it for ever.
TEST_P(WireMovesTest, ALeaderThatIsCutFromTheStoreAloneLosesWhatItLeads) {
  create("t", 1);
  move("t", 0, 1);
  expect_produced(1, "t", 0, 0);
  world_.run_for(6s);  // who has lived for less than a lease judges nobody
  cut_from_store(1, true);
  const env::Instant cut = world_.now();
  const auto waiting = send(1, "t", 0, 1);
  CHECK(world_.run_until([&] { return leader("t", 0, 3) != 1; }, kPatience));
  EXPECT_LE(world_.now() - cut, 5s);
  world_.run_for(500ms);  // it is open there
  expect_produced(leader("t", 0, 3), "t", 0, 1);
  EXPECT_EQ(values_at(leader("t", 0, 3), "t", 0), numbers(2));
}

TEST_P(WireMovesTest, WhileNobodyReachesTheStoreEverybodyKeepsWhatItLeads) {
  create("t", 3);
  for (int32_t index = 0; index < 3; ++index) move("t", index, index + 1);
  cut_all_from_store(true);
  std::vector<Later<protocol::ProduceResponse>> waiting;
  for (int32_t index = 0; index < 2; ++index) waiting.push_back(send(index + 1, "t", index, 0));
  world_.run_for(15s);
  cut_all_from_store(false);
  for (const auto& one : waiting) expect_offset(one, 0);
  world_.run_for(10s);
  for (int32_t index = 0; index < 3; ++index)
    EXPECT_EQ(leader("t", static_cast<size_t>(index), 3), index + 1);
}

// One that has no other connection comes back when it is hung up on, and finds out who leads while
// somebody is there to be asked.
TEST_P(WireMovesTest, WhoStaysToTheVeryEndIsHungUpOnAndThenSentAway) {
  create("t", 1);
  move("t", 0, 1);
  const auto produce = [&](int whom, int32_t sequence) {
    auto answer = end(send(whom, "t", 0, sequence));
    return answer ? std::string(name(answer->responses.at(0).partition_responses.at(0).error_code))
                  : answer.error().message;
  };
  ASSERT_EQ(produce(1, 0), "NONE");
  hosts_[0]->begin_stop();
  std::set<const WireClient*> connections;
  std::string said = "NONE";
  int32_t sequence = 0;
  while (said == "NONE" && sequence < 1'000) {
    connections.insert(&at(1));
    said = produce(1, ++sequence);
    world_.run_for(20ms);
  }
  EXPECT_EQ(said, "NOT_LEADER_OR_FOLLOWER");
  EXPECT_EQ(connections.size(), 2u) << "the first was hung up on";
  EXPECT_GT(sequence, 10) << "it was sent on before";
  const int32_t leader_now = led_as_told_by(1);
  EXPECT_NE(leader_now, 1);
  EXPECT_EQ(produce(leader_now, sequence), "NONE");
  CHECK(world_.run_until([&] { return !hosts_[0]->running(); }, kPatience));
}

// A client that has lost its leader asks at once who leads now. An answer by what was known before
// would send it back to the dead one.
TEST_P(WireMovesTest, WhoAsksWhileABrokerDiesIsToldItsSuccessor) {
  create("t", 1);
  move("t", 0, 1);
  world_.run_for(1s);
  ASSERT_EQ(led_as_told_by(2), 1);
  host(1).kill();
  std::vector<Later<protocol::MetadataResponse>> asked;
  for (int i = 0; i < 10'000 && leader("t", 0, 2) == 1; ++i) {
    asked.push_back(ask_who_leads(2));
    world_.run_for(100us);
  }
  ASSERT_GT(asked.size(), 3u) << "nobody has asked before it was fenced";
  // Well before that, and well behind the broken connection.
  EXPECT_NE(end(asked[asked.size() / 2])->topics.at(0).partitions.at(0).leader_id, 1);
}

// By the answer in which its leaders are others already: librdkafka 2.15 mislays the partitions of
// a broker that goes in the same answer.
TEST_P(WireMovesTest, WhoHasJustDiedIsStillAmongTheBrokersAndLeadsNothing) {
  create("t", 3);
  move("t", 0, 1);
  world_.run_for(1s);
  const auto told = [&] {
    std::map<int32_t, std::string> brokers;
    for (const auto& one : end(ask_who_leads(2))->brokers) brokers[one.node_id] = one.host;
    return brokers;
  };
  const auto all = told();
  ASSERT_EQ(all.size(), 3u);
  host(1).kill();
  CHECK(world_.run_until([&] { return leader("t", 0, 2) != 1; }, kPatience));
  EXPECT_EQ(told(), all);
  EXPECT_NE(led_as_told_by(2), 1);
  EXPECT_EQ(ask_at<protocol::DescribeClusterResponse>(2, 1, protocol::DescribeClusterRequest{})
                .brokers.size(),
            2u)
      << "who asks for brokers that live";
  world_.run_for(cluster::kGoneKept);
  EXPECT_EQ(told().size(), 2u);
  host(1).start();
  CHECK(world_.run_until([&] { return told().size() == 3; }, kPatience));
  EXPECT_EQ(told(), all);
}

TEST_P(WireMovesTest, WithoutMetadataWhoAsksIsToldWhatIsKnown) {
  create("t", 1);
  move("t", 0, 1);
  world_.run_for(1s);
  ASSERT_EQ(led_as_told_by(2), 1);
  way(2).there = way(3).there = false;
  host(1).kill();
  world_.run_for(50ms);
  const env::Instant began = shard().now();
  EXPECT_EQ(led_as_told_by(2), 1);
  EXPECT_GE(shard().now() - began, 100ms) << "it hoped for a moment";
  EXPECT_LE(shard().now() - began, 300ms);
  const env::Instant again = shard().now();
  EXPECT_EQ(led_as_told_by(2), 1);
  EXPECT_LE(shard().now() - again, 50ms) << "and not a second time";
}

// The source still waits for word of the move, with the partition as it was, when it has to take
// it from what the target has left.
TEST_P(WireMovesTest, WhatComesBackFromATargetThatDiedIsWholeAlthoughTheMoveIsUndecidedHere) {
  create("t", 1);
  move("t", 0, 1);
  constexpr int kCount = 7;
  for (int i = 0; i < kCount; ++i) expect_produced(1, "t", 0, i);
  const auto moving = move_away_unheard("t");
  host(2).kill();
  world_.run_for(100ms);
  way(1).there = true;
  CHECK(world_.run_until([&] { return leader("t", 0, 1) != 2 && leader("t", 0) != 2; }, kPatience));
  ASSERT_EQ(leader("t", 0, 1), 1);
  world_.run_for(30s);
  expect_produced(1, "t", 0, kCount);
  EXPECT_EQ(values_at(1, "t", 0), numbers(kCount + 1));
}

TEST_P(WireMovesTest, AnEndDoesNotWaitForAMoveThatStaysUndecided) {
  create("t", 1);
  move("t", 0, 1);
  expect_produced(1, "t", 0, 0);
  const auto moving = move_away_unheard("t");
  auto waiting = send(1, "t", 0, 1);  // within the pause
  world_.run_for(100ms);
  EXPECT_TRUE(host(1).running());
  host(1).begin_stop();
  CHECK(world_.run_until([&] { return !host(1).running(); }, kPatience));
  auto answer = end(waiting);
  EXPECT_FALSE(answer && answer->responses.at(0).partition_responses.at(0).error_code == 0);
  expect_produced(2, "t", 0, 1);
  EXPECT_EQ(values_at(2, "t", 0), numbers(2));
}

// It hears neither the others nor the metadata, and does not know that it was fenced.
TEST_P(WireMovesTest, ALeaderOfFormerTimesRefusesNothingThatItCannotKnow) {
  create("t", 1);
  move("t", 0, 2);
  expect_produced(2, "t", 0, 0);
  const auto fetched = [&] {
    auto answer = end(begin<protocol::FetchResponse>(at(2), 11, fetch_request("t", 0, 5)));
    return answer ? name(only_partition(*answer).error_code) : answer.error().message;
  };
  const auto produced = [&](int32_t sequence) {
    auto answer = end(send(2, "t", 0, sequence));
    if (!answer) return answer.error().message;
    return name(answer->responses.at(0).partition_responses.at(0).error_code);
  };
  EXPECT_EQ(fetched(), "OFFSET_OUT_OF_RANGE");
  EXPECT_EQ(produced(5), "OUT_OF_ORDER_SEQUENCE_NUMBER");
  const bool reads = GetParam() == 1;  // which of them tells it so: it ends then
  for (const char* other : {"b1", "b3"}) world_.cut(other, "b2");
  way(2).there = way(2).back = false;
  CHECK(world_.run_until([&] { return leader("t", 0) != 2; }, kPatience));
  const int next = leader("t", 0);
  world_.run_for(500ms);  // it is open there
  for (int i = 1; i < 5; ++i) expect_produced(next, "t", 0, i);
  const std::string told = reads ? fetched() : produced(5);
  EXPECT_TRUE(told == "NOT_LEADER_OR_FOLLOWER" || told == "the peer closed the connection") << told;
  expect_produced(next, "t", 0, 5);
}

// KIP-951, for clients that know it; others read nothing that they do not expect.
TEST_P(WireMovesTest, WhoAsksTheWrongBrokerIsToldTheLeaderAndWhereItIs) {
  create("t", 3);
  int32_t index = 0;  // broker 3 has never led it, and does not send on
  while (leader("t", static_cast<size_t>(index)) != 1) ++index;
  const Epoch epoch = led("t", static_cast<size_t>(index), 3).epoch;
  const std::string batch = sequenced(0);
  const auto produce = [&](int16_t version) {
    auto answer =
        end(begin<protocol::ProduceResponse>(at(3), version, produce_request("t", index, batch)));
    CHECK(answer);
    EXPECT_EQ(name(answer->responses.at(0).partition_responses.at(0).error_code),
              "NOT_LEADER_OR_FOLLOWER");
    return std::move(*answer);
  };
  const auto told = produce(10);
  const auto& current = told.responses.at(0).partition_responses.at(0).current_leader;
  EXPECT_EQ(current.leader_id, 1);
  EXPECT_EQ(current.leader_epoch, epoch.value);
  ASSERT_EQ(told.node_endpoints.size(), 1u);
  EXPECT_EQ(told.node_endpoints.at(0).node_id, 1);
  EXPECT_EQ(told.node_endpoints.at(0).host, "b1");
  EXPECT_EQ(told.node_endpoints.at(0).port, BrokerHost::kPort);
  EXPECT_TRUE(produce(9).node_endpoints.empty());

  protocol::FetchRequest request = fetch_request("t", index, 0);
  request.topics.at(0).topic_id = host(3).server().node().image()->topic("t")->id;
  auto fetched = end(begin<protocol::FetchResponse>(at(3), 16, request));
  ASSERT_TRUE(fetched);
  const auto& one = fetched->responses.at(0).partitions.at(0);
  EXPECT_EQ(name(one.error_code), "NOT_LEADER_OR_FOLLOWER");
  EXPECT_EQ(one.current_leader.leader_id, 1);
  EXPECT_EQ(one.current_leader.leader_epoch, epoch.value);
  ASSERT_EQ(fetched->node_endpoints.size(), 1u);
  EXPECT_EQ(fetched->node_endpoints.at(0).host, "b1");
}

TEST_P(WireMovesTest, AFetchOfWhatIsNotOpenYetIsToldToAskForItsLeader) {
  create("t", 1);
  move("t", 0, 2);
  cut_all_from_store(true);
  host(2).kill();
  CHECK(world_.run_until([&] { return leader("t", 0, 3) != 2; }, kPatience));
  const Fetched fetched = only_partition(
      ask_at<protocol::FetchResponse>(leader("t", 0, 3), 11, fetch_request("t", 0, 0)));
  EXPECT_EQ(name(fetched.error_code), "NOT_LEADER_OR_FOLLOWER");
}

TEST_P(WireMovesTest, AClientThatNeverAsksAgainFollowsMoveAfterMove) {
  create("t", 1);
  move("t", 0, 1);
  int32_t sequence = 0;
  for (int to : {2, 3, 1, 3, 2, 1}) {
    for (int i = 0; i < 3; ++i) expect_produced(1, "t", 0, sequence++);
    auto held = send(1, "t", 0, sequence++);
    move("t", 0, to);
    expect_offset(held, sequence - 1);
  }
  expect_produced(1, "t", 0, sequence++);
  EXPECT_EQ(values_at(1, "t", 0), numbers(sequence));
}

TEST_P(WireMovesTest, ALongPollAtTheOldLeaderHearsOfRecordsAtTheNewOne) {
  create("t", 2);
  move("t", 0, 1);
  move("t", 1, 1);
  expect_produced(1, "t", 0, 0);
  protocol::FetchRequest request = fetch_request("t", 0, 1);
  request.max_wait_ms = 20'000;
  auto& other = request.topics[0].partitions.emplace_back(request.topics[0].partitions[0]);
  other.partition = 1;
  other.fetch_offset = 0;
  auto waiting = begin<protocol::FetchResponse>(at(1), 11, request);
  world_.run_for(1s);
  move("t", 0, 2);
  world_.run_for(1s);
  EXPECT_FALSE(waiting->has_value());
  const env::Instant began = shard().now();
  expect_produced(2, "t", 0, 1);
  auto answer = end(waiting);
  ASSERT_TRUE(answer);
  EXPECT_LT(shard().now() - began, 2s);
  ASSERT_EQ(answer->responses.at(0).partitions.size(), 2u);
  EXPECT_EQ(records_of(answer->responses[0].partitions[0]).size(), 1u);
  EXPECT_EQ(name(answer->responses[0].partitions[1].error_code), "NONE");
}

TEST_P(WireMovesTest, ATopicGrowsAtOnceWhoeverLeadsWhatIsNew) {
  create("t", 1);
  bool elsewhere = false;
  for (int32_t count = 2; count <= 12; ++count) {
    protocol::CreatePartitionsRequest request;
    auto& one = request.topics.emplace_back();
    one.name = "t";
    one.count = count;
    one.assignments = std::nullopt;
    request.timeout_ms = 30'000;
    const env::Instant began = world_.now();
    auto answer = ask_at<protocol::CreatePartitionsResponse>(1, 3, request);
    EXPECT_EQ(name(answer.results.at(0).error_code), "NONE");
    EXPECT_LT(world_.now() - began, 5s);  // virtual time, far from the time-out
    elsewhere |= leader("t", static_cast<size_t>(count - 1), 1) != 1;
  }
  EXPECT_TRUE(elsewhere);
}

TEST_P(WireMovesTest, ADrainedBrokerLeadsNothingAndSendsOn) {
  create("t", 6);
  std::map<int32_t, int32_t> next;
  for (int32_t i = 0; i < 6; ++i) {
    move("t", i, 1);
    expect_produced(1, "t", i, next[i]++);
  }
  protocol::DrainBrokerRequest request;
  request.broker_id = 1;
  EXPECT_EQ(name(ask_at<protocol::DrainBrokerResponse>(2, 0, request).error_code), "NONE");
  const bool drained = world_.run_until(
      [&] {
        for (size_t i = 0; i < 6; ++i)
          if (leader("t", i) == 1) return false;
        return true;
      },
      kPatience);
  EXPECT_TRUE(drained);
  world_.run_for(1s);  // until it is over, and the broker takes partitions again
  for (int32_t i = 0; i < 6; ++i) {
    expect_produced(1, "t", i, next[i]++);
    EXPECT_EQ(led("t", static_cast<size_t>(i), 2).preferred.front(), BrokerId(1));
    EXPECT_EQ(name(elect(3, "t", i)), "NONE");
  }
  request.broker_id = 9;
  EXPECT_EQ(name(ask_at<protocol::DrainBrokerResponse>(2, 0, request).error_code),
            "BROKER_NOT_AVAILABLE");
}

TEST_P(WireMovesTest, APlannedEndGivesEverythingAwayFirst) {
  create("t", 3);
  for (int32_t i = 0; i < 3; ++i) {
    move("t", i, 1);
    expect_produced(1, "t", i, 0);
  }
  hosts_[0]->begin_stop();
  CHECK(world_.run_until([&] { return leader("t", 0) != 1 && leader("t", 2) != 1; }, kPatience));
  expect_produced(1, "t", 0, 1);  // still sent on
  CHECK(world_.run_until([&] { return !hosts_[0]->running(); }, kPatience));
  for (int32_t i = 0; i < 3; ++i) {
    const cluster::PartitionImage now = led("t", static_cast<size_t>(i), 3);
    EXPECT_NE(now.leader.value, 1);
    EXPECT_FALSE(now.from);  // nothing had to be recovered
    expect_produced(now.leader.value, "t", i, i == 0 ? 2 : 1);
  }
}

TEST_P(WireMovesTest, OffsetsOfAGroupGoAlongWithTheirPartition) {
  create("t", 1);
  auto coordinator = [&](int asked) {
    protocol::FindCoordinatorRequest request;
    request.key = "g";
    return ask_at<protocol::FindCoordinatorResponse>(asked, 2, request);
  };
  for (int i = 0; i < 100 && coordinator(1).error_code != 0; ++i) world_.run_for(100ms);
  CHECK(world_.run_until([&] { return knows_everywhere("__consumer_offsets"); }, kPatience));
  for (int to : {1, 2, 3, 1}) {
    move("__consumer_offsets", 0, to);
    EXPECT_EQ(coordinator(2).node_id, to);
    protocol::OffsetCommitRequest commit;
    commit.group_id = "g";
    commit.generation_id_or_member_epoch = -1;
    auto& topic = commit.topics.emplace_back();
    topic.name = "t";
    auto& partition = topic.partitions.emplace_back();
    partition.committed_offset = 10 * to;
    auto committed = ask_at<protocol::OffsetCommitResponse>(to, 7, commit);
    EXPECT_EQ(name(committed.topics.at(0).partitions.at(0).error_code), "NONE");
    const int next = to % 3 + 1;
    move("__consumer_offsets", 0, next);
    protocol::OffsetFetchRequest fetch;
    fetch.group_id = "g";
    fetch.topics.reset();
    auto fetched = ask_at<protocol::OffsetFetchResponse>(next, 5, fetch);
    ASSERT_EQ(fetched.topics.size(), 1u);
    EXPECT_EQ(fetched.topics[0].partitions.at(0).committed_offset, 10 * to);
    // A client that has not heard of it is served where it asks.
    auto sent_on = ask_at<protocol::OffsetFetchResponse>(to, 5, fetch);
    EXPECT_EQ(name(sent_on.error_code), "NONE");
    ASSERT_EQ(sent_on.topics.size(), 1u);
    EXPECT_EQ(sent_on.topics[0].partitions.at(0).committed_offset, 10 * to);
  }
}

TEST_P(WireMovesTest, AMemberStaysInItsGroupWithoutLookingForItsCoordinator) {
  create("t", 1);
  protocol::FindCoordinatorRequest find;
  find.key = "g";
  while (ask_at<protocol::FindCoordinatorResponse>(1, 2, find).error_code != 0)
    world_.run_for(100ms);
  CHECK(world_.run_until([&] { return knows_everywhere("__consumer_offsets"); }, kPatience));
  move("__consumer_offsets", 0, 1);
  protocol::JoinGroupRequest join;
  join.group_id = "g";
  join.session_timeout_ms = 10'000;
  join.rebalance_timeout_ms = 10'000;
  join.protocol_type = "consumer";
  join.protocols.push_back({"range", {}});
  const auto joined = ask_at<protocol::JoinGroupResponse>(1, 3, join);
  ASSERT_EQ(name(joined.error_code), "NONE");
  protocol::SyncGroupRequest sync;
  sync.group_id = "g";
  sync.generation_id = joined.generation_id;
  sync.member_id = joined.member_id;
  sync.assignments.push_back({joined.member_id, as_bytes("all")});
  ASSERT_EQ(name(ask_at<protocol::SyncGroupResponse>(1, 3, sync).error_code), "NONE");
  protocol::HeartbeatRequest beat;
  beat.group_id = "g";
  beat.generation_id = joined.generation_id;
  beat.member_id = joined.member_id;
  protocol::OffsetCommitRequest commit;
  commit.group_id = "g";
  commit.generation_id_or_member_epoch = joined.generation_id;
  commit.member_id = joined.member_id;
  auto& topic = commit.topics.emplace_back();
  topic.name = "t";
  topic.partitions.emplace_back().committed_offset = 5;
  const auto committed = [](const auto& answer) {
    return name(answer.topics.at(0).partitions.at(0).error_code);
  };
  for (int to : {2, 3, 1, 2}) {
    // One of them runs into the pause.
    protocol::AlterPartitionReassignmentsRequest request;
    auto& one = request.topics.emplace_back();
    one.name = "__consumer_offsets";
    one.partitions.push_back({0, std::vector<int32_t>{to}});
    auto moving = begin<protocol::AlterPartitionReassignmentsResponse>(at(3), 0, request);
    for (int i = 0; i < 40; ++i) {
      EXPECT_EQ(committed(ask_at<protocol::OffsetCommitResponse>(1, 7, commit)), "NONE");
      EXPECT_EQ(name(ask_at<protocol::HeartbeatResponse>(1, 3, beat).error_code), "NONE");
    }
    ASSERT_TRUE(end(moving));
    move("__consumer_offsets", 0, to);
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(committed(ask_at<protocol::OffsetCommitResponse>(1, 7, commit)), "NONE");
      EXPECT_EQ(name(ask_at<protocol::HeartbeatResponse>(1, 3, beat).error_code), "NONE");
      world_.run_for(1s);
    }
  }
  // What waits for others is told to go there.
  join.member_id = joined.member_id;
  EXPECT_EQ(name(ask_at<protocol::JoinGroupResponse>(1, 3, join).error_code), "NOT_COORDINATOR");
  beat.member_id = "nobody";
  EXPECT_EQ(name(ask_at<protocol::HeartbeatResponse>(1, 3, beat).error_code), "UNKNOWN_MEMBER_ID");
  protocol::LeaveGroupRequest leave;
  leave.group_id = "g";
  leave.member_id = joined.member_id;
  EXPECT_EQ(name(ask_at<protocol::LeaveGroupResponse>(1, 1, leave).error_code), "NONE");
  beat.member_id = joined.member_id;
  EXPECT_EQ(name(ask_at<protocol::HeartbeatResponse>(2, 3, beat).error_code), "UNKNOWN_MEMBER_ID");
}

}  // namespace
}  // namespace paceline::sim
