#include <gtest/gtest.h>

#include "protocol/gen/consumer_protocol.h"
#include "protocol/gen/group_records.h"
#include "protocol/gen/join_group.h"
#include "protocol/gen/metadata.h"
#include "protocol/gen/offset_fetch.h"
#include "protocol/gen/produce.h"

// Bytes worked out by hand from Kafka's protocol guide, for what generated round trips cannot see.
namespace paceline::protocol {
namespace {

using namespace std::string_literals;

template <class Message>
std::string encoded(const Message& message, int16_t version) {
  Output out;
  auto done = message.encode(version, out);
  EXPECT_TRUE(done) << done.error().message;
  return join(out.take());
}

TEST(Golden, metadata_null_topics_mean_all_and_empty_ones_mean_none) {
  auto all = MetadataRequest::decode(1, as_bytes("\xff\xff\xff\xff"s));
  ASSERT_TRUE(all);
  EXPECT_FALSE(all->topics);
  auto none = MetadataRequest::decode(1, as_bytes("\0\0\0\0"s));
  ASSERT_TRUE(none);
  ASSERT_TRUE(none->topics);
  EXPECT_TRUE(none->topics->empty());
  EXPECT_FALSE(MetadataRequest::decode(0, as_bytes("\xff\xff\xff\xff"s)));  // null only from 1 on
}

TEST(Golden, metadata_before_version_4_permits_auto_creation) {
  auto old = MetadataRequest::decode(3, as_bytes("\0\0\0\0"s));
  ASSERT_TRUE(old);
  EXPECT_TRUE(old->allow_auto_topic_creation);
  auto newer = MetadataRequest::decode(4, as_bytes("\0\0\0\0\0"s));
  ASSERT_TRUE(newer);
  EXPECT_FALSE(newer->allow_auto_topic_creation);
}

TEST(Golden, offset_fetch_null_topics_mean_all_of_the_group) {
  const std::string bytes = "\0\1g\xff\xff\xff\xff"s;  // the group is a view of it
  auto all = OffsetFetchRequest::decode(2, as_bytes(bytes));
  ASSERT_TRUE(all);
  EXPECT_EQ(all->group_id, "g");
  EXPECT_FALSE(all->topics);
}

TEST(Golden, a_flexible_produce_request) {
  ProduceRequest request;
  request.acks = -1;
  request.timeout_ms = 256;
  auto& topic = request.topic_data.emplace_back();
  topic.name = "ab";
  auto& partition = topic.partition_data.emplace_back();
  partition.index = 1;
  partition.records = as_bytes("xyz");
  EXPECT_EQ(encoded(request, 9),
            "\0"               // no transactional id
            "\xff\xff"         // acks
            "\0\0\1\0"         // timeout
            "\2\3ab"           // one topic, its name
            "\2\0\0\0\1\4xyz"  // one partition, its index and records
            "\0\0\0"s);        // tags of partition, topic, request
}

TEST(Golden, a_tagged_leader_is_written_only_if_it_says_something) {
  ProduceResponse response;
  auto& partition = response.responses.emplace_back().partition_responses.emplace_back();
  const std::string silent = encoded(response, 10);
  partition.current_leader.leader_id = 5;
  partition.current_leader.leader_epoch = 6;
  const std::string telling = encoded(response, 10);
  EXPECT_EQ(telling.size(), silent.size() + 2 + 9);
  EXPECT_NE(telling.find("\1\0\x09\0\0\0\5\0\0\0\6\0"s), std::string::npos);
  Output out;
  EXPECT_FALSE(response.encode(9, out));  // not ignorable
}

TEST(Golden, join_group_protocol_name_is_null_only_from_version_7) {
  JoinGroupResponse response;
  response.protocol_name.reset();
  Output out;
  EXPECT_FALSE(response.encode(6, out));
  EXPECT_TRUE(response.encode(7, out));
}

TEST(Golden, records_of_the_offsets_topic_start_with_their_version) {
  OffsetCommitKey key;
  key.group = "g";
  key.topic = "t";
  key.partition = 2;
  auto bytes = key.encode_versioned(1);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(*bytes,
            "\0\1"
            "\0\1g"
            "\0\1t"
            "\0\0\0\2"s);
  auto back = OffsetCommitKey::decode_versioned(as_bytes(*bytes));
  ASSERT_TRUE(back);
  EXPECT_TRUE(*back == key);
  EXPECT_FALSE(OffsetCommitKey::decode_versioned(as_bytes("\0\2\0\1g"s)));  // a group's key
}

TEST(Golden, a_subscription_of_a_future_version_is_read_as_the_newest_known) {
  ConsumerSubscription subscription;
  subscription.topics = {"t"};
  auto bytes = subscription.encode_versioned(3);
  ASSERT_TRUE(bytes);
  (*bytes)[1] = 9;
  auto back = ConsumerSubscription::decode_versioned(as_bytes(*bytes + "appended"));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_TRUE(*back == subscription);
}

TEST(Golden, a_count_beyond_the_bytes_is_refused_before_anything_is_allocated) {
  auto huge = MetadataRequest::decode(1, as_bytes("\x7f\xff\xff\xff"s));
  ASSERT_FALSE(huge);
  EXPECT_NE(huge.error().message.find("counts more elements"), std::string::npos);
  auto compact = MetadataRequest::decode(9, as_bytes("\xff\xff\xff\xff\x0f\0"s));
  ASSERT_FALSE(compact);
  auto endless = MetadataRequest::decode(9, as_bytes("\xff\xff\xff\xff\xff\x01\0"s));
  ASSERT_FALSE(endless);
  EXPECT_NE(endless.error().message.find("varint"), std::string::npos);
}

}  // namespace
}  // namespace paceline::protocol
