#include <gmock/gmock.h>

#include "protocol/gen/api_versions.h"
#include "protocol/gen/metadata.h"
#include "sim/wire_world_test.h"

// What arrives on a connection that no client should send, and what every client may rely on.

namespace paceline::sim {
namespace {

using protocol::ProduceResponse;
using testing::ElementsAre;

class WireConnection : public WireTest {
 protected:
  // A connection without any protocol.
  struct Raw {
    std::unique_ptr<env::Socket> socket;
    std::string received;
    std::optional<Error> ended;
  };
  using RawPtr = std::shared_ptr<Raw>;

  RawPtr raw() {
    if (!broker_.running()) boot();
    auto made = run(shard().network().connect("broker", BrokerHost::kPort, shard().now() + 10s));
    CHECK(made);
    auto one = std::make_shared<Raw>();
    one->socket = std::move(*made);
    shard().spawn(read_all(one));
    return one;
  }
  static Task<void> read_all(RawPtr one) {
    std::byte buffer[4096];
    for (;;) {
      auto count = co_await one->socket->read_some(buffer);
      if (!count) {
        one->ended = count.error();
        co_return;
      }
      one->received += as_text(Bytes(buffer, *count));
    }
  }
  static Task<bool> write(RawPtr to, std::string bytes) {
    const Slice slice = Slice::copy_of(as_bytes(bytes));
    auto wrote = co_await to->socket->write(std::span(&slice, 1));
    co_return wrote.has_value();
  }
  bool send(const RawPtr& to, std::string bytes) { return run(write(to, std::move(bytes))); }
  bool ends_within(const RawPtr& one, env::Duration limit) {
    return world_.run_until([&] { return one->ended.has_value(); }, limit);
  }
  bool answers_within(const RawPtr& one, size_t count, env::Duration limit = 1s) {
    return world_.run_until([&] { return ids_of(*one).size() >= count; }, limit);
  }
  // The correlation ids of the whole frames received.
  static std::vector<int32_t> ids_of(const Raw& one) {
    std::vector<int32_t> ids;
    std::string_view rest = one.received;
    while (rest.size() >= 8) {
      const auto size = load_be<uint32_t>(as_bytes(rest).data());
      if (rest.size() < 4 + size) break;
      ids.push_back(load_be<int32_t>(as_bytes(rest).data() + 4));
      rest.remove_prefix(4 + size);
    }
    return ids;
  }
  static std::string length(uint32_t size) {
    std::string bytes(4, '\0');
    store_be(reinterpret_cast<std::byte*>(bytes.data()), size);
    return bytes;
  }
  static std::string versions_frame(int32_t id) {
    return protocol::join(*protocol::request_frame(0, id, "raw", protocol::ApiVersionsRequest{}));
  }
  static std::string produce_frame(int32_t id, const std::string& records, int16_t acks = -1) {
    return protocol::join(
        *protocol::request_frame(9, id, "raw", produce_request("t", 0, records, acks)));
  }
  // The broker serves others as if nothing had happened.
  void expect_alive() {
    auto one = raw();
    EXPECT_TRUE(send(one, versions_frame(1)));
    EXPECT_TRUE(answers_within(one, 1));
  }
  // So many clients at a time with 400 kB each, two of which fit into the budget, and a slow disk.
  std::vector<Later<ProduceResponse>> crowd(int count) {
    settings().request_memory_bytes = 1'000'000;
    create_topic("t");
    records_ = *batch({std::string(400'000, 'x')}).build();
    broker_.disk().faults().slow_sync = 1;
    broker_.disk().faults().slow_sync_max = 200ms;
    std::vector<Later<ProduceResponse>> answers;
    for (int i = 0; i < count; ++i) {
      crowd_.push_back(connect());
      answers.push_back(
          begin<ProduceResponse>(*crowd_.back(), 9, produce_request("t", 0, records_)));
    }
    return answers;
  }

 private:
  std::vector<std::unique_ptr<WireClient>> crowd_;
  std::string records_;  // that its requests refer to
};
PACELINE_ON_ONE_AND_TWO_SHARDS(WireConnection);

TEST_P(WireConnection, AFrameOfAnImpossibleSizeEndsTheConnectionAtOnce) {
  for (uint32_t size : {0u, 1u, 7u, (100u << 20) + 1, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
    auto one = raw();
    EXPECT_TRUE(send(one, length(size)));
    EXPECT_TRUE(ends_within(one, 1s)) << size;
    EXPECT_EQ(one->received, "");
  }
  expect_alive();
}

TEST_P(WireConnection, TheLargestFrameIsWhatTheConfigurationSays) {
  settings().request_bytes_max = 1000;
  auto fits = raw();
  EXPECT_TRUE(send(fits, versions_frame(1)));
  EXPECT_TRUE(answers_within(fits, 1));
  EXPECT_TRUE(send(fits, length(1000)));
  EXPECT_FALSE(ends_within(fits, 1s));
  auto over = raw();
  EXPECT_TRUE(send(over, length(1001)));
  EXPECT_TRUE(ends_within(over, 1s));
}

TEST_P(WireConnection, OtherProtocolsAreTurnedAwayAtOnce) {
  const std::string tls("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
  for (const std::string& hello : {std::string("GET / HTTP/1.1\r\nHost: broker\r\n\r\n"),
                                   std::string("POST /topics HTTP/1.1\r\n\r\n"), tls,
                                   std::string("SSH-2.0-OpenSSH_9.2\r\n")}) {
    auto one = raw();
    EXPECT_TRUE(send(one, hello));
    EXPECT_TRUE(ends_within(one, 1s)) << hello.substr(0, 4);
    EXPECT_EQ(one->received, "");
  }
  expect_alive();
}

// Every API, every version, bytes by chance behind the header: an answer or an end, never a crash.
TEST_P(WireConnection, GarbageBehindAHeaderHurtsNobodyElse) {
  env::Random random(7);
  for (const protocol::Api& api : protocol::kApis) {
    for (int16_t version = api.version_min; version <= api.version_max; ++version) {
      protocol::Output out;
      protocol::start_frame(out);
      out.put(static_cast<int16_t>(api.key));
      out.put(version);
      out.put(int32_t{1});
      out.put(int16_t{-1});
      if (version >= api.flexible_min) out.put(int8_t{0});
      std::string body;
      for (uint64_t i = 0, count = random.below(60); i < count; ++i)
        body.push_back(static_cast<char>(random.below(3) ? random.below(4) : random.below(256)));
      out.append(as_bytes(body));
      auto one = raw();
      EXPECT_TRUE(send(one, protocol::join(protocol::finish_frame(out))));
      // No bound is met here: a fetch or a join may wait.
      (void)world_.run_until([&] { return one->ended || !one->received.empty(); }, 10ms);
      one->socket->close();
    }
  }
  EXPECT_TRUE(broker_.running());
  expect_alive();
}

TEST_P(WireConnection, BytesWithoutAHeaderEndTheConnection) {
  for (const std::string& body :
       {std::string(8, '\xff'), std::string(9, '\0').replace(8, 1, "\x7f"),
        std::string("\x00\x03\x00\x09\x00\x00\x00\x01\x7f\xff", 10)}) {
    auto one = raw();
    EXPECT_TRUE(send(one, length(static_cast<uint32_t>(body.size())) + body));
    EXPECT_TRUE(ends_within(one, 1s));
  }
  expect_alive();
}

TEST_P(WireConnection, ARequestMayArriveByteByByteOrWithOthersInOnePiece) {
  auto slow = raw();
  for (char byte : versions_frame(5)) {
    EXPECT_TRUE(send(slow, std::string(1, byte)));
    world_.run_for(100ms);
  }
  EXPECT_TRUE(answers_within(slow, 1));
  EXPECT_TRUE(send(slow, versions_frame(6) + versions_frame(7) + versions_frame(8)));
  EXPECT_TRUE(answers_within(slow, 4));
  EXPECT_THAT(ids_of(*slow), ElementsAre(5, 6, 7, 8));
}

TEST_P(WireConnection, AFrameThatStopsArrivingEndsTheConnection) {
  settings().frame_read_max_ms = 5'000;
  for (const std::string& part : {length(1000), length(1000) + "abc", std::string("\0\0", 2)}) {
    auto one = raw();
    EXPECT_TRUE(send(one, part));
    EXPECT_FALSE(ends_within(one, 4s));
    EXPECT_TRUE(ends_within(one, 7s));
  }
}

TEST_P(WireConnection, AnIdleConnectionEndsAndABusyOneDoesNot) {
  settings().connection_idle_max_ms = 20'000;
  settings().frame_read_max_ms = 5'000;
  auto idle = raw();
  auto busy = raw();
  for (int32_t i = 1; i <= 6; ++i) {
    EXPECT_TRUE(send(busy, versions_frame(i)));
    world_.run_for(10s);
    if (i == 1) EXPECT_FALSE(idle->ended);
  }
  EXPECT_TRUE(idle->ended);
  EXPECT_FALSE(busy->ended);
  EXPECT_EQ(ids_of(*busy).size(), 6u);
}

// A consumer that waits for records is not idle: the broker owes it an answer.
TEST_P(WireConnection, ALongPollIsNotIdle) {
  settings().connection_idle_max_ms = 20'000;
  create_topic("t");
  auto request = fetch_request("t", 0, 0);
  request.max_wait_ms = 50'000;
  auto answer = ask<protocol::FetchResponse>(11, request);
  EXPECT_EQ(answer.responses.size(), 1u);
}

// Trap 14: many produce requests at once, some of them of one commit, and others between them.
TEST_P(WireConnection, AnswersLeaveInTheOrderOfRequests) {
  create_topic("t");
  auto one = raw();
  std::string all;
  std::vector<int32_t> wanted;
  for (int32_t id = 1; id <= 60; ++id) {
    const std::string records = *batch({"v" + std::to_string(id)}).build();
    if (id % 7 == 0) {
      all += versions_frame(id);
    } else if (id % 11 == 0) {
      all += protocol::join(*protocol::request_frame(11, id, "raw", fetch_request("t", 0, 0)));
    } else {
      all += produce_frame(id, id % 13 ? records : records + records);  // some are refused
    }
    wanted.push_back(id);
  }
  EXPECT_TRUE(send(one, all));
  EXPECT_TRUE(answers_within(one, 60, 20s));
  EXPECT_EQ(ids_of(*one), wanted);
}

// Trap 14: a question asked behind a produce is answered as of after it.
TEST_P(WireConnection, ARequestSeesWhatTheOneBeforeItDid) {
  create_topic("t");
  WireClient& one = client();
  broker_.disk().faults().slow_sync = 1;
  broker_.disk().faults().slow_sync_max = 500ms;
  for (int64_t sent = 1; sent <= 5; ++sent) {
    const std::string records = *batch({"v"}).build();
    auto wrote = begin<ProduceResponse>(one, 9, produce_request("t", 0, records));
    auto read = begin<protocol::FetchResponse>(one, 11, fetch_request("t", 0, sent - 1));
    auto answer = end(read);
    ASSERT_TRUE(answer && end(wrote));
    EXPECT_EQ(only_partition(*answer).high_watermark, sent);
    EXPECT_EQ(records_of(only_partition(*answer)).size(), 1u);
  }
}

// Trap 14.
TEST_P(WireConnection, WhatOneConnectionProducesKeepsItsOrder) {
  create_topic("t");
  auto one = raw();
  std::string all;
  std::vector<std::string> sent;
  for (int32_t id = 1; id <= 40; ++id) {
    // Big and small ones: none overtakes.
    sent.push_back(std::to_string(id) + std::string(id % 3 ? 10 : 100'000, 'x'));
    all += produce_frame(id, *batch({sent.back()}).build(), id % 5 ? -1 : 0);
  }
  EXPECT_TRUE(send(one, all));
  EXPECT_TRUE(answers_within(one, 32, 20s));
  EXPECT_EQ(values_from("t", 0), sent);
}

TEST_P(WireConnection, AClientThatGoesAwayLeavesNothingBehind) {
  create_topic("t");
  client_.reset();
  for (const std::string& last : {std::string(), length(500) + "half", versions_frame(1),
                                  produce_frame(2, *batch({"x"}).build())}) {
    auto one = raw();
    if (!last.empty()) EXPECT_TRUE(send(one, last));
    one->socket->close();
  }
  world_.run_for(5s);
  int64_t connections = 0;
  for (unsigned shard = 0; shard < GetParam(); ++shard)
    connections += broker_.server().node().host(shard).metrics.connections.load();
  EXPECT_EQ(connections, 0);
  EXPECT_EQ(broker_.server().node().memory().bytes_held(), 0u);
}

TEST_P(WireConnection, ConnectionsAreCountedAndTheLastOnesRefused) {
  settings().connections_max = 3;
  std::vector<RawPtr> all;
  for (int i = 0; i < 3; ++i) all.push_back(raw());
  auto refused = raw();
  EXPECT_TRUE(ends_within(refused, 1s));
  for (auto& one : all) EXPECT_FALSE(one->ended);
  all[0]->socket->close();
  world_.run_for(1s);
  auto next = raw();
  EXPECT_TRUE(send(next, versions_frame(1)));
  EXPECT_TRUE(answers_within(next, 1));
}

TEST_P(WireConnection, OneAddressMayNotTakeAllConnections) {
  settings().connections_per_ip_max = 2;
  auto first = raw();
  auto second = raw();
  auto refused = raw();
  EXPECT_TRUE(ends_within(refused, 1s));
  EXPECT_FALSE(first->ended);
  EXPECT_FALSE(second->ended);
  env::SimHost& other = world_.add_host("elsewhere");
  other.start();
  auto slot = std::make_shared<bool>(false);
  auto ask_from = [](env::Shard* from, std::shared_ptr<bool> good) -> Task<void> {
    auto connected = co_await WireClient::connect(*from, "broker", BrokerHost::kPort, 10s);
    if (!connected) co_return;
    const protocol::ApiVersionsRequest request;
    auto answer = co_await (*connected)->call<protocol::ApiVersionsResponse>(int16_t{0}, request);
    *good = answer.has_value();
  };
  other.shard(0).spawn(ask_from(&other.shard(0), slot));
  EXPECT_TRUE(world_.run_until([&] { return *slot; }, 5s));
  first->socket->close();
  world_.run_for(1s);
  auto next = raw();
  EXPECT_TRUE(send(next, versions_frame(1)));
  EXPECT_TRUE(answers_within(next, 1));
}

// Requests together never hold more memory than their budget; whoever comes late waits.
TEST_P(WireConnection, RequestsOverTheMemoryBudgetWaitAndAreAnswered) {
  const auto answers = crowd(10);
  uint64_t most = 0;
  auto all_answered = [&] {
    most = std::max(most, broker_.server().node().memory().bytes_held());
    return std::all_of(answers.begin(), answers.end(), [](auto& one) { return one->has_value(); });
  };
  EXPECT_TRUE(world_.run_until(all_answered, 60s));
  EXPECT_GE(most, 800'000u);  // two fit
  EXPECT_LE(most, 1'000'000u);
  for (auto& one : answers)
    EXPECT_EQ(name((**one)->responses.at(0).partition_responses.at(0).error_code), "NONE");
  EXPECT_EQ(list_offset("t", 0, -1).offset, 10);
}

// Who has little in flight does not queue up behind those who pipeline as much as they can.
TEST_P(WireConnection, ASmallRequestPassesTheQueueOfBigOnes) {
  const auto big = crowd(40);
  auto answered = [&] {
    return std::count_if(big.begin(), big.end(), [](auto& one) { return one->has_value(); });
  };
  EXPECT_TRUE(world_.run_until([&] { return answered() >= 2; }, 60s));
  const std::string record = *batch({"x"}).build();
  auto small = begin<ProduceResponse>(client(), 9, produce_request("t", 0, record));
  EXPECT_TRUE(world_.run_until([&] { return small->has_value(); }, 60s));
  EXPECT_LE(answered(), 10);
  EXPECT_TRUE(world_.run_until([&] { return answered() == 40; }, 60s));
}

// A request over the whole budget goes when it is alone, or it would wait for ever.
TEST_P(WireConnection, ARequestOverTheWholeBudgetIsServedAlone) {
  settings().request_memory_bytes = 300'000;
  create_topic("t");
  EXPECT_EQ(name(produce("t", 0, batch({std::string(900'000, 'x')})).error_code), "NONE");
}

// Big frames that hardly arrive may hold half of the budget, never what others need.
TEST_P(WireConnection, AFewBigFramesThatDribbleDoNotStallTheOthers) {
  create_topic("t");
  std::vector<RawPtr> dribblers;
  for (int i = 0; i < 6; ++i) {
    dribblers.push_back(raw());
    EXPECT_TRUE(send(dribblers.back(), length(99 << 20)));
  }
  world_.run_for(1s);
  const std::string records = *batch({"x"}).build();
  auto one = begin<ProduceResponse>(client(), 9, produce_request("t", 0, records));
  EXPECT_TRUE(world_.run_until([&] { return one->has_value(); }, 1s));
  EXPECT_LE(broker_.server().node().memory().bytes_held(), 256u << 20);
}

// A byte now and then does not keep a frame alive.
TEST_P(WireConnection, AFrameThatDribblesEnds) {
  auto one = raw();
  EXPECT_TRUE(send(one, length(90'000'000)));
  for (int i = 0; i < 10 && !one->ended; ++i) {
    (void)send(one, "x");
    world_.run_for(20s);
  }
  EXPECT_TRUE(one->ended);
}

// Trap 15: there are no quotas, so nobody is told to slow down.
TEST_P(WireConnection, NobodyIsThrottled) {
  create_topic("t");
  const std::string records = *batch({"x"}).build();
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(ask<ProduceResponse>(9, produce_request("t", 0, records)).throttle_time_ms, 0);
  EXPECT_EQ(ask<protocol::FetchResponse>(11, fetch_request("t", 0, 0)).throttle_time_ms, 0);
}

TEST_P(WireConnection, ACutNetworkCostsTheConnectionAndNotTheBroker) {
  create_topic("t");
  const std::string records = *batch({"x"}).build();
  auto lost = begin<ProduceResponse>(client(), 9, produce_request("t", 0, records));
  world_.cut("client", "broker");
  world_.run_for(70s);
  world_.heal_all();
  EXPECT_FALSE(end(lost));
  EXPECT_EQ(name(produce("t", 0, batch({"y"})).error_code), "NONE");
}

}  // namespace
}  // namespace paceline::sim
