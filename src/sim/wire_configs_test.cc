#include <gmock/gmock.h>

#include "protocol/gen/alter_configs.h"
#include "protocol/gen/describe_configs.h"
#include "protocol/gen/incremental_alter_configs.h"
#include "sim/wire_world_test.h"

// Configuration as tools read and change it.

namespace paceline::sim {
namespace {

using protocol::AlterConfigsRequest;
using protocol::AlterConfigsResponse;
using protocol::DescribeConfigsRequest;
using protocol::DescribeConfigsResponse;
using protocol::IncrementalAlterConfigsRequest;
using protocol::IncrementalAlterConfigsResponse;
using Described = std::map<std::string, DescribeConfigsResponse::Resource::Config>;

enum Operation : int8_t { kSet = 0, kDelete = 1, kAppend = 2, kSubtract = 3 };
enum Source : int8_t { kOfTopic = 1, kDynamicDefault = 3, kStatic = 4, kDefault = 5 };
constexpr int8_t kTopic = 2;
constexpr int8_t kBroker = 4;

class WireConfigs : public WireTest {
 protected:
  static DescribeConfigsRequest about(int8_t type, std::string_view resource) {
    DescribeConfigsRequest request;
    auto& one = request.resources.emplace_back();
    one.resource_type = type;
    one.resource_name = resource;
    one.configuration_keys = std::nullopt;
    return request;
  }
  Described describe(const DescribeConfigsRequest& request, int16_t version = 4) {
    auto answer = ask<DescribeConfigsResponse>(version, request);
    CHECK(answer.results.size() == 1);
    EXPECT_EQ(name(answer.results[0].error_code), "NONE");
    Described all;
    for (auto& config : answer.results[0].configs) all[config.name] = config;
    return all;
  }
  std::string value_of(std::string_view topic, const std::string& key) {
    return describe(about(kTopic, topic))[key].value.value_or("null");
  }
  std::string error_of(int8_t type, std::string_view resource) {
    auto answer = ask<DescribeConfigsResponse>(2, about(type, resource));
    return name(answer.results.at(0).error_code);
  }
  std::string change(std::string_view topic, Operation operation, std::string_view key,
                     std::optional<std::string_view> value, bool validate_only = false,
                     int8_t type = kTopic) {
    IncrementalAlterConfigsRequest request;
    request.validate_only = validate_only;
    auto& one = request.resources.emplace_back();
    one.resource_type = type;
    one.resource_name = topic;
    one.configs.push_back({key, operation, value});
    return name(ask<IncrementalAlterConfigsResponse>(1, request).responses.at(0).error_code);
  }
  // The old form: what is not named goes.
  std::string replace(std::string_view topic, const Configs& configs) {
    AlterConfigsRequest request;
    auto& one = request.resources.emplace_back();
    one.resource_type = kTopic;
    one.resource_name = topic;
    for (const auto& [key, value] : configs) one.configs.push_back({key, value});
    return name(ask<AlterConfigsResponse>(2, request).responses.at(0).error_code);
  }
};
PACELINE_ON_ONE_AND_TWO_SHARDS(WireConfigs);

// Traps 5 and 45.
TEST_P(WireConfigs, ATopicTellsEveryKeyWithItsValueSourceAndType) {
  create_topic("t", 1, {{"retention.ms", "777"}});
  for (int16_t version = 1; version <= 4; ++version) {
    auto all = describe(about(kTopic, "t"), version);
    for (const char* key : {"cleanup.policy", "compression.type", "max.message.bytes",
                            "message.timestamp.type", "min.insync.replicas", "retention.bytes",
                            "segment.bytes", "delete.retention.ms", "flush.ms"})
      EXPECT_TRUE(all.contains(key) && all[key].value) << key;
    EXPECT_EQ(all["retention.ms"].value, "777");
    EXPECT_EQ(all["retention.ms"].config_source, kOfTopic);
    EXPECT_EQ(all["cleanup.policy"].value, "delete");
    EXPECT_EQ(all["cleanup.policy"].config_source, kDefault);
    EXPECT_FALSE(all["retention.ms"].read_only);
    EXPECT_FALSE(all["retention.ms"].is_sensitive);
    EXPECT_EQ(all["retention.ms"].config_type, version >= 3 ? 5 : 0);    // long
    EXPECT_EQ(all["cleanup.policy"].config_type, version >= 3 ? 7 : 0);  // list
    EXPECT_TRUE(all["retention.ms"].synonyms.empty());
  }
}

// Trap 45.
TEST_P(WireConfigs, SynonymsTellWhereAValueWouldComeFromStrongestFirst) {
  options().given["log.retention.ms"] = "5000";
  create_topic("t", 1, {{"retention.ms", "777"}});
  DescribeConfigsRequest request = about(kTopic, "t");
  request.include_synonyms = true;
  request.include_documentation = true;
  const auto config = describe(request)["retention.ms"];
  ASSERT_EQ(config.synonyms.size(), 3u);
  EXPECT_EQ(config.synonyms[0].name, "retention.ms");
  EXPECT_EQ(config.synonyms[0].source, kOfTopic);
  EXPECT_EQ(config.synonyms[1].name, "log.retention.ms");
  EXPECT_EQ(config.synonyms[1].value, "5000");
  EXPECT_EQ(config.synonyms[1].source, kStatic);
  EXPECT_EQ(config.synonyms[2].source, kDefault);
  EXPECT_TRUE(config.documentation && !config.documentation->empty());
}

TEST_P(WireConfigs, OnlyTheKeysAskedForAreTold) {
  create_topic("t");
  DescribeConfigsRequest request = about(kTopic, "t");
  request.resources[0].configuration_keys = {"retention.ms", "cleanup.policy", "no.such.key"};
  EXPECT_EQ(describe(request).size(), 2u);
}

TEST_P(WireConfigs, WhatCannotBeDescribedHasItsOwnError) {
  EXPECT_EQ(error_of(kTopic, "none"), "UNKNOWN_TOPIC_OR_PARTITION");
  EXPECT_EQ(error_of(kBroker, "1"), "NONE");
  EXPECT_EQ(error_of(kBroker, ""), "NONE");
  EXPECT_EQ(error_of(kBroker, "2"), "INVALID_REQUEST");
  EXPECT_EQ(error_of(kBroker, "one"), "INVALID_REQUEST");
  EXPECT_EQ(error_of(99, "x"), "INVALID_REQUEST");
}

TEST_P(WireConfigs, ABrokerTellsItsKeys) {
  auto all = describe(about(kBroker, "1"));
  EXPECT_EQ(all["node.id"].value, "1");
  EXPECT_TRUE(all["node.id"].read_only);
  EXPECT_FALSE(all["log.retention.ms"].read_only);
  for (const char* key : {"listeners", "num.partitions", "auto.create.topics.enable",
                          "message.max.bytes", "offsets.topic.num.partitions"})
    EXPECT_TRUE(all.contains(key)) << key;
}

// Trap 45.
TEST_P(WireConfigs, KeysAreSetAndDeletedOneByOneAndOutliveTheBroker) {
  create_topic("t", 1, {{"segment.bytes", "5000"}});
  EXPECT_EQ(change("t", kSet, "retention.ms", "1000"), "NONE");
  EXPECT_EQ(change("t", kSet, "max.message.bytes", "2000"), "NONE");
  EXPECT_EQ(change("t", kDelete, "max.message.bytes", std::nullopt), "NONE");
  EXPECT_EQ(change("t", kDelete, "flush.ms", std::nullopt), "NONE");  // was not set
  for (End how : {End::crash, End::stop}) {
    EXPECT_EQ(value_of("t", "retention.ms"), "1000");
    EXPECT_EQ(value_of("t", "segment.bytes"), "5000");
    EXPECT_EQ(value_of("t", "max.message.bytes"), "1048588");
    restart(how);
  }
}

// Trap 45.
TEST_P(WireConfigs, ListsAreAppendedToAndSubtractedFrom) {
  create_topic("t");
  EXPECT_EQ(change("t", kAppend, "cleanup.policy", "compact"), "NONE");
  EXPECT_EQ(value_of("t", "cleanup.policy"), "delete,compact");
  EXPECT_EQ(change("t", kAppend, "cleanup.policy", "compact"), "NONE");
  EXPECT_EQ(value_of("t", "cleanup.policy"), "delete,compact");
  EXPECT_EQ(change("t", kSubtract, "cleanup.policy", "delete"), "NONE");
  EXPECT_EQ(value_of("t", "cleanup.policy"), "compact");
  EXPECT_EQ(change("t", kAppend, "retention.ms", "5"), "INVALID_CONFIG");
}

// Trap 45.
TEST_P(WireConfigs, UnknownKeysAndBadValuesAreRefusedByBothForms) {
  create_topic("t", 1, {{"retention.ms", "777"}});
  EXPECT_EQ(change("t", kSet, "no.such.key", "1"), "INVALID_CONFIG");
  EXPECT_EQ(change("t", kSet, "retention.ms", "soon"), "INVALID_CONFIG");
  EXPECT_EQ(change("t", kSet, "cleanup.policy", "shred"), "INVALID_CONFIG");
  EXPECT_EQ(replace("t", {{"no.such.key", "1"}}), "INVALID_CONFIG");
  EXPECT_EQ(replace("t", {{"retention.ms", "soon"}}), "INVALID_CONFIG");
  EXPECT_EQ(change("t", kSet, "retention.ms", std::nullopt), "INVALID_REQUEST");
  EXPECT_EQ(change("t", static_cast<Operation>(9), "retention.ms", "1"), "INVALID_REQUEST");
  EXPECT_EQ(change("none", kSet, "retention.ms", "1"), "UNKNOWN_TOPIC_OR_PARTITION");
  EXPECT_EQ(change("2", kSet, "log.retention.ms", "1", false, kBroker), "INVALID_REQUEST");
  EXPECT_EQ(change("x", kSet, "log.retention.ms", "1", false, 99), "INVALID_REQUEST");
  EXPECT_EQ(value_of("t", "retention.ms"), "777");
}

TEST_P(WireConfigs, AKeyMayBeNamedOnce) {
  create_topic("t");
  IncrementalAlterConfigsRequest request;
  auto& one = request.resources.emplace_back();
  one.resource_type = kTopic;
  one.resource_name = "t";
  one.configs.push_back({"retention.ms", kSet, "1"});
  one.configs.push_back({"retention.ms", kSet, "2"});
  EXPECT_EQ(name(ask<IncrementalAlterConfigsResponse>(0, request).responses.at(0).error_code),
            "INVALID_REQUEST");
}

// Trap 45.
TEST_P(WireConfigs, OneResourcesErrorIsNotAnothers) {
  create_topic("t");
  IncrementalAlterConfigsRequest request;
  for (std::string_view topic : {"none", "t"}) {
    auto& one = request.resources.emplace_back();
    one.resource_type = kTopic;
    one.resource_name = topic;
    one.configs.push_back({"retention.ms", kSet, "4242"});
  }
  auto answer = ask<IncrementalAlterConfigsResponse>(1, request);
  EXPECT_EQ(name(answer.responses.at(0).error_code), "UNKNOWN_TOPIC_OR_PARTITION");
  EXPECT_EQ(name(answer.responses.at(1).error_code), "NONE");
  EXPECT_EQ(value_of("t", "retention.ms"), "4242");

  DescribeConfigsRequest both = about(kTopic, "none");
  both.resources.push_back(about(kTopic, "t").resources[0]);
  auto described = ask<DescribeConfigsResponse>(4, both);
  EXPECT_EQ(name(described.results.at(0).error_code), "UNKNOWN_TOPIC_OR_PARTITION");
  EXPECT_EQ(name(described.results.at(1).error_code), "NONE");
  EXPECT_FALSE(described.results.at(1).configs.empty());
}

// Trap 45.
TEST_P(WireConfigs, ValidationAloneChangesNothing) {
  create_topic("t");
  EXPECT_EQ(change("t", kSet, "retention.ms", "1000", true), "NONE");
  EXPECT_EQ(change("t", kSet, "retention.ms", "soon", true), "INVALID_CONFIG");
  EXPECT_EQ(value_of("t", "retention.ms"), "604800000");
}

TEST_P(WireConfigs, TheOldFormReplacesAll) {
  create_topic("t", 1, {{"retention.ms", "777"}, {"segment.bytes", "5000"}});
  EXPECT_EQ(replace("t", {{"flush.ms", "9"}}), "NONE");
  EXPECT_EQ(value_of("t", "flush.ms"), "9");
  EXPECT_EQ(value_of("t", "retention.ms"), "604800000");
  EXPECT_EQ(value_of("t", "segment.bytes"), "1073741824");
}

// Trap 45: librdkafka and kgo change one key by reading all and writing all.
TEST_P(WireConfigs, WhatWasDescribedCanBeWrittenBack) {
  create_topic("t", 1, {{"retention.ms", "777"}});
  Configs all;
  for (const auto& [key, config] : describe(about(kTopic, "t"))) {
    ASSERT_TRUE(config.value) << key;
    all[key] = *config.value;
  }
  EXPECT_EQ(replace("t", all), "NONE");
  for (const auto& [key, config] : describe(about(kTopic, "t"))) {
    EXPECT_EQ(config.value, all[key]) << key;
    EXPECT_EQ(config.config_source, kOfTopic) << key;
  }
}

TEST_P(WireConfigs, AChangeIsInForceWithoutARestart) {
  create_topic("t");
  EXPECT_EQ(name(produce("t", 0, batch({std::string(5000, 'x')})).error_code), "NONE");
  EXPECT_EQ(change("t", kSet, "max.message.bytes", "1000"), "NONE");
  world_.run_for(1s);
  EXPECT_EQ(name(produce("t", 0, batch({std::string(5000, 'x')})).error_code), "MESSAGE_TOO_LARGE");
}

TEST_P(WireConfigs, ADefaultOfAllBrokersIsTheDefaultOfTopics) {
  create_topic("t");
  EXPECT_EQ(change("", kSet, "log.retention.ms", "3000", false, kBroker), "NONE");
  auto config = describe(about(kTopic, "t"))["retention.ms"];
  EXPECT_EQ(config.value, "3000");
  EXPECT_EQ(config.config_source, kDynamicDefault);
  EXPECT_EQ(describe(about(kBroker, ""))["log.retention.ms"].value, "3000");
  EXPECT_EQ(change("", kSet, "no.such.key", "1", false, kBroker), "INVALID_CONFIG");
  EXPECT_EQ(change("1", kSet, "listeners", "x", false, kBroker), "INVALID_CONFIG");
}

// Trap 43: Connect looks at this before it uses its topics.
TEST_P(WireConfigs, ACompactedTopicSaysSo) {
  create_topic("connect-offsets", 25, {{"cleanup.policy", "compact"}});
  EXPECT_EQ(value_of("connect-offsets", "cleanup.policy"), "compact");
}

}  // namespace
}  // namespace paceline::sim
