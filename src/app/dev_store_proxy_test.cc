#include "app/dev_store_proxy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "env/sim_world.h"

namespace paceline::app {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// A store that keeps what it is put, and says under which name it was asked.
class FakeStore {
 public:
  explicit FakeStore(env::Shard& shard) : shard_(shard) {
    listener_ = std::move(*shard.network().listen("store", 80));
    shard.spawn(accept());
  }
  int asked = 0;
  std::string host;

 private:
  Task<void> accept() {
    for (;;) {
      auto socket = co_await listener_->accept(shard_);
      if (!socket) co_return;
      shard_.spawn(serve(std::move(*socket)));
    }
  }
  Task<void> serve(std::unique_ptr<env::Socket> socket) {
    std::string received;
    std::vector<std::byte> piece(100'000);
    for (;;) {
      const auto head = net::parse_http_head(received);
      CHECK(head);
      if (*head && received.size() >= (*head)->bytes + (*head)->body_bytes) {
        ++asked;
        host = (*head)->request.headers.at("host");
        const std::string body = received.substr((*head)->bytes, (*head)->body_bytes);
        if ((*head)->request.method == "PUT") kept_ = body;
        received.erase(0, (*head)->bytes + (*head)->body_bytes);
        std::string answer = fmt::format(
            "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: {}\r\n\r\n", kept_.size());
        if ((*head)->request.method != "HEAD") answer += kept_;
        const Slice slice = Slice::copy_of(as_bytes(answer));
        if (!co_await socket->write(std::span(&slice, 1))) co_return;
        continue;
      }
      const auto count = co_await socket->read_some(piece);
      if (!count) co_return;
      received += as_text(Bytes(piece).first(*count));
    }
  }

  env::Shard& shard_;
  std::unique_ptr<env::Listener> listener_;
  std::string kept_;
};

class StoreWay : public testing::Test {
 protected:
  StoreWay()
      : store_(*world_.add_host("store").start()[0]),
        between_(*world_.add_host("way").start()[0]),
        client_(*world_.add_host("client").start()[0]),
        fake_(store_),
        proxy_(between_, "store", 80),
        pool_(client_, {.host = "way", .port = 81, .tls = nullptr}),
        admin_(client_, {.host = "way", .port = 82, .tls = nullptr}) {
    EXPECT_TRUE(proxy_.listen("way", 81, 82));
  }
  Result<net::HttpAnswer> ask(std::string method, std::string body = "") {
    return ask(pool_, std::move(method), "/bucket/key", std::move(body));
  }
  Result<net::HttpAnswer> set(std::string body) {
    return ask(admin_, "POST", "/faults", std::move(body));
  }
  int64_t met() {
    const auto answer = ask(admin_, "GET", "/faults", "");
    return nlohmann::json::parse(answer->text())["met"].get<int64_t>();
  }
  env::Duration time_of(std::string method, std::string body = "") {
    const env::Instant began = client_.now();
    EXPECT_TRUE(ask(std::move(method), std::move(body)));
    return client_.now() - began;
  }

  env::SimWorld world_{7};
  env::Shard& store_;
  env::Shard& between_;
  env::Shard& client_;
  FakeStore fake_;
  StoreProxy proxy_;

 private:
  Result<net::HttpAnswer> ask(net::HttpPool& pool, std::string method, std::string target,
                              std::string body) {
    net::HttpQuery query;
    query.method = std::move(method);
    query.target = std::move(target);
    if (!body.empty()) query.body = {Slice::copy_of(as_bytes(body))};
    std::optional<net::HttpOutcome> outcome;
    client_.spawn(keep(pool.ask(std::move(query), client_.now() + 1h), &outcome));
    CHECK(world_.run_until([&] { return outcome.has_value(); }, 2h));
    return std::move(outcome->answer);
  }
  static Task<void> keep(Task<net::HttpOutcome> task, std::optional<net::HttpOutcome>* into) {
    into->emplace(co_await std::move(task));
  }
  net::HttpPool pool_, admin_;
};

TEST_F(StoreWay, LetsAllThroughAsItComes) {
  const std::string body(300'000, 'x');
  ASSERT_TRUE(ask("PUT", body));
  const auto got = ask("GET");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->text(), body);
  EXPECT_EQ(got->header("etag"), "\"e\"");
  EXPECT_EQ(fake_.host, "way:81") << "or a signature would not hold";
  const auto head = ask("HEAD");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->header("content-length"), "300000");
  EXPECT_EQ(met(), 0);
}

TEST_F(StoreWay, IsLateByWhatIsToldAndNotOnceItIsHealed) {
  const env::Duration before = time_of("GET");
  ASSERT_EQ(set(R"({"latency_ms": 200})")->status, 200);
  EXPECT_GE(time_of("GET"), 200ms);
  EXPECT_EQ(met(), 1);
  ASSERT_EQ(set(R"({"tail_ms": 2000, "tail_percent": 100})")->status, 200);
  EXPECT_GE(time_of("GET"), 2s);
  proxy_.heal();
  EXPECT_LT(time_of("GET"), before + 100ms);
  EXPECT_EQ(met(), 0);
}

TEST_F(StoreWay, AnErrorIsOneThatTheStoreNeverSaw) {
  ASSERT_EQ(set(R"({"errors_percent": 100})")->status, 200);
  const auto answer = ask("PUT", "x");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 503);
  EXPECT_THAT(std::string(answer->text()), HasSubstr("<Code>SlowDown</Code>"));
  EXPECT_EQ(ask("HEAD")->status, 503);
  EXPECT_EQ(fake_.asked, 0);
  ASSERT_EQ(set(R"({"errors_percent": 20})")->status, 200);
  int errors = 0;
  for (int i = 0; i < 500; ++i) errors += ask("GET")->status == 503 ? 1 : 0;
  EXPECT_GT(errors, 60);
  EXPECT_LT(errors, 140);
}

TEST_F(StoreWay, BodiesShareWhatIsThere) {
  ASSERT_EQ(set(R"({"bytes_per_s": 100000})")->status, 200);
  const auto took = time_of("PUT", std::string(200'000, 'x'));
  EXPECT_GE(took, 4s) << "two seconds there, and two back: it answers what it was put";
  EXPECT_LT(took, 5s);
}

TEST_F(StoreWay, WhatNoStoreCouldBeIsRefused) {
  for (const char* wrong : {"", "[]", "{\"latency_ms\": -1}", "{\"latency_ms\": \"x\"}",
                            "{\"errors_percent\": 101}", "{\"speed\": 1}"}) {
    EXPECT_FALSE(parse_store_faults(wrong)) << wrong;
    if (*wrong) EXPECT_EQ(set(wrong)->status, 400) << wrong;
  }
  EXPECT_FALSE(parse_store_faults("{}")->any());
  EXPECT_LT(time_of("GET"), 100ms);
}

}  // namespace
}  // namespace paceline::app
