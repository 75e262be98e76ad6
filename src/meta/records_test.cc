#include "meta/records.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/codec.h"
#include "base/crc32c.h"

namespace paceline::meta {
namespace {

Uuid id_of(uint64_t seed) {
  return Uuid::from_random(seed, seed * 31 + 7);
}
Lane lane_of(int32_t broker, uint64_t incarnation) {
  return Lane{BrokerId(broker), Incarnation(incarnation)};
}

// A record as bytes, and the way from bytes to a record and back to bytes.
struct Sample {
  std::string kind;
  std::string value;
  std::function<Result<std::string>(std::string_view)> recode;
};

template <class Record>
Sample sample(std::string kind, const Record& record) {
  auto recode = [](std::string_view value) -> Result<std::string> {
    TRY(Record decoded, decode<Record>(value));
    return encode(decoded);
  };
  return {std::move(kind), encode(record), recode};
}

std::vector<Sample> samples() {
  BrokerRecord broker{
      .incarnation = Incarnation(7), .registered = false, .endpoints = {}, .rack = "zone-a"};
  broker.endpoints = {{"PLAINTEXT", "host.example", 9092}, {"", "", 0}};
  LaneRecord lane{.sealed = true,
                  .choice_version = 1,
                  .successors = {},
                  .uploaded = Position(1u << 20),
                  .next_object = 12,
                  .checkpoint = 9};
  lane.successors = {{lane_of(1, 2), 3, "a"}, {lane_of(2, 1), 1, ""}};
  LaneRecord adopting;
  adopting.adopted = {{StreamId{id_of(6), 3}, Position(10), Position(20), Epoch(4), Offset(99)},
                      {StreamId{id_of(6), 4}, Position(10), Position(20), Epoch(-1), Offset(0)}};
  adopting.adopted_count = 7;
  PageRecord page;
  for (uint32_t i = 0; i < kPartitionsPerPage; ++i)
    page.partitions.push_back({i, {Epoch(4), lane_of(3, 7)}, {BrokerId(3), BrokerId(1)}});
  TopicRecord topic{.topic_id = id_of(5),
                    .partition_count = 65,
                    .replication_factor = 3,
                    .internal = true,
                    .configs = {{"cleanup.policy", "delete"}, {"retention.ms", "-1"}}};
  return {
      sample("cluster", ClusterRecord{.cluster_id = id_of(1), .created_ms = 1'700'000'000'000}),
      sample("broker", broker),
      sample("lane", lane),
      sample("new lane", LaneRecord{}),
      sample("adopting lane", adopting),
      sample("object", ObjectRecord{.bytes = 1u << 30,
                                    .directory_position = 99,
                                    .directory_bytes = 5,
                                    .checkpoint = true,
                                    .created_ms = -1,
                                    .batch_bytes = 7}),
      sample("done", DoneRecord{.at_ms = 3}),
      sample("deleted", DeletedRecord{.at_ms = 4}),
      sample("page", page),
      sample("topic", topic),
      sample("config", ConfigRecord{.configs = {{"a", "b"}}}),
      sample("producer ids", ProducerIdsRecord{.next = 1000}),
  };
}

TEST(Records, RoundTrip) {
  for (const Sample& one : samples()) {
    auto again = one.recode(one.value);
    ASSERT_TRUE(again) << one.kind << ": " << again.error().to_string();
    EXPECT_EQ(*again, one.value) << one.kind;
  }
}

TEST(Records, FieldsComeBackAsTheyWere) {
  BrokerRecord broker{
      .incarnation = Incarnation(~0ull), .registered = true, .endpoints = {}, .rack = "r"};
  broker.endpoints = {{"INTERNAL", "10.0.0.1", 65535}};
  auto broker_again = decode<BrokerRecord>(encode(broker));
  ASSERT_TRUE(broker_again);
  EXPECT_EQ(broker_again->incarnation, broker.incarnation);
  EXPECT_TRUE(broker_again->registered);
  EXPECT_EQ(broker_again->endpoints, broker.endpoints);
  EXPECT_EQ(broker_again->rack, "r");

  LaneRecord lane{.sealed = true,
                  .choice_version = 2,
                  .successors = {},
                  .uploaded = Position(77),
                  .next_object = 5,
                  .checkpoint = 3};
  lane.successors = {{lane_of(8, 9), 4, "z"}};
  auto lane_again = decode<LaneRecord>(encode(lane));
  ASSERT_TRUE(lane_again);
  EXPECT_TRUE(lane_again->sealed);
  EXPECT_EQ(lane_again->choice_version, 2);
  ASSERT_EQ(lane_again->successors.size(), 1u);
  EXPECT_EQ(lane_again->successors[0].lane, lane_of(8, 9));
  EXPECT_EQ(lane_again->successors[0].capacity, 4u);
  EXPECT_EQ(lane_again->successors[0].zone, "z");
  EXPECT_EQ(lane_again->uploaded, Position(77));
  EXPECT_EQ(lane_again->next_object, 5u);
  EXPECT_EQ(lane_again->checkpoint, 3u);

  ObjectRecord object{.bytes = 1,
                      .directory_position = 2,
                      .directory_bytes = 3,
                      .checkpoint = true,
                      .created_ms = 4,
                      .batch_bytes = 5};
  auto object_again = decode<ObjectRecord>(encode(object));
  ASSERT_TRUE(object_again);
  EXPECT_EQ(object_again->bytes, 1u);
  EXPECT_EQ(object_again->directory_position, 2u);
  EXPECT_EQ(object_again->directory_bytes, 3u);
  EXPECT_TRUE(object_again->checkpoint);
  EXPECT_EQ(object_again->created_ms, 4);
  EXPECT_EQ(object_again->batch_bytes, 5u);
}

TEST(Records, ALaneThatAdoptedHasFormatTwoAndAllItsFields) {
  LaneRecord lane;
  lane.adopted = {{StreamId{id_of(6), 3}, Position(10), Position(20), Epoch(4), Offset(99)}};
  lane.adopted_count = 7;
  const std::string value = encode(lane);
  EXPECT_EQ(value.front(), 2);
  auto again = decode<LaneRecord>(value);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(again->adopted, lane.adopted);
  EXPECT_EQ(again->adopted_count, 7u);
  lane.adopted.clear();
  EXPECT_EQ(decode<LaneRecord>(encode(lane))->adopted_count, 7u);
  EXPECT_EQ(encode(LaneRecord{}).front(), 1) << "older builds read what needs no more";
}

TEST(Records, AnObjectRecordOfFormatOneIsReadStill) {
  Encoder old;
  old.put(uint8_t{1}).put(uint64_t{9}).put(uint64_t{8}).put(uint32_t{7}).put(uint8_t{1});
  old.put(int64_t{6});
  old.put(crc32c(old.bytes()));
  auto record = decode<ObjectRecord>(old.str());
  ASSERT_TRUE(record) << record.error().to_string();
  EXPECT_EQ(record->bytes, 9u);
  EXPECT_EQ(record->created_ms, 6);
  EXPECT_EQ(record->batch_bytes, 0u);
}

// The bytes are a promise: a change here breaks every store that exists.
TEST(Records, TheBytesOfFormatOneNeverChange) {
  EXPECT_EQ(as_bytes(encode(ProducerIdsRecord{.next = 258})).size(), 1u + 8 + 4);
  Encoder lane;
  lane.put(uint8_t{1}).put(uint8_t{1}).put(uint8_t{1}).varint(1);
  lane.put(int32_t{8}).put(uint64_t{9}).put(uint32_t{4}).text("z");
  lane.put(uint64_t{77}).put(uint64_t{5}).put(uint64_t{3});
  lane.put(crc32c(lane.bytes()));
  LaneRecord record{.sealed = true,
                    .choice_version = 1,
                    .successors = {},
                    .uploaded = Position(77),
                    .next_object = 5,
                    .checkpoint = 3};
  record.successors = {{lane_of(8, 9), 4, "z"}};
  EXPECT_EQ(encode(record), lane.str());
}

TEST(Records, EveryTruncationIsCorrupt) {
  for (const Sample& one : samples()) {
    for (size_t cut = 0; cut < one.value.size(); ++cut) {
      auto result = one.recode(std::string_view(one.value).substr(0, cut));
      ASSERT_FALSE(result) << one.kind << " cut at " << cut;
      EXPECT_EQ(result.error().code, Code::corrupt) << one.kind << " cut at " << cut;
    }
  }
}

TEST(Records, EveryFlippedBitIsCorrupt) {
  for (const Sample& one : samples()) {
    for (size_t bit = 0; bit < one.value.size() * 8; ++bit) {
      std::string damaged = one.value;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
      auto result = one.recode(damaged);
      ASSERT_FALSE(result) << one.kind << " bit " << bit;
      EXPECT_EQ(result.error().code, Code::corrupt) << one.kind << " bit " << bit;
    }
  }
}

std::string with_checksum(std::string body) {
  Encoder out;
  out.raw(as_bytes(body)).put(crc32c(as_bytes(body)));
  return out.take();
}

TEST(Records, ANewerFormatIsUnsupportedNotCorrupt) {
  for (const Sample& one : samples()) {
    std::string body = one.value.substr(0, one.value.size() - 4);
    body[0] = 99;
    body += "a field of tomorrow";
    auto result = one.recode(with_checksum(body));
    ASSERT_FALSE(result) << one.kind;
    EXPECT_EQ(result.error().code, Code::unsupported) << one.kind;
  }
}

TEST(Records, BytesAfterTheFieldsAreCorrupt) {
  for (const Sample& one : samples()) {
    auto result = one.recode(with_checksum(one.value.substr(0, one.value.size() - 4) + "x"));
    ASSERT_FALSE(result) << one.kind;
    EXPECT_EQ(result.error().code, Code::corrupt) << one.kind;
  }
}

TEST(Records, AListLengthBeyondTheRecordIsCorrupt) {
  Encoder page;
  page.put(uint8_t{1}).varint(uint64_t{1} << 60);
  auto result = decode<PageRecord>(with_checksum(page.str()));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::corrupt);
}

TEST(Keys, SortAsTheirNumbers) {
  EXPECT_LT(lane_key(lane_of(2, 9)), lane_key(lane_of(10, 1)));
  EXPECT_LT(lane_key(lane_of(2, 9)), lane_key(lane_of(2, 10)));
  EXPECT_LT(object_key(lane_of(2, 9), 9), object_key(lane_of(2, 9), 10));
  EXPECT_LT(object_key(lane_of(2, 9), 0xff), object_key(lane_of(2, 9), 0x100));
  EXPECT_LT(page_key(id_of(1), 9), page_key(id_of(1), 10));
  EXPECT_LT(broker_key(BrokerId(9)), broker_key(BrokerId(10)));
  EXPECT_LT(deleted_key(lane_of(1, 1), 9), deleted_key(lane_of(1, 1), 10));
}

TEST(Keys, PrefixesHoldTheirOwnAndNoOther) {
  const Lane lane = lane_of(1, 2);
  EXPECT_TRUE(lane_key(lane).starts_with(lanes_prefix(BrokerId(1))));
  EXPECT_TRUE(object_key(lane, 5).starts_with(lanes_prefix(BrokerId(1))));
  EXPECT_TRUE(object_key(lane, 5).starts_with(objects_prefix(lane)));
  EXPECT_FALSE(done_key(lane, lane_of(3, 4)).starts_with(objects_prefix(lane)));
  EXPECT_FALSE(lane_key(lane_of(0x10, 1)).starts_with(lanes_prefix(BrokerId(1))));
  EXPECT_TRUE(topic_key("a").starts_with(topics_prefix()));
  EXPECT_TRUE(page_key(id_of(1), 0).starts_with(pages_prefix(id_of(1))));
  EXPECT_NE(broker_config_key(std::nullopt), broker_config_key(BrokerId(0)));
}

TEST(Keys, LaneKeysParseBack) {
  const Lane lane = lane_of(3, 0x1234567890abcdefull);
  auto plain = parse_lane_key(lane_key(lane));
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->lane, lane);
  EXPECT_EQ(plain->kind, LaneKey::Kind::lane);
  auto object = parse_lane_key(object_key(lane, 0xfeedu));
  ASSERT_TRUE(object);
  EXPECT_EQ(object->lane, lane);
  EXPECT_EQ(object->kind, LaneKey::Kind::object);
  EXPECT_EQ(object->number, 0xfeedu);
  auto done = parse_lane_key(done_key(lane, lane_of(9, 8)));
  ASSERT_TRUE(done);
  EXPECT_EQ(done->lane, lane);
  EXPECT_EQ(done->kind, LaneKey::Kind::done);
  EXPECT_EQ(done->successor, lane_of(9, 8));
}

TEST(Keys, WhatIsNotALaneKeyParsesToNothing) {
  const std::string lane = lane_key(lane_of(3, 7));
  const std::string object = object_key(lane_of(3, 7), 1);
  for (const std::string& key :
       {std::string(), std::string("lanes/"), lane + "/", lane + "x", lane + "/objects/",
        object + "0", object.substr(0, object.size() - 1), lane + "/done/3.7", "topics/" + lane,
        std::string("lanes/0000000G.0000000000000007"),
        std::string("lanes/00000003.000000000000000A")})
    EXPECT_FALSE(parse_lane_key(key)) << key;
}

}  // namespace
}  // namespace paceline::meta
