#include "client/security.h"

#include <gtest/gtest.h>

#include "client/client.h"
#include "env/test_world.h"
#include "net/test_certificates.h"
#include "protocol/gen/api_versions.h"
#include "protocol/gen/sasl_authenticate.h"
#include "protocol/gen/sasl_handshake.h"

namespace paceline::client {
namespace {

using namespace std::chrono_literals;
using Settings = std::map<std::string, std::string>;

class SecurityTest : public testing::Test {
 protected:
  Result<Security> read(const Settings& settings) {
    return read_security(world_->shard(0).disk(), settings);
  }
  void write(const std::string& path, const std::string& text) {
    CHECK(env::replace_file(world_->shard(0).disk(), path, as_bytes(text)));
  }
  std::string complaint(const Settings& settings) {
    const auto read_in = read(settings);
    return read_in ? "taken" : read_in.error().message;
  }

  // A broker of one client that takes PLAIN alone, and who it takes; then it answers ApiVersions.
  struct Server {
    std::shared_ptr<const net::TlsContext> tls;
    std::string token;  // all that PLAIN sent
    bool takes = true;
  };
  static Task<Result<std::string>> read_frame(env::Socket& socket) {
    std::string frame(4, '\0');
    for (size_t have = 0; have < frame.size();) {
      CO_TRY(const size_t got,
             co_await socket.read_some(std::as_writable_bytes(std::span(frame).subspan(have))));
      have += got;
      if (have == 4 && frame.size() == 4)
        frame.resize(4 + static_cast<size_t>(
                             load_be<int32_t>(reinterpret_cast<const std::byte*>(frame.data()))));
    }
    co_return frame.substr(4);
  }
  template <class Response>
  static Task<void> reply(env::Socket& socket, int16_t version, int32_t correlation,
                          Response response) {
    const auto frame = protocol::response_frame(version, correlation, response);
    CHECK(frame.has_value());
    (void)co_await socket.write(*frame);
  }
  static Task<void> serve(env::Shard& shard, env::Listener& listener, Server& server) {
    auto lower = co_await listener.accept(shard);
    CHECK(lower.has_value());
    std::unique_ptr<env::Socket> socket = std::move(*lower);
    if (server.tls) {
      auto upper = co_await net::tls_accept(shard, server.tls, std::move(socket), shard.now() + 5s);
      if (!upper) co_return;
      socket = std::move(*upper);
    }
    for (;;) {
      auto frame = co_await read_frame(*socket);
      if (!frame) co_return;
      protocol::Cursor cursor{Slice::copy_of(as_bytes(*frame))};
      const auto header = protocol::decode_request_header(cursor);
      CHECK(header.has_value());
      const int32_t correlation = header->correlation_id;
      if (header->api_key == protocol::SaslHandshakeRequest::kApiKey) {
        const auto asked = protocol::SaslHandshakeRequest::decode(1, cursor);
        protocol::SaslHandshakeResponse response;
        response.error_code = asked->mechanism == "PLAIN" ? 0 : 33;
        response.mechanisms = {"PLAIN", "OAUTHBEARER"};
        co_await reply(*socket, 1, correlation, response);
      } else if (header->api_key == protocol::SaslAuthenticateRequest::kApiKey) {
        const auto asked = protocol::SaslAuthenticateRequest::decode(0, cursor);
        server.token = to_string(asked->auth_bytes);
        protocol::SaslAuthenticateResponse response;
        response.error_code = server.takes ? 0 : 58;
        if (!server.takes) response.error_message = "Authentication failed";
        co_await reply(*socket, 0, correlation, response);
      } else {
        co_await reply(*socket, 0, correlation, protocol::ApiVersionsResponse{});
      }
    }
  }
  // Connects as `settings` say, and asks for versions.
  std::string ask(Server& server, const Settings& settings) {
    std::string outcome = "nothing";
    auto body = [](env::Shard& shard, Server* broker, Security security,
                   std::string* said) -> Task<void> {
      auto listener = shard.network().listen("127.0.0.1", 0);
      CHECK(listener.has_value());
      shard.spawn(serve(shard, **listener, *broker));
      auto client = co_await Client::connect(
          shard, fmt::format("127.0.0.1:{}", (*listener)->port()), 3s, std::move(security));
      if (!client) {
        *said = client.error().message;
        co_return;
      }
      auto answer = co_await (*client)->call<protocol::ApiVersionsResponse>(
          0, protocol::ApiVersionsRequest{});
      *said = answer ? "answered" : answer.error().message;
    };
    auto security = read(settings);
    CHECK(security.has_value());
    world_->run(body(world_->shard(0), &server, std::move(*security), &outcome));
    world_ = std::make_unique<env::SimTestWorld>(1);  // the one before has ended
    return outcome;
  }

  std::unique_ptr<env::SimTestWorld> world_ = std::make_unique<env::SimTestWorld>(1);
};

Settings plain() {
  return {{"security.protocol", "sasl_plaintext"},
          {"sasl.mechanisms", "PLAIN"},
          {"sasl.username", "ada"},
          {"sasl.password", "tea"}};
}

TEST_F(SecurityTest, WithoutWordsOfItThereIsNone) {
  for (const Settings& settings :
       {Settings{}, Settings{{"security.protocol", "PLAINTEXT"}, {"acks", "all"}}}) {
    const auto security = read(settings);
    ASSERT_TRUE(security);
    EXPECT_FALSE(security->tls);
    EXPECT_EQ(security->mechanism, "");
  }
}

TEST_F(SecurityTest, WhatCannotBeDoneIsSaid) {
  const auto with = [](Settings settings, const Settings& more) {
    for (const auto& [name, value] : more) settings[name] = value;
    return settings;
  };
  EXPECT_EQ(complaint({{"security.protocol", "tea"}}), "'tea' is no security.protocol");
  EXPECT_EQ(
      complaint({{"security.protocol", "sasl_ssl"}, {"ssl.ca.location", "/none"}}).substr(0, 16),
      "ssl.ca.location:");
  EXPECT_EQ(complaint({{"security.protocol", "ssl"}, {"ssl.ca.pem", "tea"}}),
            "there is no certificate of an authority");
  EXPECT_NE(complaint({{"security.protocol", "ssl"}, {"ssl.key.password", "x"}}).find("ssl.key.p"),
            std::string::npos);
  EXPECT_NE(
      complaint({{"security.protocol", "SSL"}, {"enable.ssl.certificate.verification", "false"}})
          .find("name its authority"),
      std::string::npos);
  EXPECT_NE(complaint({{"security.protocol", "SASL_PLAINTEXT"}}).find("GSSAPI"), std::string::npos)
      << "librdkafka's default";
  EXPECT_EQ(complaint(with(plain(), {{"sasl.password", ""}})),
            "SASL needs sasl.username and sasl.password");
  EXPECT_EQ(read(with(plain(), {{"sasl.mechanism", "OAUTHBEARER"}})).error().code,
            Code::unsupported);
}

TEST_F(SecurityTest, PlainTellsNameAndPassword) {
  Server server;
  EXPECT_EQ(ask(server, plain()), "answered");
  EXPECT_EQ(server.token, std::string("\0ada\0tea", 8));
  server.takes = false;
  EXPECT_EQ(ask(server, plain()), "the broker refuses the user: Authentication failed");
  Settings scram = plain();
  scram["sasl.mechanisms"] = "SCRAM-SHA-256";
  EXPECT_EQ(ask(server, scram), "the broker does not take SCRAM-SHA-256, but PLAIN, OAUTHBEARER");
}

TEST_F(SecurityTest, ABrokerHasToProveItsNameUnlessThatIsGivenUp) {
  const auto authority = net::TestAuthority::make("ours");
  const auto server_of = [&](const std::string& host) {
    const auto certificate = authority.issue(host);
    auto tls = net::TlsContext::server({certificate.chain_pem, certificate.key_pem, "", false});
    CHECK(tls.has_value());
    return Server{*tls, "", true};
  };
  Settings settings = plain();
  settings["security.protocol"] = "SASL_SSL";
  settings["ssl.ca.location"] = "/ca.pem";
  Server right = server_of("IP:127.0.0.1"), wrong = server_of("elsewhere");
  write("/ca.pem", authority.certificate_pem());
  EXPECT_EQ(ask(right, settings), "answered");
  EXPECT_EQ(right.token, std::string("\0ada\0tea", 8));
  write("/ca.pem", authority.certificate_pem());
  EXPECT_NE(ask(wrong, settings).find("mismatch"), std::string::npos);
  EXPECT_EQ(wrong.token, "") << "the password is not told to whoever answers";
  write("/ca.pem", authority.certificate_pem());
  settings["ssl.endpoint.identification.algorithm"] = "none";
  EXPECT_EQ(ask(wrong, settings), "answered");
  write("/ca.pem", net::TestAuthority::make("others").certificate_pem());
  EXPECT_NE(ask(wrong, settings).find("not trusted"), std::string::npos);
}

}  // namespace
}  // namespace paceline::client
