#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "meta/model.h"
#include "protocol/gen/alter_partition_reassignments.h"
#include "protocol/gen/elect_leaders.h"
#include "sim/bucket.h"
#include "sim/metadata_way.h"
#include "sim/wire_world_test.h"

namespace paceline::sim {

// Brokers that share everything durable, and clients that stay where they are while leadership
// moves. Nothing is balanced, and events go to no topic, unless a test wants it.
class WireClusterTest : public WireTest {
 protected:
  // All but the last ones, which come later, are started. `change` may change their settings.
  using Change = std::function<void(int number, broker::Settings&)>;
  explicit WireClusterTest(int count = 3, int later = 0, const Change& change = {}) {
    for (int number = 1; number <= count + later; ++number) {
      auto host = std::make_unique<BrokerHost>(world_, fmt::format("b{}", number), GetParam());
      server::Options& made = host->options();
      made.settings.broker = BrokerId(number);
      made.settings.offsets_topic_partitions = 1;
      made.settings.group.initial_rebalance_delay_ms = 0;
      made.settings.drain_forward_max_ms = 1'000;
      made.settings.balance = false;
      made.settings.events_topic = false;
      if (change) change(number, made.settings);
      made.places.metadata = "etcd";
      made.places.wal = "objects:";
      made.open_metadata = [this, way = ways_.emplace_back(std::make_shared<MetadataWay>())](
                               env::Shard&) -> Result<std::unique_ptr<meta::Store>> {
        return behind(model_.connect(), way);
      };
      made.open_objects = [this, reachable = reachable_.emplace_back(std::make_shared<bool>(true))](
                              env::Disk&) -> Result<std::unique_ptr<object::Store>> {
        return bucket_.client(reachable);
      };
      made.peer = server::PeerPort{};
      made.peer->listen = {"", "0.0.0.0", 9093};
      made.peer->advertised = {"", host->name(), 9093};
      hosts_.push_back(std::move(host));
    }
    for (int number = 1; number <= count; ++number) host(number).start();
    CHECK(world_.run_until([&] { return std::ranges::count_if(hosts_, &serves) == count; },
                           kPatience));
    clients_.resize(hosts_.size());
  }

  static bool serves(const std::unique_ptr<BrokerHost>& host) { return host->serving(); }
  MetadataWay& way(int number) { return *ways_[static_cast<size_t>(number - 1)]; }
  void cut_from_store(int number, bool cut) { *reachable_[static_cast<size_t>(number - 1)] = !cut; }
  void cut_all_from_store(bool cut) {
    for (const auto& reachable : reachable_) *reachable = !cut;
  }
  BrokerHost& host(int number) { return *hosts_[static_cast<size_t>(number - 1)]; }

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
  std::vector<std::shared_ptr<bool>> reachable_;    // the bucket, for each
  std::vector<std::shared_ptr<MetadataWay>> ways_;  // of each broker to the metadata
  std::vector<std::unique_ptr<BrokerHost>> hosts_;
  std::vector<std::unique_ptr<WireClient>> clients_;
  std::deque<std::string> sent_;
};

}  // namespace paceline::sim
