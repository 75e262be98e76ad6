#include "net/tls.h"

#include <gtest/gtest.h>

#include "env/test_world.h"
#include "net/test_certificates.h"

namespace paceline::net {
namespace {

using namespace std::chrono_literals;

std::shared_ptr<const TlsContext> server_of(const TestCertificate& certificate,
                                            std::string client_ca = "", bool required = false) {
  TlsServerOptions options{certificate.chain_pem, certificate.key_pem, std::move(client_ca),
                           required};
  auto context = TlsContext::server(options);
  CHECK(context.has_value());
  return *context;
}
std::shared_ptr<const TlsContext> client_of(const TestAuthority& authority,
                                            const TestCertificate& own = {}) {
  TlsClientOptions options{authority.certificate_pem(), own.chain_pem, own.key_pem};
  auto context = TlsContext::client(options);
  CHECK(context.has_value());
  return *context;
}

Slice pattern(size_t bytes) {
  Buffer buffer = Buffer::allocate(bytes);
  for (size_t i = 0; i < bytes; ++i)
    buffer.data()[i] = static_cast<std::byte>(i * 7 + i / 1000 + i / 70'000);
  return Slice(std::move(buffer));
}

// One end of a conversation: what it got in all, and how it ended.
struct Side {
  std::string got;
  Result<void> ended;
  Result<void> shaken;
  bool done = false;
};

Task<void> read_all(env::Socket& socket, Side& side) {
  std::vector<std::byte> piece(10'000);
  for (;;) {
    auto count = co_await socket.read_some(piece);
    if (!count) {
      side.ended = fail(std::move(count).error());
      co_return;
    }
    side.got += as_text(Bytes(piece).first(*count));
  }
}

// Accepts one connection, echoes what comes.
Task<void> echo(env::Shard& shard, env::Listener& listener,
                std::shared_ptr<const TlsContext> context, Side& side) {
  auto lower = co_await listener.accept(shard);
  CHECK(lower.has_value());
  auto socket = co_await tls_accept(shard, context, std::move(*lower), shard.now() + 5s);
  if (!socket) {
    side.shaken = fail(std::move(socket).error());
    side.done = true;
    co_return;
  }
  std::vector<std::byte> piece(10'000);
  for (;;) {
    auto count = co_await (*socket)->read_some(piece);
    if (!count) {
      side.ended = fail(std::move(count).error());
      break;
    }
    const Slice slice = Slice::copy_of(Bytes(piece).first(*count));
    if (!co_await (*socket)->write(std::span(&slice, 1))) break;
  }
  side.done = true;
}

Task<Result<std::unique_ptr<env::Socket>>> dial(env::Shard& shard, std::string host, uint16_t port,
                                                std::shared_ptr<const TlsContext> context,
                                                std::string name) {
  CO_TRY(auto lower, co_await shard.network().connect(host, port, shard.now() + 5s));
  co_return co_await tls_connect(shard, std::move(context), std::move(lower), std::move(name),
                                 shard.now() + 5s);
}

class Tls : public env::ContractTest {
 protected:
  void make() {
    if (GetParam() == env::WorldKind::real) {
      world = std::make_unique<env::RealTestWorld>(1);
    } else {
      world = std::make_unique<env::SimTestWorld>(1);
    }
  }
  // Runs one connection between both contexts; the client says that it wants `name`.
  Result<void> shake(std::shared_ptr<const TlsContext> server,
                     std::shared_ptr<const TlsContext> client, std::string name) {
    make();
    Side side;
    Result<void> shaken;
    world->run(one(*world, std::move(server), std::move(client), std::move(name), side, shaken));
    server_side_ = std::move(side.shaken);
    return shaken;
  }
  static Task<void> one(env::TestWorld& world, std::shared_ptr<const TlsContext> server,
                        std::shared_ptr<const TlsContext> client, std::string name, Side& side,
                        Result<void>& shaken) {
    env::Shard& shard = world.shard(0);
    auto listener = shard.network().listen(world.host(), 0);
    CHECK(listener.has_value());
    shard.spawn(echo(shard, **listener, std::move(server), side));
    auto socket = co_await dial(shard, world.host(), (*listener)->port(), client, name);
    if (!socket) {
      shaken = fail(std::move(socket).error());
    } else {
      // In TLS 1.3 the client is done before the server has seen its certificate.
      const Slice hello = Slice::copy_of(as_bytes("hello"));
      std::byte piece[10];
      auto written = co_await (*socket)->write(std::span(&hello, 1));
      auto count = co_await (*socket)->read_some(piece);
      if (!count) shaken = fail(std::move(count).error());
      socket->reset();
    }
    while (!side.done) co_await env::sleep_for(shard, 1ms);
  }
  Result<void> server_side_;
};

Task<void> converse(env::TestWorld& world, std::shared_ptr<const TlsContext> server,
                    std::shared_ptr<const TlsContext> client, Slice text) {
  env::Shard& shard = world.shard(0);
  auto listener = shard.network().listen(world.host(), 0);
  CHECK(listener.has_value());
  Side there;
  shard.spawn(echo(shard, **listener, std::move(server), there));
  auto socket = co_await dial(shard, world.host(), (*listener)->port(), client, "broker.test");
  EXPECT_TRUE(socket);
  if (!socket) co_return;
  Side here;
  shard.spawn(read_all(**socket, here));
  // In many pieces, empty ones among them, while the answer comes.
  std::vector<Slice> pieces;
  for (size_t at = 0; at < text.size();) {
    const size_t count = std::min(text.size() - at, 1 + at % 50'000);
    pieces.push_back(text.subslice(at, count));
    pieces.push_back(Slice());
    at += count;
  }
  auto written = co_await (*socket)->write(pieces);
  EXPECT_TRUE(written);
  while (here.got.size() < text.size() && here.ended) co_await env::sleep_for(shard, 1ms);
  EXPECT_TRUE(as_bytes(here.got).size() == text.size() && here.got == as_text(text.bytes()));
  (*socket)->close();
  while (here.ended || !there.done) co_await env::sleep_for(shard, 1ms);
  EXPECT_EQ(here.ended.error().code, Code::closed);
  // It hung up without TLS's own end, as one that was cut off would.
  EXPECT_EQ(there.ended.error().code, Code::io_error);
  const Slice late = Slice::copy_of(as_bytes("late"));
  auto refused = co_await (*socket)->write(std::span(&late, 1));
  EXPECT_FALSE(refused);
}

TEST_P(Tls, BothWaysAtOnceInPiecesOfAnySize) {
  const auto authority = TestAuthority::make("authority");
  make();
  world->run(converse(*world, server_of(authority.issue("broker.test")), client_of(authority),
                      pattern(3'000'000)));
}

TEST_P(Tls, TheServerMustProveItsName) {
  const auto authority = TestAuthority::make("authority");
  const auto other = TestAuthority::make("other");
  const auto server = server_of(authority.issue("broker.test"));
  EXPECT_TRUE(shake(server, client_of(authority), "broker.test"));
  EXPECT_EQ(shake(server, client_of(authority), "elsewhere.test").error().code,
            Code::permission_denied);
  EXPECT_EQ(shake(server, client_of(authority), "127.0.0.1").error().code, Code::permission_denied);
  EXPECT_EQ(shake(server, client_of(other), "broker.test").error().code, Code::permission_denied);
  EXPECT_TRUE(
      shake(server_of(authority.issue("*.broker.test")), client_of(authority), "a.broker.test"));
  EXPECT_FALSE(
      shake(server_of(authority.issue("*.broker.test")), client_of(authority), "a.b.broker.test"));
  EXPECT_TRUE(shake(server_of(authority.issue("IP:127.0.0.1")), client_of(authority), "127.0.0.1"));
  EXPECT_FALSE(
      shake(server_of(authority.issue("broker.test", true)), client_of(authority), "broker.test"));
}

TEST_P(Tls, AClientProvesItselfWhereTheServerAsksForIt) {
  const auto authority = TestAuthority::make("authority");
  const auto clients = TestAuthority::make("clients");
  const auto server = server_of(authority.issue("broker.test"), clients.certificate_pem(), true);
  EXPECT_TRUE(shake(server, client_of(authority, clients.issue("me")), "broker.test"));
  EXPECT_FALSE(shake(server, client_of(authority), "broker.test"));
  EXPECT_EQ(server_side_.error().code, Code::io_error);
  EXPECT_FALSE(shake(server, client_of(authority, authority.issue("me")), "broker.test"));
  EXPECT_EQ(server_side_.error().code, Code::permission_denied);
}

// A server that speaks something else, or nothing at all.
Task<void> say(env::Shard& shard, env::Listener& listener, std::string text) {
  auto socket = co_await listener.accept(shard);
  CHECK(socket.has_value());
  if (!text.empty()) {
    const Slice slice = Slice::copy_of(as_bytes(text));
    (void)co_await (*socket)->write(std::span(&slice, 1));
  }
  co_await env::sleep_for(shard, 20s);
}

Task<void> dial_others(env::TestWorld& world, std::shared_ptr<const TlsContext> client) {
  env::Shard& shard = world.shard(0);
  auto listener = shard.network().listen(world.host(), 0);
  CHECK(listener.has_value());
  shard.spawn(say(shard, **listener, "HTTP/1.1 400 Bad Request\r\n\r\n"));
  auto http = co_await dial(shard, world.host(), (*listener)->port(), client, "broker.test");
  EXPECT_EQ(http.error().code, Code::io_error);
  shard.spawn(say(shard, **listener, ""));
  auto lower =
      co_await shard.network().connect(world.host(), (*listener)->port(), shard.now() + 5s);
  CHECK(lower.has_value());
  auto silent =
      co_await tls_connect(shard, client, std::move(*lower), "broker.test", shard.now() + 100ms);
  EXPECT_EQ(silent.error().code, Code::timed_out);
}

TEST_P(Tls, WhoSpeaksNoTlsIsLeft) {
  make();
  world->run(dial_others(*world, client_of(TestAuthority::make("authority"))));
}

INSTANTIATE_TEST_SUITE_P(Worlds, Tls, testing::Values(env::WorldKind::real, env::WorldKind::sim),
                         env::kind_name);

TEST(TlsContext, WhatCannotBeUsedIsRefusedInASentence) {
  const auto authority = TestAuthority::make("authority");
  const auto one = authority.issue("one");
  const auto two = authority.issue("two");
  EXPECT_FALSE(TlsContext::client({"", "", ""}));
  EXPECT_FALSE(TlsContext::client({"no certificate", "", ""}));
  std::string damaged = authority.certificate_pem();
  damaged.replace(damaged.size() / 2, 4, "!!!!");
  EXPECT_FALSE(TlsContext::client({damaged, "", ""}));
  EXPECT_FALSE(TlsContext::client({authority.certificate_pem(), one.chain_pem, two.key_pem}));
  EXPECT_FALSE(TlsContext::server({one.chain_pem, two.key_pem, "", false}));
  EXPECT_FALSE(TlsContext::server({one.chain_pem, "no key", "", false}));
  EXPECT_FALSE(TlsContext::server({"", one.key_pem, "", false}));
  EXPECT_FALSE(TlsContext::server({one.chain_pem, one.key_pem, "", true}));
  auto good = TlsContext::server({one.chain_pem, one.key_pem, "", false});
  EXPECT_TRUE(good);
}

}  // namespace
}  // namespace paceline::net
