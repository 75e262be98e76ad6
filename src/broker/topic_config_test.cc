#include "broker/topic_config.h"

#include <gtest/gtest.h>

#include "broker/config_keys.h"
#include "broker/topic_names.h"

namespace paceline::broker {
namespace {

ConfigValue find(const std::vector<ConfigValue>& values, std::string_view name) {
  for (const ConfigValue& value : values) {
    if (value.name == name) return value;
  }
  ADD_FAILURE() << "no " << name;
  return {};
}

TEST(TopicConfigs, EveryKnownKeyIsDescribed) {
  TopicConfigs configs({});
  cluster::Image image;
  cluster::TopicImage topic;
  const auto values = configs.describe_topic(topic, image);
  EXPECT_EQ(values.size(), topic_keys().size());
  EXPECT_GE(values.size(), 33u);
  for (const ConfigValue& value : values) {
    EXPECT_EQ(value.source, ConfigSource::default_value) << value.name;
    EXPECT_FALSE(value.synonyms.empty()) << value.name;
    // The default itself must be a legal value, or read-modify-write of a tool would be refused.
    EXPECT_TRUE(configs.check_topic({{value.name, *value.value}}))
        << value.name << "=" << *value.value;
  }
}

TEST(TopicConfigs, TheStrongestSourceWinsAndTheOthersAreListed) {
  TopicConfigs configs({{"log.retention.hours", "2"}, {"message.max.bytes", "2000"}});
  cluster::Image image;
  cluster::TopicImage topic;
  EXPECT_EQ(configs.value("retention.ms", topic, image), "7200000");
  EXPECT_EQ(configs.value("max.message.bytes", topic, image), "2000");
  image.default_broker_configs["log.retention.ms"] = "5";
  EXPECT_EQ(configs.value("retention.ms", topic, image), "5");
  topic.configs["retention.ms"] = "77";
  const ConfigValue value = find(configs.describe_topic(topic, image), "retention.ms");
  EXPECT_EQ(*value.value, "77");
  EXPECT_EQ(value.source, ConfigSource::topic);
  ASSERT_EQ(value.synonyms.size(), 4u);
  EXPECT_EQ(value.synonyms[1].source, ConfigSource::dynamic_default);
  EXPECT_EQ(value.synonyms[2].name, "log.retention.hours");
  EXPECT_EQ(value.synonyms[3].source, ConfigSource::default_value);
}

TEST(TopicConfigs, RefusesWithKafkasWords) {
  TopicConfigs configs({});
  auto why = [&](std::string key, std::string value) {
    auto checked = configs.check_topic({{key, value}});
    return checked ? std::string("accepted") : checked.error().message;
  };
  EXPECT_EQ(why("no.such.key", "1"), "Unknown topic config name: no.such.key");
  EXPECT_NE(why("retention.ms", "soon").find("Invalid value soon for configuration retention.ms"),
            std::string::npos);
  EXPECT_NE(why("retention.ms", "-2").find("at least -1"), std::string::npos);
  EXPECT_NE(why("cleanup.policy", "shred").find("String must be one of"), std::string::npos);
  EXPECT_EQ(why("cleanup.policy", "compact,delete"), "accepted");
  EXPECT_NE(why("unclean.leader.election.enable", "true"), "accepted");
  EXPECT_NE(why("remote.storage.enable", "true"), "accepted");
  EXPECT_FALSE(
      configs.check_topic({{"min.compaction.lag.ms", "9"}, {"max.compaction.lag.ms", "5"}}));
}

TEST(TopicConfigs, TheCodecOfATopicComesWithItsLevel) {
  TopicConfigs configs({{"compression.zstd.level", "7"}});
  cluster::Image image;
  cluster::TopicImage topic;
  auto chosen = [&](std::string codec, std::map<std::string, std::string> more = {}) {
    topic.configs = std::move(more);
    topic.configs["compression.type"] = std::move(codec);
    const partition::Config config = configs.partition_config(topic, image);
    return std::pair(config.codec, config.codec_level);
  };
  using record::Codec;
  constexpr int kNone = record::kLevelDefault;
  EXPECT_EQ(configs.partition_config({}, image).codec, std::nullopt);
  EXPECT_EQ(chosen("producer"), std::pair(std::optional<Codec>(), kNone));
  EXPECT_EQ(chosen("uncompressed"), std::pair(std::optional(Codec::none), kNone));
  EXPECT_EQ(chosen("snappy"), std::pair(std::optional(Codec::snappy), kNone));
  EXPECT_EQ(chosen("zstd"), std::pair(std::optional(Codec::zstd), 7));
  EXPECT_EQ(chosen("gzip"), std::pair(std::optional(Codec::gzip), -1));
  EXPECT_EQ(chosen("gzip", {{"compression.gzip.level", "9"}}).second, 9);
  EXPECT_EQ(chosen("lz4").second, kNone);  // 9, Kafka's name for its fast compressor
  EXPECT_EQ(chosen("lz4", {{"compression.lz4.level", "3"}}).second, 3);
}

TEST(TopicConfigs, LevelsOutsideOfTheCodecAreRefused) {
  TopicConfigs configs({});
  for (auto [key, value, fits] : {std::tuple{"compression.gzip.level", "-1", true},
                                  {"compression.gzip.level", "0", false},
                                  {"compression.gzip.level", "1", true},
                                  {"compression.gzip.level", "10", false},
                                  {"compression.lz4.level", "0", false},
                                  {"compression.lz4.level", "17", true},
                                  {"compression.lz4.level", "18", false},
                                  {"compression.zstd.level", "-131072", true},
                                  {"compression.zstd.level", "23", false},
                                  {"compression.type", "none", false},
                                  {"compression.type", "uncompressed", true}}) {
    EXPECT_EQ(configs.check_topic({{key, value}}).has_value(), fits) << key << "=" << value;
    EXPECT_EQ(configs.check_broker({{key, value}}).has_value(), fits) << key << "=" << value;
    EXPECT_EQ(!refused_value(key, value), fits) << key << "=" << value;
  }
}

TEST(TopicConfigs, BrokerKeysKnowWhatIsDynamicAndWhatIsSecret) {
  TopicConfigs configs({{"num.partitions", "8"}});
  cluster::Image image;
  const auto values = configs.describe_broker(BrokerId(7), image);
  EXPECT_EQ(*find(values, "node.id").value, "7");
  EXPECT_EQ(*find(values, "num.partitions").value, "8");
  EXPECT_EQ(find(values, "num.partitions").source, ConfigSource::static_broker);
  EXPECT_TRUE(find(values, "num.partitions").read_only);
  EXPECT_FALSE(find(values, "log.retention.ms").read_only);
  EXPECT_TRUE(configs.check_broker({{"log.retention.ms", "1000"}}));
  EXPECT_FALSE(configs.check_broker({{"num.partitions", "4"}}));
  EXPECT_FALSE(configs.check_broker({{"no.such", "4"}}));
}

TEST(TopicNames, KafkasRule) {
  EXPECT_TRUE(valid_topic_name("a-b_c.D9"));
  for (std::string bad :
       {std::string(""), std::string("."), std::string(".."), std::string("a b"),
        std::string("a/b"), std::string(250, 'x'), std::string("\xc3\xa9"), std::string("a\0b", 3)})
    EXPECT_FALSE(valid_topic_name(bad)) << bad;
  EXPECT_TRUE(valid_topic_name(std::string(249, 'x')));
  cluster::Image image;
  auto topic = std::make_shared<cluster::TopicImage>();
  topic->name = "a.b";
  image.topics["a.b"] = topic;
  EXPECT_EQ(colliding_topic("a_b", image), topic.get());
  EXPECT_EQ(colliding_topic("a.b", image), nullptr);
  EXPECT_EQ(colliding_topic("ab", image), nullptr);
}

}  // namespace
}  // namespace paceline::broker
