#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "base/log.h"
#include "protocol/gen/create_topics.h"
#include "protocol/gen/fetch.h"
#include "protocol/gen/list_offsets.h"
#include "protocol/gen/produce.h"
#include "record/kafka_error.h"
#include "record/records.h"
#include "sim/broker_host.h"
#include "sim/wire_client.h"

namespace paceline::sim {

using namespace std::chrono_literals;

using Configs = std::map<std::string, std::string>;
using Produced = protocol::ProduceResponse::Topic::Partition;
using Fetched = protocol::FetchResponse::Topic::Partition;
using Listed = protocol::ListOffsetsResponse::Topic::Partition;

// Kafka's name of an error, so that a failure reads like the protocol.
inline std::string name(int16_t error_code) {
  return std::string(record::kafka_error_name(static_cast<record::KafkaError>(error_code)));
}

struct Got {
  int64_t offset = 0;
  std::optional<std::string> key;
  std::optional<std::string> value;
  int64_t timestamp = 0;
};

// A call under way: nothing, until it has an answer or failed.
template <class T>
using Later = std::shared_ptr<std::optional<Result<T>>>;

// One real broker on a simulated machine and a client beside it; the parameter is the broker's
// number of shards. Everything here looks synchronous: it runs the world until it has its answer.
// The broker starts with the first thing asked of it, so a test may change options() before.
class WireTest : public testing::TestWithParam<unsigned> {
 protected:
  enum class End { stop, kill, crash };
  static constexpr env::Duration kPatience = 100s;

  WireTest() : client_host_(world_.add_host("client")), broker_(world_, "broker", GetParam()) {
    set_log_level(LogLevel::error);  // refusals are most of what these tests do
    client_host_.start();
    settings().offsets_topic_partitions = 4;
    settings().events_topic = false;  // they are not what these tests are about
    settings().group.initial_rebalance_delay_ms = 0;
  }

  server::Options& options() { return broker_.options(); }
  broker::Settings& settings() { return options().settings; }
  env::Shard& shard() { return client_host_.shard(0); }
  int64_t now_ms() { return shard().wall_ms(); }

  void boot() {
    broker_.start();
    world_.run_until([this] { return broker_.serving() || !broker_.running(); }, kPatience);
    CHECK(broker_.serving());
  }
  // A new life of the broker on the same disk. Connections are gone.
  void restart(End how) {
    if (!broker_.running()) boot();
    client_.reset();
    if (how == End::stop) {
      broker_.begin_stop();
      CHECK(world_.run_until([this] { return !broker_.running(); }, kPatience));
    } else if (how == End::kill) {
      broker_.kill();
    } else {
      broker_.crash();
    }
    boot();
  }

  template <class T>
  T run(Task<T> task) {
    auto slot = std::make_shared<std::optional<T>>();
    shard().spawn(put(std::move(task), slot));
    CHECK(world_.run_until([&] { return slot->has_value(); }, 2 * kPatience));
    return std::move(**slot);
  }

  std::unique_ptr<WireClient> connect() {
    if (!broker_.running()) boot();
    auto made = run(WireClient::connect(shard(), "broker", BrokerHost::kPort, kPatience));
    CHECK(made);
    return std::move(*made);
  }
  // The connection that is used where none is named.
  WireClient& client() {
    if (!client_ || client_->broken()) client_ = connect();
    return *client_;
  }

  // Sends, and leaves it under way. The texts that the request names must stay until the answer.
  template <class Response, class Request>
  Later<Response> begin(WireClient& client, int16_t version, Request request) {
    auto later = std::make_shared<std::optional<Result<Response>>>();
    shard().spawn(ask_into<Response>(&client, version, std::move(request), later));
    return later;
  }
  template <class Response>
  Result<Response> end(const Later<Response>& later) {
    CHECK(world_.run_until([&] { return later->has_value(); }, 2 * kPatience));
    return std::move(**later);
  }
  template <class Response, class Request>
  Result<Response> try_ask(int16_t version, const Request& request) {
    return end(begin<Response>(client(), version, request));
  }
  template <class Response, class Request>
  Response ask(int16_t version, const Request& request) {
    auto answer = try_ask<Response>(version, request);
    EXPECT_TRUE(answer) << Request::kName << " v" << version << ": " << answer.error().message;
    return answer ? std::move(*answer) : Response{};
  }
  // A request that the broker answers by ending the connection.
  template <class Response, class Request>
  bool ends_connection(int16_t version, const Request& request) {
    auto answer = try_ask<Response>(version, request);
    return !answer &&
           (answer.error().code == Code::closed || answer.error().code == Code::io_error);
  }
  // Frames as they are, and the next answer with its header.
  Result<std::string> exchange(const std::string& bytes) {
    WireClient& to = client();
    std::vector<Slice> frame;
    frame.push_back(Slice::copy_of(as_bytes(bytes)));
    CHECK(run(to.send_only(std::move(frame))));
    auto answer = run(to.receive());
    if (!answer) return fail(answer.error());
    return to_string(answer->bytes());
  }

  Uuid create_topic(std::string_view topic, int32_t partitions = 1, const Configs& configs = {}) {
    protocol::CreateTopicsRequest request;
    auto& one = request.topics.emplace_back();
    one.name = topic;
    one.num_partitions = partitions;
    one.replication_factor = 1;
    for (const auto& [key, value] : configs) one.configs.push_back({key, value});
    auto answer = ask<protocol::CreateTopicsResponse>(7, request);
    CHECK(answer.topics.size() == 1);
    EXPECT_EQ(name(answer.topics[0].error_code), "NONE") << topic;
    return answer.topics[0].topic_id;
  }

  // A batch of one record a value, as a producer sends it.
  record::BatchBuilder batch(const std::vector<std::string>& values) {
    record::BatchBuilder builder;
    builder.timestamp(now_ms());
    for (const std::string& value : values) builder.add("key", value);
    return builder;
  }
  static protocol::ProduceRequest produce_request(std::string_view topic, int32_t partition,
                                                  std::optional<std::string_view> records,
                                                  int16_t acks = -1) {
    protocol::ProduceRequest request;
    request.acks = acks;
    request.timeout_ms = 30'000;
    auto& one = request.topic_data.emplace_back();
    one.name = topic;
    auto& data = one.partition_data.emplace_back();
    data.index = partition;
    data.records = records ? std::optional(as_bytes(*records)) : std::nullopt;
    return request;
  }
  Produced produce(std::string_view topic, int32_t partition, const std::string& records,
                   int16_t version = 9) {
    auto answer =
        ask<protocol::ProduceResponse>(version, produce_request(topic, partition, records));
    if (answer.responses.size() != 1 || answer.responses[0].partition_responses.size() != 1) {
      ADD_FAILURE() << "an answer of another shape";
      return {};
    }
    return answer.responses[0].partition_responses[0];
  }
  Produced produce(std::string_view topic, int32_t partition, const record::BatchBuilder& builder,
                   int16_t version = 9) {
    return produce(topic, partition, *builder.build(), version);
  }

  // Answered at once, whatever there is.
  static protocol::FetchRequest fetch_request(std::string_view topic, int32_t partition,
                                              int64_t offset) {
    protocol::FetchRequest request;
    request.min_bytes = 1;
    request.max_bytes = 50 << 20;
    auto& one = request.topics.emplace_back();
    one.topic = topic;
    auto& wanted = one.partitions.emplace_back();
    wanted.partition = partition;
    wanted.fetch_offset = offset;
    wanted.partition_max_bytes = 10 << 20;
    return request;
  }
  Fetched only_partition(const protocol::FetchResponse& answer) {
    EXPECT_EQ(name(answer.error_code), "NONE");
    if (answer.responses.size() != 1 || answer.responses[0].partitions.size() != 1) {
      ADD_FAILURE() << "an answer of another shape";
      return {};
    }
    return answer.responses[0].partitions[0];
  }
  Fetched fetch(std::string_view topic, int32_t partition, int64_t offset, int16_t version = 11) {
    return only_partition(
        ask<protocol::FetchResponse>(version, fetch_request(topic, partition, offset)));
  }
  static std::string bytes_of(const Fetched& fetched) { return protocol::join(fetched.records); }
  static std::vector<Got> records_of(const Fetched& fetched) {
    std::vector<Got> all;
    const std::string run = bytes_of(fetched);
    record::BatchCursor cursor(as_bytes(run));
    for (auto batch = cursor.next(); batch && *batch; batch = cursor.next()) {
      EXPECT_TRUE((*batch)->crc_ok());
      auto reader = record::RecordReader::open(**batch);
      CHECK(reader);
      for (auto one = reader->next(); one && *one; one = reader->next()) {
        Got& got = all.emplace_back();
        got.offset = (*one)->offset.value;
        if ((*one)->key) got.key = std::string(*(*one)->key);
        if ((*one)->value) got.value = std::string(*(*one)->value);
        got.timestamp = (*one)->timestamp;
      }
    }
    return all;
  }
  std::vector<std::string> values_from(std::string_view topic, int32_t partition,
                                       int64_t offset = 0) {
    std::vector<std::string> values;
    for (const Got& got : records_of(fetch(topic, partition, offset)))
      values.push_back(got.value.value_or("null"));
    return values;
  }

  Listed list_offset(std::string_view topic, int32_t partition, int64_t timestamp,
                     int16_t version = 7) {
    protocol::ListOffsetsRequest request;
    request.replica_id = -1;
    auto& one = request.topics.emplace_back();
    one.name = topic;
    auto& asked = one.partitions.emplace_back();
    asked.partition_index = partition;
    asked.timestamp = timestamp;
    auto answer = ask<protocol::ListOffsetsResponse>(version, request);
    CHECK(answer.topics.size() == 1 && answer.topics[0].partitions.size() == 1);
    return answer.topics[0].partitions[0];
  }

  // `batch` with another value at one place of its header, and a checksum that fits.
  template <class T>
  static std::string patched(std::string batch, size_t at, T value) {
    auto* bytes = reinterpret_cast<std::byte*>(batch.data());
    store_be(bytes + at, value);
    store_be(bytes + record::kCrcAt, crc32c(as_bytes(batch).subspan(record::kCrcStart)));
    return batch;
  }

  env::SimWorld world_{20'26};
  env::SimHost& client_host_;
  BrokerHost broker_;
  std::unique_ptr<WireClient> client_;

 private:
  template <class T>
  static Task<void> put(Task<T> task, std::shared_ptr<std::optional<T>> into) {
    T value = co_await std::move(task);
    into->emplace(std::move(value));
  }
  template <class Response, class Request>
  static Task<void> ask_into(WireClient* client, int16_t version, Request request,
                             Later<Response> into) {
    auto answer = co_await client->template call<Response>(version, request);
    into->emplace(std::move(answer));
  }
};

// Every behaviour holds however many threads the broker has.
#define PACELINE_ON_ONE_AND_TWO_SHARDS(Suite) \
  INSTANTIATE_TEST_SUITE_P(Shards, Suite, testing::Values(1u, 2u))

}  // namespace paceline::sim
