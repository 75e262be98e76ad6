#include "app/dev_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "app/config.h"
#include "app/dev_ceph.h"
#include "app/dev_state.h"

namespace paceline::app {
namespace {

using testing::HasSubstr;

const DevPaths kPaths{"/somewhere"};

std::string refusal(const DevOptions& options) {
  const auto possible = check_options(options);
  return possible ? std::string() : possible.error().message;
}

TEST(DevPlan, NoPortIsUsedTwiceByTheLargestCluster) {
  const DevOptions options{.brokers = DevAddresses::kBrokersMax,
                           .etcd_members = DevAddresses::kMembersMax,
                           .store = "s3",
                           .port = 65535 - DevAddresses::kSpan};
  EXPECT_EQ(refusal(options), "");
  std::set<uint16_t> ports;
  const auto used = DevAddresses(options.port, false).used(options);
  for (const auto& use : used) {
    ports.insert(use.port);
    EXPECT_GE(use.port, options.port) << use.whose;
  }
  EXPECT_EQ(ports.size(), used.size());
  EXPECT_EQ(used.size(), 100u * 2 + 7 * 2 + 5);
}

TEST(DevPlan, ThePortsThatPeopleKnowAreTheDefaults) {
  const DevOptions options;
  const DevAddresses ports(options.port, false);
  EXPECT_EQ(ports.kafka(1), 9092);
  EXPECT_EQ(ports.admin(1), 9644);
  EXPECT_EQ(bootstrap_of(options, ports), "127.0.0.1:9092,127.0.0.1:9093,127.0.0.1:9094");
}

TEST(DevPlan, WhatCannotBeIsRefusedInOneSentence) {
  EXPECT_EQ(refusal({}), "");
  EXPECT_THAT(refusal({.brokers = 0}), HasSubstr("--brokers 0"));
  EXPECT_THAT(refusal({.etcd_members = 2}), HasSubstr("--etcd-members 2"));
  EXPECT_THAT(refusal({.etcd_members = 9}), HasSubstr("--etcd-members 9"));
  EXPECT_THAT(refusal({.port = 80}), HasSubstr("--port 80"));
  EXPECT_THAT(refusal({.port = 65000}), HasSubstr("--port 65000"));
  EXPECT_THAT(refusal({.overrides = {"nothing"}}), HasSubstr("'nothing'"));
  EXPECT_THAT(refusal({.overrides = {"node.id=4"}}), HasSubstr("node.id"));
  EXPECT_THAT(refusal({.overrides = {"paceline.objects=file:/x"}}), HasSubstr("paceline.objects"));
}

// What `paceline serve` would read of the command of a broker.
Config config_of(const DevService& service) {
  ServeOptions options;
  const auto& argv = service.program.argv;
  for (size_t i = 2; i + 1 < argv.size(); i += 2) {
    if (argv[i] == "--data") options.data = argv[i + 1];
    if (argv[i] == "--listen") options.listen = argv[i + 1];
    if (argv[i] == "-o") options.overrides.push_back(argv[i + 1]);
  }
  auto config = load_config(options, [](const std::string&) -> Result<std::string> { return ""; });
  if (!config) ADD_FAILURE() << config.error().message;
  return config ? std::move(*config) : Config{};
}

TEST(DevPlan, BrokersShareEverythingButTheirNumberPortsAndFolder) {
  const DevOptions options{.overrides = {"num.partitions=7"}};
  const DevAddresses ports(options.port, false);
  const Config one = config_of(broker_service(options, kPaths, ports, "/bin/p", {}, 1));
  const Config two = config_of(broker_service(options, kPaths, ports, "/bin/p", {}, 2));
  EXPECT_EQ(one.server.settings.broker, BrokerId(1));
  EXPECT_EQ(two.server.settings.broker, BrokerId(2));
  EXPECT_EQ(one.server.settings.listeners.front().port, 9092);
  EXPECT_EQ(two.server.admin->port, 9645);
  EXPECT_NE(one.server.data, two.server.data);
  EXPECT_EQ(two.server.settings.partitions_default, 7u);
  EXPECT_EQ(one.server.places.metadata, "etcd://127.0.0.1:9752/dev");
  EXPECT_EQ(one.server.places.metadata, two.server.places.metadata);
  EXPECT_EQ(one.server.places.objects, "file:/somewhere/objects");
  EXPECT_EQ(one.server.places.wal, "file:/somewhere/wal");
  EXPECT_TRUE(one.notices.empty());
}

TEST(DevPlan, BrokersMayBeHostsOfRacks) {
  const DevOptions options{.hosts = true, .racks = {"east", "west"}};
  const DevAddresses addresses(options.port, true);
  EXPECT_EQ(refusal(options), "");
  const Config one = config_of(broker_service(options, kPaths, addresses, "/bin/p", {}, 1));
  const Config three = config_of(broker_service(options, kPaths, addresses, "/bin/p", {}, 3));
  EXPECT_EQ(one.server.settings.listeners.front().host, "198.19.132.1");
  EXPECT_EQ(three.server.admin->host, "198.19.132.3");
  EXPECT_EQ(three.server.places.metadata, "etcd://198.19.132.254:9752/dev");
  EXPECT_EQ(three.server.settings.rack, "east");
  EXPECT_EQ(bootstrap_of(options, addresses),
            "198.19.132.1:9092,198.19.132.2:9093,198.19.132.3:9094");
  EXPECT_THAT(refusal({.racks = {"east", ""}}), HasSubstr("--racks"));
}

TEST(DevPlan, TheLogMayLieAmongTheObjectsOfAFolder) {
  const DevOptions options{.overrides = {"paceline.wal=objects:"}};
  const Config config = config_of(
      broker_service(options, kPaths, DevAddresses(options.port, false), "/bin/p", {}, 1));
  EXPECT_EQ(config.server.places.wal, "objects:");
}

TEST(DevPlan, WithAStoreNothingOfABrokerIsOnItsDisk) {
  const DevOptions options{.etcd_members = 3, .store = "s3"};
  const DevAddresses ports(options.port, false);
  uint64_t word = 7;
  const DevBucket bucket = Ceph::make_keys(ports, [&word] { return word++; });
  const DevService service = broker_service(options, kPaths, ports, "/bin/p", bucket, 1);
  const Config config = config_of(service);
  EXPECT_EQ(config.server.places.metadata,
            "etcd://127.0.0.1:9752,127.0.0.1:9753,127.0.0.1:9754/dev");
  EXPECT_TRUE(config.server.places.wal_is_objects());
  EXPECT_THAT(config.server.places.objects, HasSubstr("127.0.0.1:9775"));
  EXPECT_EQ(service.program.environment.at("AWS_SECRET_ACCESS_KEY"), bucket.secret_key);
  // A command line is read by everybody.
  for (const std::string& word_of_it : service.program.argv)
    EXPECT_EQ(word_of_it.find(bucket.secret_key), std::string::npos);
}

TEST(DevPlan, ABrokerThatDiesAgainAndAgainStaysAwayLonger) {
  EXPECT_EQ(restart_pause(0), std::chrono::seconds(1));
  EXPECT_EQ(restart_pause(1), std::chrono::seconds(2));
  EXPECT_EQ(restart_pause(1000), std::chrono::seconds(16));
}

TEST(DevState, ASecondRunIsToldWhatMustStay) {
  const DevOptions first{.etcd_members = 3};
  const std::string text = state_json({.state = "ended", .options = first}, {});
  auto why = [&](const DevOptions& second) {
    const auto same = check_continues(text, second);
    return same ? std::string() : same.error().message;
  };
  EXPECT_EQ(why(first), "");
  EXPECT_EQ(why({.brokers = 5, .etcd_members = 3}), "");
  EXPECT_THAT(why({.etcd_members = 1}), HasSubstr("--etcd-members 3"));
  EXPECT_THAT(why({.etcd_members = 3, .store = "s3"}), HasSubstr("--store folder"));
  EXPECT_THAT(why({.etcd_members = 3, .port = 9192}), HasSubstr("--port 9092"));
  EXPECT_THAT(why({.etcd_members = 3, .hosts = true}), HasSubstr("no --hosts"));
  EXPECT_FALSE(check_continues("", first));
  EXPECT_FALSE(check_continues("[1]", first));
}

}  // namespace
}  // namespace paceline::app
