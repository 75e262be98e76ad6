#include "net/http_client.h"

#include <gtest/gtest.h>

#include "env/real_env.h"
#include "env/sim_world.h"

namespace paceline::net {
namespace {

using namespace std::chrono_literals;

Result<HttpAnswer> parse(std::string_view text, size_t step, bool head = false) {
  HttpAnswerParser parser(head);
  for (size_t at = 0; at < text.size(); at += step) {
    TRY(const bool whole, parser.add(text.substr(at, step)));
    if (whole) return parser.take();
  }
  TRY_VOID(parser.end());
  return parser.take();
}

TEST(HttpAnswer, LengthsChunksAndEndsInPiecesOfAnySize) {
  for (size_t step : {1u, 2u, 3u, 7u, 1000u}) {
    auto counted =
        parse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b \r\n\r\nhello and more", step);
    ASSERT_TRUE(counted);
    EXPECT_EQ(counted->status, 200);
    EXPECT_EQ(counted->headers["x-a"], "b");
    EXPECT_EQ(counted->text(), "hello");
    auto chunked = parse(
        "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\nhello\r\n00A;x=y\r\n, 10 bytes\r\n0\r\nTrailer: x\r\n\r\n",
        step);
    ASSERT_TRUE(chunked) << chunked.error().to_string();
    EXPECT_EQ(chunked->status, 404);
    EXPECT_EQ(chunked->text(), "hello, 10 bytes");
    auto ended = parse("HTTP/1.0 200 OK\r\n\r\nuntil the end", step);
    ASSERT_TRUE(ended);
    EXPECT_EQ(ended->text(), "until the end");
    auto interim = parse("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\n\r\n", step);
    ASSERT_TRUE(interim);
    EXPECT_EQ(interim->status, 204);
    auto head = parse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", step, true);
    ASSERT_TRUE(head);
    EXPECT_EQ(head->text(), "");
  }
}

TEST(HttpAnswer, WhatIsCutOffOrNoHttpIsRefused) {
  for (std::string_view bad :
       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "HTTP/1.1 200 OK\r\nConte", "",
        "SMTP 220 hello there\r\n\r\n", "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"}) {
    auto answer = parse(bad, 3);
    ASSERT_FALSE(answer) << bad;
    EXPECT_EQ(answer.error().code, Code::corrupt) << bad;
  }
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", 100).error().code,
            Code::too_large);
  EXPECT_FALSE(parse("HTTP/1.1 200 " + std::string(kHttpHeaderBytesMax, 'x'), 1000));
}

Task<HttpResponse> answer(env::Shard& shard, HttpRequest request) {
  if (request.target == "/slow") co_await env::sleep_for(shard, 10s);
  if (request.target == "/large")
    co_return HttpResponse{200, "text/plain", std::string(3 << 20, 'x')};
  co_return HttpResponse{200, "text/plain",
                         request.method + " " + request.target + " " + request.body};
}

Task<void> ask(env::Shard& shard, std::string host, HttpServer& server, bool& done) {
  const uint16_t port = server.port();
  HttpRequest get{"GET", "/a?b=c", {}, ""};
  auto got = co_await http_request(shard, host, port, get, shard.now() + 5s);
  CHECK(got);
  EXPECT_EQ(got->status, 200);
  EXPECT_EQ(got->text(), "GET /a?b=c ");
  HttpRequest post{"POST", "/p", {{"x", "y"}}, std::string(100'000, 'p')};
  auto posted = co_await http_request(shard, host, port, post, shard.now() + 5s);
  EXPECT_TRUE(posted && posted->text() == "POST /p " + post.body);
  HttpRequest head{"HEAD", "/a", {}, ""};
  auto headed = co_await http_request(shard, host, port, head, shard.now() + 5s);
  EXPECT_TRUE(headed && headed->body.empty() && headed->headers["content-length"] == "8");
  HttpRequest put{"PUT", "/a", {}, ""};
  auto refused = co_await http_request(shard, host, port, put, shard.now() + 5s);
  EXPECT_TRUE(refused && refused->status == 405);
  HttpRequest large{"GET", "/large", {}, ""};
  auto much = co_await http_request(shard, host, port, large, shard.now() + 5s);
  EXPECT_TRUE(much && much->body.size() == 3u << 20);
  HttpRequest slow{"GET", "/slow", {}, ""};
  auto late = co_await http_request(shard, host, port, slow, shard.now() + 50ms);
  EXPECT_EQ(late.error().code, Code::timed_out);
  HttpRequest smuggled{"GET", "/a\r\nEvil: yes", {}, ""};
  auto unsent = co_await http_request(shard, host, port, smuggled, shard.now() + 5s);
  EXPECT_EQ(unsent.error().code, Code::invalid_argument);
  server.close();
  co_await env::sleep_for(shard, 10ms);
  auto gone = co_await http_request(shard, host, port, get, shard.now() + 5s);
  EXPECT_EQ(gone.error().code, Code::unavailable);
  done = true;
}

Task<std::string> send_raw(env::Shard& shard, uint16_t port, std::string text) {
  auto socket = co_await shard.network().connect("127.0.0.1", port, shard.now() + 5s);
  CHECK(socket);
  const Slice slice = Slice::copy_of(as_bytes(text));
  auto wrote = co_await (*socket)->write(std::span(&slice, 1));
  std::string got;
  std::byte piece[1000];
  for (;;) {
    auto count = co_await (*socket)->read_some(piece);
    if (!count) break;
    got += as_text(Bytes(piece, *count));
  }
  co_return got;
}
Task<void> misuse(env::Shard& shard, HttpServer& server, bool& done) {
  const std::string two = co_await send_raw(
      shard, server.port(), "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_LT(two.find("GET /1"), two.find("GET /2"));
  EXPECT_NE(two.find("GET /2"), std::string::npos);
  const std::string bad = co_await send_raw(shard, server.port(), "nonsense\r\n\r\n");
  EXPECT_TRUE(bad.starts_with("HTTP/1.1 400 ")) << bad;
  auto deaf = co_await shard.network().connect("127.0.0.1", server.port(), shard.now() + 5s);
  CHECK(deaf);
  const Slice large = Slice::copy_of(as_bytes("GET /large HTTP/1.1\r\n\r\n"));
  CHECK(co_await (*deaf)->write(std::span(&large, 1)));
  co_await env::sleep_for(shard, 61s);
  std::string rest(4 << 20, '\0');
  size_t taken = 0;
  for (Result<size_t> count = 0; count; taken += count.value_or(0))
    count = co_await (*deaf)->read_some(
        MutableBytes(reinterpret_cast<std::byte*>(rest.data()), rest.size()));
  EXPECT_LT(taken, 3u << 20);
  const env::Instant start = shard.now();
  const std::string idle = co_await send_raw(shard, server.port(), "GET / HTT");
  EXPECT_EQ(idle, "");
  EXPECT_GE(shard.now() - start, 29s);
  done = true;
}

TEST(HttpServer, AnswersOverTheRealNetwork) {
  env::RealEnv env({});
  env::Shard& shard = env.shard(0);
  HttpServer server(shard, [&](HttpRequest request) { return answer(shard, std::move(request)); });
  ASSERT_TRUE(server.listen("127.0.0.1", 0));
  bool done = false;
  struct Local {
    static Task<void> drive(env::RealEnv& world, Task<void> body) {
      co_await std::move(body);
      world.stop();
    }
  };
  shard.spawn(Local::drive(env, ask(shard, "127.0.0.1", server, done)));
  env.run();
  EXPECT_TRUE(done);
}

TEST(HttpServer, AnswersInASimulatedWorldAndEndsSlowOrWrongClients) {
  env::SimWorld world(11);
  env::SimHost& host = world.add_host("server");
  env::Shard& shard = *host.start()[0];
  HttpServer server(shard, [&](HttpRequest request) { return answer(shard, std::move(request)); });
  ASSERT_TRUE(server.listen("127.0.0.1", 8080));
  bool misused = false;
  shard.spawn(misuse(shard, server, misused));
  EXPECT_TRUE(world.run_until([&] { return misused; }, 5min));
  bool done = false;
  env::Shard& client = *world.add_host("client").start()[0];
  client.spawn(ask(client, "server", server, done));
  EXPECT_TRUE(world.run_until([&] { return done; }, 5min));
  host.stop();
}

}  // namespace
}  // namespace paceline::net
