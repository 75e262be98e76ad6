#include "app/config.h"

#include <gtest/gtest.h>

#include "app/properties.h"

namespace paceline::app {
namespace {

std::map<std::string, std::string> files;

Result<std::string> read_fake(const std::string& path) {
  auto found = files.find(path);
  if (found == files.end()) return fail(Code::not_found, "no such file");
  return found->second;
}

Result<Config> load(std::string text, std::vector<std::string> overrides = {},
                    std::map<std::string, std::string> environment = {}) {
  files = {{"f", std::move(text)}};
  ServeOptions options;
  options.config_files = {"f"};
  options.overrides = std::move(overrides);
  options.environment = std::move(environment);
  return load_config(options, read_fake);
}

std::string refusal(std::string text, std::vector<std::string> overrides = {},
                    std::map<std::string, std::string> environment = {}) {
  auto config = load(std::move(text), std::move(overrides), std::move(environment));
  return config ? "accepted" : config.error().message;
}

TEST(Properties, JavasRules) {
  auto parsed = parse_properties(
      "# a comment\n! another\n\n  key = value \nother:thing\nbare word\nlong=a,\\\n   "
      "b\\\n\tc\nu=\\u00e9\\t!\n"
      "esc\\=aped=1\r\nempty=\n");
  ASSERT_TRUE(parsed) << parsed.error().message;
  std::map<std::string, std::string> map;
  for (auto& property : *parsed) map[property.key] = property.value;
  EXPECT_EQ(map, (std::map<std::string, std::string>{{"key", "value"},
                                                     {"other", "thing"},
                                                     {"bare", "word"},
                                                     {"long", "a,bc"},
                                                     {"u", "\xc3\xa9\t!"},
                                                     {"esc=aped", "1"},
                                                     {"empty", ""}}));
  EXPECT_EQ(parsed->back().line, 12);
  EXPECT_FALSE(parse_properties("a=\\u12"));
}

// What a Kafka 4 single node ships with, in our own words: the keys and values matter.
TEST(Config, TheKeysOfAKafka4SingleNodeStartUnchanged) {
  auto config = load(
      "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.bootstrap.servers=localhost:"
      "9093\n"
      "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ninter.broker.listener.name=PLAINTEXT\n"
      "advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n"
      "controller.listener.names=CONTROLLER\n"
      "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_"
      "PLAINTEXT:SASL_PLAINTEXT,"
      "SASL_SSL:SASL_SSL\n"
      "num.network.threads=3\nnum.io.threads=8\nsocket.send.buffer.bytes=102400\nsocket.receive."
      "buffer.bytes=102400\n"
      "socket.request.max.bytes=104857600\nlog.dirs=/tmp/kraft-combined-logs\nnum.partitions=1\n"
      "num.recovery.threads.per.data.dir=1\noffsets.topic.replication.factor=1\n"
      "share.coordinator.state.topic.replication.factor=1\nshare.coordinator.state.topic.min.isr="
      "1\n"
      "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\nlog.retention."
      "hours=168\n"
      "log.segment.bytes=1073741824\nlog.retention.check.interval.ms=300000\n");
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_EQ(config->server.settings.listeners.size(), 1u);
  EXPECT_EQ(config->server.settings.listeners[0].port, 9092);
  ASSERT_EQ(config->server.settings.advertised.size(), 1u);
  EXPECT_EQ(config->server.settings.advertised[0].host, "localhost");
  ASSERT_EQ(config->notices.size(), 1u);
  EXPECT_NE(config->notices[0].find("log.dirs"), std::string::npos);
}

TEST(Config, TheStrongerSourceWins) {
  auto config = load(
      "num.partitions=2\nnode.id=5\n", {"num.partitions=4"},
      {{"KAFKA_NUM_PARTITIONS", "3"}, {"KAFKA_BROKER_RACK", "r1"}, {"KAFKA_HEAP_OPTS", "-Xmx1g"}});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->server.settings.partitions_default, 4u);
  EXPECT_EQ(config->server.settings.broker, BrokerId(5));
  EXPECT_EQ(config->server.settings.rack, "r1");
  EXPECT_TRUE(config->notices.empty());
}

TEST(Config, WhatIsNotUploadedFitsIntoTheLogCache) {
  const auto of = [](std::string memory) {
    auto config = load("paceline.memory.bytes=" + memory);
    return std::make_pair(config->server.upload_bytes,
                          config->server.settings.unuploaded_bytes_high);
  };
  EXPECT_EQ(of("1073741824"), std::make_pair(uint64_t{64} << 20, uint64_t{192} << 20));
  EXPECT_EQ(of("268435456"), std::make_pair(uint64_t{16} << 20, uint64_t{48} << 20));
}

TEST(Config, WhatWouldWeakenOrPromiseTooMuchIsRefusedWithOneSentence) {
  EXPECT_NE(refusal("zookeeper.connect=z:2181\n").find("ZooKeeper is not used"), std::string::npos);
  EXPECT_NE(refusal("process.roles=controller\n").find("no separate controller"),
            std::string::npos);
  EXPECT_NE(refusal("unclean.leader.election.enable=true\n").find("clean leader"),
            std::string::npos);
  EXPECT_NE(refusal("ssl.keystore.location=/x\n").find("TLS is not built yet"), std::string::npos);
  EXPECT_NE(refusal("authorizer.class.name=x\n").find("access control"), std::string::npos);
  EXPECT_NE(refusal("listeners=SSL://:9093\n").find("not built yet"), std::string::npos);
  EXPECT_NE(refusal("listeners=ODD://:9093\n").find("unknown security protocol"),
            std::string::npos);
  EXPECT_NE(refusal("num.partitions=1\nnum.partitions=2\n").find("set twice"), std::string::npos);
  EXPECT_NE(refusal("num.partitions=many\n").find("Not a number"), std::string::npos);
  EXPECT_NE(refusal("paceline.events=file\n").find("topic and log"), std::string::npos);
  EXPECT_EQ(refusal("paceline.events=log\n"), "accepted");
  EXPECT_NE(refusal("num.partitions=0\n").find("at least 1"), std::string::npos);
  EXPECT_NE(refusal("", {}, {{"KAFKA_OPTS", "-Djava.security.auth.login.config=/x"}}).find("JAAS"),
            std::string::npos);
  EXPECT_EQ(refusal("unclean.leader.election.enable=false\n"), "accepted");
}

TEST(Config, AMistypedKeyIsNamedWithTheOneThatWasMeant) {
  auto config = load("lgo.retention.ms=5\n");
  ASSERT_TRUE(config);
  ASSERT_EQ(config->notices.size(), 1u);
  EXPECT_EQ(config->notices[0], "unknown key 'lgo.retention.ms', did you mean 'log.retention.ms'?");
}

constexpr std::string_view kShared = "paceline.metadata=etcd://127.0.0.1:2379/x\n";

TEST(Config, ABrokerAloneHasNoPortForOthers) {
  auto config = load("paceline.peer.listen=127.0.0.1:9645\n");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_FALSE(config->server.peer);
}

TEST(Config, ThePortForOtherBrokersIsWhereClientsAreUnlessToldOtherwise) {
  const auto of = [](std::string text) {
    auto config = load(std::string(kShared) + text);
    return config && config->server.peer
               ? fmt::format("{}:{} as {}:{}", config->server.peer->listen.host,
                             config->server.peer->listen.port, config->server.peer->advertised.host,
                             config->server.peer->advertised.port)
               : "none";
  };
  EXPECT_EQ(of(""), "127.0.0.1:0 as 127.0.0.1:0");
  EXPECT_EQ(of("listeners=PLAINTEXT://:9092\n"), "0.0.0.0:0 as localhost:0");
  EXPECT_EQ(of("listeners=PLAINTEXT://:9092\nadvertised.listeners=PLAINTEXT://b1.example:9092\n"
               "paceline.peer.listen=:9645\n"),
            "0.0.0.0:9645 as b1.example:0");
  EXPECT_EQ(
      of("advertised.listeners=PLAINTEXT://outside:9092\npaceline.peer.listen=10.0.0.5:9645\n"),
      "10.0.0.5:9645 as 10.0.0.5:0");
  EXPECT_EQ(of("paceline.peer.listen=0.0.0.0:9645\npaceline.peer.advertised=inside:19645\n"),
            "0.0.0.0:9645 as inside:19645");
  EXPECT_EQ(of("paceline.peer.listen=none\n"), "none");
}

TEST(Config, BoundsOfNotice) {
  auto config = load(std::string(kShared) +
                     "paceline.peer.ping.ms=50\npaceline.peer.silence.ms=600\n"
                     "paceline.lease.ms=2500\n");
  ASSERT_TRUE(config) << config.error().message;
  const peer::Bounds& bounds = config->server.peer->bounds;
  EXPECT_EQ(bounds.ping_every, std::chrono::milliseconds(50));
  EXPECT_EQ(bounds.silent_after, std::chrono::milliseconds(600));
  EXPECT_EQ(bounds.confirm_after, std::chrono::milliseconds(300));
  EXPECT_EQ(config->server.lease, std::chrono::seconds(3));
  EXPECT_NE(refusal("paceline.peer.silence.ms=300\n").find("at least 400"), std::string::npos);
  EXPECT_NE(refusal("paceline.peer.ping.ms=1\n").find("at least 10"), std::string::npos);
  EXPECT_NE(refusal("paceline.lease.ms=500\n").find("at least 1000"), std::string::npos);
  EXPECT_NE(refusal("listeners=paceline.peer://:9092\n").find("the name is taken"),
            std::string::npos);
}

TEST(Config, Balance) {
  auto settings = [](std::string_view text) {
    auto config = load(std::string(kShared) + std::string(text));
    EXPECT_TRUE(config) << config.error().message;
    return config ? config->server.settings : broker::Settings{};
  };
  EXPECT_TRUE(settings("").balance);
  EXPECT_DOUBLE_EQ(settings("").balance_tolerance, 0.1);
  EXPECT_FALSE(settings("auto.leader.rebalance.enable=false\n").balance);
  EXPECT_FALSE(settings("paceline.balance.enabled=false\n").balance);
  const auto set = settings(
      "paceline.balance.interval.ms=700\npaceline.balance.tolerance=0.25\n"
      "paceline.balance.hold.ms=0\n");
  EXPECT_EQ(set.balance_interval_ms, 700);
  EXPECT_DOUBLE_EQ(set.balance_tolerance, 0.25);
  EXPECT_EQ(set.balance_hold_ms, 0);
  EXPECT_NE(refusal("paceline.balance.tolerance=0\n").find("between"), std::string::npos);
  EXPECT_NE(refusal("paceline.balance.interval.ms=5\n").find("at least 100"), std::string::npos);
}

TEST(Config, WhoServesConsumersOfARack) {
  auto near = [](std::string_view text) {
    auto config = load(std::string(kShared) + std::string(text));
    EXPECT_TRUE(config) << config.error().message;
    return config && config->server.settings.near_reads;
  };
  const std::string package = "replica.selector.class=org.apache.kafka.common.replica.";
  EXPECT_TRUE(near(""));
  EXPECT_TRUE(near(package + "RackAwareReplicaSelector\n"));
  EXPECT_FALSE(near(package + "LeaderSelector\n"));
  EXPECT_NE(refusal("replica.selector.class=org.example.Nearest\n").find("plug-in"),
            std::string::npos);
}

TEST(Config, Addresses) {
  EXPECT_EQ(parse_address("127.0.0.1:9092")->port, 9092);
  EXPECT_EQ(parse_address("[::1]:80")->host, "::1");
  EXPECT_EQ(parse_address(":9092")->host, "");
  EXPECT_FALSE(parse_address("host"));
  EXPECT_FALSE(parse_address("host:70000"));
  EXPECT_FALSE(parse_address("host:1x"));
}

}  // namespace
}  // namespace paceline::app
