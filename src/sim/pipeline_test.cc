#include <gtest/gtest.h>

#include "protocol/gen/create_topics.h"
#include "protocol/gen/produce.h"
#include "record/records.h"
#include "sim/broker_host.h"
#include "sim/wire_client.h"

namespace paceline::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kTopic = "orders";

std::string batch(int64_t producer, int32_t sequence) {
  record::BatchBuilder builder;
  builder.producer(record::ProducerId(producer), 0, sequence).timestamp(1'767'225'600'000);
  builder.add("key", "value");
  return *builder.build();
}

// Sends `request_count` requests side by side; the i-th has a batch for every partition p with
// i % (p + 1) == 0, so that big requests and small ones follow each other.
Task<void> send_pipelined(env::Shard& shard, int request_count, int32_t partition_count,
                          std::vector<int16_t>& errors, bool& done) {
  auto client = co_await WireClient::connect(shard, "broker", BrokerHost::kPort, 10s);
  CHECK(client);
  protocol::CreateTopicsRequest create;
  auto& topic = create.topics.emplace_back();
  topic.name = kTopic;
  topic.num_partitions = partition_count;
  topic.replication_factor = 1;
  auto created = co_await (*client)->call<protocol::CreateTopicsResponse>(7, create);
  CHECK(created && created->topics.at(0).error_code == 0);
  std::vector<int32_t> sequences(static_cast<size_t>(partition_count), 0);
  std::vector<WireClient::Begun> begun;
  for (int i = 0; i < request_count; ++i) {
    protocol::ProduceRequest request;
    request.transactional_id.reset();
    request.acks = -1;
    request.timeout_ms = 5000;
    auto& to = request.topic_data.emplace_back();
    to.name = kTopic;
    std::deque<std::string> batches;
    for (int32_t p = 0; p < partition_count; ++p) {
      if (i % (p + 1) != 0) continue;
      auto& partition = to.partition_data.emplace_back();
      partition.index = p;
      partition.records =
          as_bytes(batches.emplace_back(batch(7, sequences[static_cast<size_t>(p)]++)));
    }
    begun.push_back((*client)->begin(9, request));
  }
  for (auto& one : begun) {
    auto answer = co_await (*client)->end<protocol::ProduceResponse>(std::move(one));
    CHECK(answer);
    for (const auto& partition : answer->responses.at(0).partition_responses)
      errors.push_back(partition.error_code);
  }
  done = true;
}

// A small request must not overtake a big one on its way to a partition: the sequences of an
// idempotent producer would have a gap, and a plain producer's records would change places.
TEST(Pipeline, BatchesOfOneConnectionKeepTheirOrderWhateverRequestsTheyAreIn) {
  for (unsigned shards : {1u, 2u, 3u}) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      SCOPED_TRACE(fmt::format("{} shards, seed {}", shards, seed));
      env::SimWorld world(seed);
      BrokerHost broker(world, "broker", shards);
      broker.start();
      env::Shard& shard = *world.add_host("client").start(1).front();
      std::vector<int16_t> errors;
      bool done = false;
      shard.spawn(send_pipelined(shard, 100, 5, errors, done));
      ASSERT_TRUE(world.run_until([&] { return done; }, 60s));
      EXPECT_EQ(errors.size(), 100u + 50 + 34 + 25 + 20);
      for (int16_t error : errors) ASSERT_EQ(error, 0);
    }
  }
}

}  // namespace
}  // namespace paceline::sim
