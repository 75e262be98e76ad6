#include <gtest/gtest.h>

#include "env/sim_world.h"
#include "net/http_client.h"

// What a pool does with connections, and what it says of how far a question has come.

namespace paceline::net {
namespace {

using namespace std::chrono_literals;

// A server that follows a script: one entry a request.
struct Step {
  std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  bool before_reading = false;  // it answers as soon as the first bytes are here
  bool hang_up = false;         // after the answer
  env::Duration delay{};
};

class Script {
 public:
  Script(env::Shard& shard, std::vector<Step> steps) : shard_(shard), steps_(std::move(steps)) {
    listener_ = std::move(*shard.network().listen("server", 80));
    shard.spawn(accept());
  }
  size_t connections = 0;
  std::vector<std::string> requests;

 private:
  Task<void> accept() {
    for (;;) {
      auto socket = co_await listener_->accept(shard_);
      if (!socket) co_return;
      ++connections;
      shard_.spawn(serve(std::move(*socket)));
    }
  }
  Task<void> serve(std::unique_ptr<env::Socket> socket) {
    std::string received;
    std::vector<std::byte> piece(10'000);
    while (next_ < steps_.size()) {
      size_t end = std::string::npos;
      while ((end = whole(received)) == std::string::npos) {
        auto count = co_await socket->read_some(piece);
        if (!count) co_return;
        received += as_text(Bytes(piece).first(*count));
        if (steps_[next_].before_reading) end = received.size();
        if (steps_[next_].before_reading) break;
      }
      const Step step = steps_[next_++];
      requests.push_back(received.substr(0, end));
      received.erase(0, end);
      if (step.delay.count() > 0) co_await env::sleep_for(shard_, step.delay);
      const Slice slice = Slice::copy_of(as_bytes(step.answer));
      if (!step.answer.empty()) (void)co_await socket->write(std::span(&slice, 1));
      if (step.hang_up) co_return;
    }
    co_await env::sleep_for(shard_, 1h);
  }
  static size_t whole(const std::string& received) {
    const size_t end = received.find("\r\n\r\n");
    if (end == std::string::npos) return end;
    const size_t at = received.find("content-length: ");
    const size_t body = at < end ? std::stoul(received.substr(at + 16)) : 0;
    return received.size() >= end + 4 + body ? end + 4 + body : std::string::npos;
  }

  env::Shard& shard_;
  std::unique_ptr<env::Listener> listener_;
  const std::vector<Step> steps_;
  size_t next_ = 0;
};

class Pool : public testing::Test {
 protected:
  Pool()
      : server_(*world_.add_host("server").start()[0]),
        client_(*world_.add_host("client").start()[0]) {}
  void serve(std::vector<Step> steps) {
    script_ = std::make_unique<Script>(server_, std::move(steps));
    HttpPoolOptions options;
    options.host = "server";
    pool_ = std::make_unique<HttpPool>(client_, options);
  }
  HttpOutcome ask(HttpQuery query, env::Duration time = 5s) {
    return finish(pool_->ask(std::move(query), client_.now() + time));
  }
  HttpOutcome finish(Task<HttpOutcome> task) {
    std::optional<HttpOutcome> outcome;
    client_.spawn(keep(std::move(task), &outcome));
    CHECK(world_.run_until([&] { return outcome.has_value(); }, 1h));
    return std::move(*outcome);
  }
  static Task<void> keep(Task<HttpOutcome> task, std::optional<HttpOutcome>* into) {
    into->emplace(co_await std::move(task));
  }
  static HttpQuery get() {
    HttpQuery query;
    query.method = "GET";
    query.target = "/";
    query.repeatable = true;
    return query;
  }
  static HttpQuery put(size_t bytes) {
    HttpQuery query = get();
    query.method = "PUT";
    query.body = {Slice::copy_of(as_bytes(std::string(bytes, 'x')))};
    return query;
  }

  env::SimWorld world_{9};
  env::Shard& server_;
  env::Shard& client_;
  std::unique_ptr<Script> script_;
  std::unique_ptr<HttpPool> pool_;
};

TEST_F(Pool, OneConnectionIsUsedAgainUntilItIsOld) {
  serve(std::vector<Step>(5));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask(get()).answer->text(), "ok");
  EXPECT_EQ(script_->connections, 1u);
  EXPECT_EQ(pool_->idle_count(), 1u);
  world_.run_for(16s);
  EXPECT_EQ(ask(get()).answer->text(), "ok");
  EXPECT_EQ(script_->connections, 2u);
  HttpQuery fresh = get();
  fresh.fresh = true;
  EXPECT_EQ(ask(std::move(fresh)).answer->text(), "ok");
  EXPECT_EQ(script_->connections, 3u);
}

TEST_F(Pool, AnIdleConnectionThatTheServerEndsIsNeverUsed) {
  serve({{.answer = Step().answer, .hang_up = true}, {}});
  EXPECT_TRUE(ask(get()).answer);
  world_.run_for(1s);
  const HttpOutcome second = ask(put(10));
  EXPECT_EQ(second.answer->text(), "ok");
  EXPECT_FALSE(second.repeated);
}

TEST_F(Pool, AQuestionThatMeetsTheServersHangingUpIsAskedAgainAndSaysSo) {
  // It reads the second question, and hangs up without a word.
  const Step silent{.answer = "", .hang_up = true};
  serve({{}, silent, {}, silent, {}});
  EXPECT_TRUE(ask(get()).answer);
  const HttpOutcome again = ask(put(10));
  EXPECT_EQ(again.answer->text(), "ok");
  EXPECT_TRUE(again.repeated);
  EXPECT_EQ(script_->requests.size(), 3u);
  HttpQuery once = put(10);
  once.repeatable = false;
  const HttpOutcome lost = ask(std::move(once));
  EXPECT_FALSE(lost.answer);
  EXPECT_EQ(lost.reached, HttpReached::sent);
  EXPECT_FALSE(lost.repeated);
}

TEST_F(Pool, OverANewConnectionNothingIsAskedTwice) {
  serve({{.answer = "", .hang_up = true}, {}});
  const HttpOutcome lost = ask(get());
  EXPECT_EQ(lost.answer.error().code, Code::closed);
  EXPECT_EQ(lost.reached, HttpReached::sent);
  EXPECT_EQ(script_->requests.size(), 1u);
}

TEST_F(Pool, WhatNeverLeftIsToldApartFromWhatHasNoAnswer) {
  HttpPoolOptions nobody;
  nobody.host = "server";
  nobody.port = 81;
  HttpPool pool(client_, nobody);
  const HttpOutcome refused = finish(pool.ask(get(), client_.now() + 5s));
  EXPECT_EQ(refused.answer.error().code, Code::unavailable);
  EXPECT_EQ(refused.reached, HttpReached::nothing);
  serve({{.delay = 1h}});
  const HttpOutcome late = ask(get(), 100ms);
  EXPECT_EQ(late.answer.error().code, Code::timed_out);
  EXPECT_EQ(late.reached, HttpReached::sent);
  EXPECT_EQ(pool_->idle_count(), 0u);
  HttpQuery smuggled = get();
  smuggled.headers["x"] = "a\r\nb: c";
  const HttpOutcome unsent = ask(std::move(smuggled));
  EXPECT_EQ(unsent.answer.error().code, Code::invalid_argument);
  EXPECT_EQ(unsent.reached, HttpReached::nothing);
}

TEST_F(Pool, AnAnswerToHalfAQuestionIsHeardAndEndsTheConnection) {
  Step early{.answer = "HTTP/1.1 503 Slow\r\nContent-Length: 4\r\n\r\nslow",
             .before_reading = true};
  serve({early, {}});
  const HttpOutcome outcome = ask(put(20 << 20));
  ASSERT_TRUE(outcome.answer) << outcome.answer.error().message;
  EXPECT_EQ(outcome.answer->status, 503);
  EXPECT_EQ(outcome.reached, HttpReached::answered);
  EXPECT_EQ(pool_->idle_count(), 0u);
}

TEST_F(Pool, WhatComesOutOfTurnIsNoAnswerToTheNextQuestion) {
  serve({{.answer = Step().answer + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"}, {}});
  EXPECT_EQ(ask(get()).answer->text(), "ok");
  world_.run_for(1s);
  EXPECT_EQ(ask(get()).answer->text(), "ok");
  EXPECT_EQ(script_->connections, 2u);
}

TEST_F(Pool, AnAnswerOverItsLimitOrCutOffIsNone) {
  serve({{.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", .hang_up = true},
         {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", .hang_up = true}});
  HttpQuery small = get();
  small.answer_bytes_max = 4999;
  EXPECT_EQ(ask(std::move(small)).answer.error().code, Code::too_large);
  const HttpOutcome cut = ask(get());
  EXPECT_FALSE(cut.answer);
  EXPECT_EQ(cut.reached, HttpReached::sent);
}

TEST_F(Pool, ALargeBodyIsReadIntoItsPlace) {
  std::string body(1 << 20, '\0');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 13 + i / 5000);
  serve({{.answer =
              fmt::format("HTTP/1.1 206 Part\r\nContent-Length: {}\r\n\r\n", body.size()) + body},
         {}});
  const HttpOutcome outcome = ask(get());
  ASSERT_TRUE(outcome.answer);
  EXPECT_TRUE(outcome.answer->text() == body);
  EXPECT_EQ(outcome.answer->body.buffer().size(), body.size());  // no more than it needs
  EXPECT_EQ(ask(get()).answer->text(), "ok");
  EXPECT_EQ(script_->connections, 1u);
}

TEST_F(Pool, WhatIsGivenUpEndsAtOnce) {
  serve({{.delay = 1h}});
  HttpQuery query = get();
  query.cancel = std::make_shared<HttpCancel>();
  const auto cancel = query.cancel;
  world_.after(100ms, [cancel] { cancel->cancel(); });
  const env::Instant start = world_.now();
  const HttpOutcome outcome = ask(std::move(query));
  EXPECT_EQ(outcome.answer.error().code, Code::cancelled);
  EXPECT_LE(world_.now() - start, 200ms);
}

TEST_F(Pool, ItMayGoWhileQuestionsAreUnderWay) {
  serve({{.delay = 1s}});
  std::optional<HttpOutcome> outcome;
  client_.spawn(keep(pool_->ask(get(), client_.now() + 5s), &outcome));
  world_.run_for(100ms);
  pool_.reset();
  EXPECT_TRUE(world_.run_until([&] { return outcome.has_value(); }, 1min));
  EXPECT_EQ(outcome->answer->text(), "ok");
}

}  // namespace
}  // namespace paceline::net
