#include "meta/model.h"
#include "protocol/gen/alter_partition_reassignments.h"
#include "protocol/gen/drain_broker.h"
#include "protocol/gen/elect_leaders.h"
#include "protocol/gen/find_coordinator.h"
#include "protocol/gen/list_partition_reassignments.h"
#include "protocol/gen/metadata.h"
#include "protocol/gen/offset_commit.h"
#include "protocol/gen/offset_fetch.h"
#include "sim/bucket.h"
#include "sim/wire_world_test.h"

// Three brokers that share everything durable, and clients that stay where they are while
// leadership moves.

namespace paceline::sim {
namespace {

class WireMovesTest : public WireTest {
 protected:
  WireMovesTest() {
    for (int number = 1; number <= 3; ++number) {
      auto host = std::make_unique<BrokerHost>(world_, fmt::format("b{}", number), GetParam());
      server::Options& made = host->options();
      made.settings.broker = BrokerId(number);
      made.settings.offsets_topic_partitions = 1;
      made.settings.group.initial_rebalance_delay_ms = 0;
      made.settings.drain_forward_max_ms = 1'000;
      made.places.metadata = "etcd";
      made.places.wal = "objects:";
      made.open_metadata = [this](env::Shard&) -> Result<std::unique_ptr<meta::Store>> {
        return model_.connect();
      };
      made.open_objects = [this](env::Disk&) -> Result<std::unique_ptr<object::Store>> {
        return bucket_.client(reachable_);
      };
      made.peer = server::PeerPort{};
      made.peer->listen = {"", "0.0.0.0", 9093};
      made.peer->advertised = {"", host->name(), 9093};
      hosts_.push_back(std::move(host));
    }
    for (auto& host : hosts_) host->start();
    CHECK(world_.run_until(
        [&] { return std::ranges::all_of(hosts_, [](auto& host) { return host->serving(); }); },
        kPatience));
    clients_.resize(hosts_.size());
  }

  WireClient& at(int number) {
    auto& client = clients_[static_cast<size_t>(number - 1)];
    if (!client || client->broken()) {
      auto made = run(
          WireClient::connect(shard(), fmt::format("b{}", number), BrokerHost::kPort, kPatience));
      CHECK(made);
      client = std::move(*made);
    }
    return *client;
  }
  template <class Response, class Request>
  Response ask_at(int number, int16_t version, const Request& request) {
    auto answer = end(begin<Response>(at(number), version, request));
    EXPECT_TRUE(answer) << Request::kName << ": " << answer.error().message;
    return answer ? std::move(*answer) : Response{};
  }

  void create(std::string_view topic, int32_t partitions) {
    protocol::CreateTopicsRequest request;
    auto& one = request.topics.emplace_back();
    one.name = topic;
    one.num_partitions = partitions;
    one.replication_factor = 3;
    auto answer = ask_at<protocol::CreateTopicsResponse>(1, 7, request);
    EXPECT_EQ(name(answer.topics[0].error_code), "NONE");
    // Until all know it.
    CHECK(world_.run_until([&] { return knows_everywhere(topic); }, kPatience));
  }
  bool knows_everywhere(std::string_view topic) {
    return std::ranges::all_of(hosts_, [&](auto& host) {
      return !host->serving() || host->server().node().image()->topic(topic);
    });
  }
  cluster::PartitionImage led(std::string_view topic, size_t index, int as_seen_by) {
    return hosts_[static_cast<size_t>(as_seen_by - 1)]
        ->server()
        .node()
        .image()
        ->topic(topic)
        ->partitions[index];
  }
  int leader(std::string_view topic, size_t index, int as_seen_by = 3) {
    return led(topic, index, as_seen_by).leader.value;
  }
  int16_t reassign(int asked, std::string_view topic, int32_t index, std::vector<int32_t> list) {
    protocol::AlterPartitionReassignmentsRequest request;
    auto& one = request.topics.emplace_back();
    one.name = topic;
    auto& partition = one.partitions.emplace_back();
    partition.partition_index = index;
    partition.replicas = std::move(list);
    auto answer = ask_at<protocol::AlterPartitionReassignmentsResponse>(asked, 0, request);
    const auto& told = answer.responses.at(0).partitions.at(0);
    EXPECT_EQ(told.error_code == 0, !told.error_message) << told.error_message.value_or("");
    return told.error_code;
  }
  int16_t elect(int asked, std::string_view topic, int32_t index) {
    protocol::ElectLeadersRequest request;
    auto& one = request.topic_partitions->emplace_back();
    one.topic = topic;
    one.partitions = {index};
    auto answer = ask_at<protocol::ElectLeadersResponse>(asked, 2, request);
    return answer.replica_election_results.at(0).partition_result.at(0).error_code;
  }
  // Where it is preferred, and leads, from now on.
  void move(std::string_view topic, int32_t index, int to, int asked = 3) {
    std::vector<int32_t> list = {to};
    for (int other = 1; other <= 3; ++other)
      if (other != to) list.push_back(other);
    EXPECT_EQ(name(reassign(asked, topic, index, list)), "NONE");
    const std::string elected = name(elect(asked, topic, index));
    EXPECT_TRUE(elected == "NONE" || elected == "ELECTION_NOT_NEEDED") << elected;
    CHECK(world_.run_until(
        [&] {
          return leader(topic, static_cast<size_t>(index), 1) == to &&
                 leader(topic, static_cast<size_t>(index), 2) == to &&
                 leader(topic, static_cast<size_t>(index), 3) == to;
        },
        kPatience));
  }

  // A batch of an idempotent producer.
  std::string sequenced(int32_t sequence) {
    record::BatchBuilder builder;
    builder.timestamp(now_ms()).producer(record::ProducerId(4711), 0, sequence);
    builder.add("key", fmt::format("{}", sequence));
    return *builder.build();
  }
  // Leaves it under way; `records` stays until it is answered.
  Later<protocol::ProduceResponse> send(int number, std::string_view topic, int32_t index,
                                        int32_t sequence) {
    sent_.push_back(sequenced(sequence));
    return begin<protocol::ProduceResponse>(at(number), 9,
                                            produce_request(topic, index, sent_.back()));
  }
  void expect_offset(const Later<protocol::ProduceResponse>& later, int64_t offset) {
    auto answer = end(later);
    ASSERT_TRUE(answer) << answer.error().message;
    const auto& told = answer->responses.at(0).partition_responses.at(0);
    EXPECT_EQ(name(told.error_code), "NONE") << told.error_message.value_or("");
    EXPECT_EQ(told.base_offset, offset);
  }
  void expect_produced(int number, std::string_view topic, int32_t index, int32_t sequence) {
    expect_offset(send(number, topic, index, sequence), sequence);
  }
  std::vector<std::string> values_at(int number, std::string_view topic, int32_t index) {
    std::vector<std::string> values;
    auto answer = ask_at<protocol::FetchResponse>(number, 11, fetch_request(topic, index, 0));
    const Fetched fetched = only_partition(answer);
    EXPECT_EQ(name(fetched.error_code), "NONE");
    for (const Got& got : records_of(fetched)) values.push_back(got.value.value_or("null"));
    return values;
  }
  static std::vector<std::string> numbers(int count) {
    std::vector<std::string> all;
    for (int i = 0; i < count; ++i) all.push_back(fmt::format("{}", i));
    return all;
  }

  meta::Model model_{11};
  Bucket bucket_{world_};
  std::shared_ptr<bool> reachable_ = std::make_shared<bool>(true);
  std::vector<std::unique_ptr<BrokerHost>> hosts_;
  std::vector<std::unique_ptr<WireClient>> clients_;
  std::deque<std::string> sent_;
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

TEST_P(WireMovesTest, ReassignmentsAreOrdersOfPreference) {
  create("t", 1);
  move("t", 0, 2);
  EXPECT_EQ(name(reassign(1, "t", 0, {3, 2, 1})), "NONE");
  EXPECT_EQ(leader("t", 0, 1), 2);  // in the list: it stays
  EXPECT_EQ(led("t", 0, 2).replicas, (std::vector{BrokerId(3), BrokerId(2), BrokerId(1)}));
  EXPECT_EQ(name(elect(1, "t", 0)), "NONE");
  world_.run_for(1s);
  EXPECT_EQ(leader("t", 0, 1), 3);
  EXPECT_EQ(name(elect(1, "t", 0)), "ELECTION_NOT_NEEDED");
  EXPECT_EQ(name(reassign(2, "t", 0, {1, 2})), "NONE");
  world_.run_for(1s);
  EXPECT_EQ(leader("t", 0), 1);  // not in the list: it gives way
  EXPECT_EQ(name(reassign(2, "t", 0, {9})), "INVALID_REPLICA_ASSIGNMENT");
  EXPECT_EQ(name(reassign(2, "no", 0, {1})), "UNKNOWN_TOPIC_OR_PARTITION");
  auto listed = ask_at<protocol::ListPartitionReassignmentsResponse>(
      1, 0, protocol::ListPartitionReassignmentsRequest{});
  EXPECT_EQ(listed.error_code, 0);
  EXPECT_TRUE(listed.topics.empty());
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
    EXPECT_EQ(name(ask_at<protocol::OffsetFetchResponse>(to, 5, fetch).error_code),
              "NOT_COORDINATOR");
  }
}

}  // namespace
}  // namespace paceline::sim
