#include <gmock/gmock.h>

#include "protocol/gen/find_coordinator.h"
#include "sim/wire_world_test.h"

// What the broker accepts of producers, what it refuses, and what it makes of a batch.

namespace paceline::sim {
namespace {

using protocol::ProduceResponse;
using record::Codec;
using testing::ElementsAre;
using testing::IsEmpty;

class WireProduce : public WireTest {
 protected:
  std::string error_of(std::string_view topic, const std::string& records, int16_t version = 9) {
    return name(produce(topic, 0, records, version).error_code);
  }
  // Nothing of what was refused may be there.
  void expect_empty(std::string_view topic) {
    EXPECT_EQ(list_offset(topic, 0, -1).offset, 0);
    EXPECT_THAT(values_from(topic, 0), IsEmpty());
  }
  record::BatchView first_batch(const std::string& bytes) {
    auto view = record::BatchView::parse(as_bytes(bytes));
    CHECK(view);
    return *view;
  }
};
PACELINE_ON_ONE_AND_TWO_SHARDS(WireProduce);

TEST_P(WireProduce, OffsetsFollowEachOtherInEveryVersion) {
  create_topic("t");
  int64_t end = 0;
  for (int16_t version = 3; version <= 12; ++version) {
    const Produced done = produce("t", 0, batch({"a", "b"}), version);
    EXPECT_EQ(name(done.error_code), "NONE") << version;
    EXPECT_EQ(done.base_offset, end) << version;
    EXPECT_EQ(done.log_start_offset, version >= 5 ? 0 : -1);
    end += 2;
  }
  EXPECT_EQ(values_from("t", 0).size(), 20u);
}

// Trap 8.
TEST_P(WireProduce, APartitionNeedsExactlyOneBatch) {
  create_topic("t");
  const std::string one = *batch({"x"}).build();
  for (int16_t version : {3, 8, 9, 12}) {
    for (auto records : {std::optional<std::string_view>(), std::optional<std::string_view>("")}) {
      auto answer = ask<ProduceResponse>(version, produce_request("t", 0, records));
      EXPECT_EQ(name(answer.responses.at(0).partition_responses.at(0).error_code),
                "INVALID_RECORD");
    }
    EXPECT_EQ(error_of("t", one + one, version), "INVALID_RECORD");
  }
  EXPECT_EQ(error_of("t", one.substr(0, one.size() - 1)), "INVALID_RECORD");
  expect_empty("t");
}

// Trap 8: the formats before 0.11 have another magic at the same place.
TEST_P(WireProduce, OlderMessageFormatsAreRefused) {
  create_topic("t");
  for (int8_t magic : {0, 1})
    EXPECT_EQ(error_of("t", patched(*batch({"x"}).build(), record::kMagicAt, magic)),
              "INVALID_RECORD");
  EXPECT_NE(error_of("t", patched(*batch({"x"}).build(), record::kMagicAt, int8_t{3})), "NONE");
  expect_empty("t");
}

// Trap 8.
TEST_P(WireProduce, ZstdNeedsVersion7) {
  create_topic("t");
  const std::string zstd = *batch({"x"}).codec(Codec::zstd).build();
  for (int16_t version : {3, 6})
    EXPECT_EQ(error_of("t", zstd, version), "UNSUPPORTED_COMPRESSION_TYPE");
  expect_empty("t");
  for (int16_t version : {7, 12}) EXPECT_EQ(error_of("t", zstd, version), "NONE");
}

TEST_P(WireProduce, EveryCodecComesBackAsItWasSent) {
  create_topic("t");
  std::vector<std::string> sent;
  for (Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
    const std::string value(2000, static_cast<char>('a' + static_cast<int>(codec)));
    sent.push_back(value);
    const auto builder = batch({value}).codec(codec);
    const Produced done = produce("t", 0, builder);
    EXPECT_EQ(name(done.error_code), "NONE");
    const std::string stored = bytes_of(fetch("t", 0, done.base_offset));
    EXPECT_EQ(first_batch(stored).codec(), codec);
    // Whole as it was, outside of the place that the broker gave it.
    EXPECT_EQ(stored.substr(record::kMagicAt), builder.build()->substr(record::kMagicAt));
  }
  EXPECT_EQ(values_from("t", 0), sent);
}

// Trap 9.
TEST_P(WireProduce, ABatchWhoseHeaderDisagreesWithItselfIsRefused) {
  create_topic("t");
  const std::string good = *batch({"x", "y"}).build();
  std::string moved = good;
  store_be(reinterpret_cast<std::byte*>(moved.data()) + record::kBaseOffsetAt, int64_t{7});
  EXPECT_EQ(error_of("t", moved), "INVALID_RECORD");
  for (int32_t count : {0, 1, 3, -1, INT32_MAX})
    EXPECT_EQ(error_of("t", patched(good, record::kRecordCountAt, count)), "INVALID_RECORD");
  for (int32_t delta : {0, 2, -1, INT32_MAX})
    EXPECT_EQ(error_of("t", patched(good, record::kLastOffsetDeltaAt, delta)), "INVALID_RECORD");
  EXPECT_EQ(error_of("t", patched(good, record::kAttributesAt, record::kControlBit)),
            "INVALID_RECORD");
  EXPECT_EQ(error_of("t", patched(good, record::kProducerIdAt, int64_t{5})), "INVALID_RECORD");
  EXPECT_EQ(error_of("t", patched(good, record::kAttributesAt, int16_t{6})),
            "UNSUPPORTED_COMPRESSION_TYPE");
  expect_empty("t");
}

// Trap 9.
TEST_P(WireProduce, AFlippedBitIsACorruptMessage) {
  create_topic("t");
  const std::string good = *batch({"xyz"}).build();
  for (size_t at : {size_t{22}, size_t{30}, good.size() - 1}) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 4);
    EXPECT_EQ(error_of("t", bad), "CORRUPT_MESSAGE") << at;
  }
  expect_empty("t");
}

// Trap 9: what counts is the batch as it is compressed.
TEST_P(WireProduce, TheSizeLimitIsOfTheCompressedBatch) {
  create_topic("t", 1, {{"max.message.bytes", "1000"}});
  const std::string value(5000, 'x');
  EXPECT_EQ(error_of("t", *batch({value}).build()), "MESSAGE_TOO_LARGE");
  expect_empty("t");
  EXPECT_EQ(error_of("t", *batch({value}).codec(Codec::zstd).build()), "NONE");
  create_topic("default");
  EXPECT_EQ(error_of("default", *batch({std::string(1'000'000, 'x')}).build()), "NONE");
  EXPECT_EQ(error_of("default", *batch({std::string(1'100'000, 'x')}).build()),
            "MESSAGE_TOO_LARGE");
}

// Trap 10.
TEST_P(WireProduce, AClientsLeaderEpochIsNotJudgedButReplaced) {
  create_topic("t");
  restart(End::stop);  // the epoch is not 0 any more
  const int32_t epoch = list_offset("t", 0, -1).leader_epoch;
  EXPECT_GT(epoch, 0);
  int64_t at = 0;
  for (int32_t sent : {-1, 0, epoch, epoch + 100}) {
    const auto builder = batch({"x"}).place(Offset(0), Epoch(sent));
    EXPECT_EQ(name(produce("t", 0, builder).error_code), "NONE") << sent;
    const std::string stored = bytes_of(fetch("t", 0, at));
    EXPECT_EQ(first_batch(stored).partition_leader_epoch(), Epoch(epoch));
    EXPECT_EQ(first_batch(stored).base_offset(), Offset(at));
    EXPECT_TRUE(first_batch(stored).crc_ok());
    ++at;
  }
}

// Trap 11.
TEST_P(WireProduce, CreateTimeKeepsTheClientsTimestampsInsideTheirBounds) {
  create_topic(
      "t", 1,
      {{"message.timestamp.before.max.ms", "60000"}, {"message.timestamp.after.max.ms", "30000"}});
  const int64_t now = now_ms();
  auto at = [](int64_t ms) { return *record::BatchBuilder().timestamp(ms).add("k", "v").build(); };
  EXPECT_EQ(error_of("t", at(now - 90'000)), "INVALID_TIMESTAMP");
  EXPECT_EQ(error_of("t", at(now + 50'000)), "INVALID_TIMESTAMP");
  expect_empty("t");
  for (int64_t good : {now - 30'000, now + 15'000}) {
    const Produced done = produce("t", 0, at(good));
    EXPECT_EQ(name(done.error_code), "NONE");
    EXPECT_EQ(done.log_append_time_ms, -1);
    EXPECT_EQ(records_of(fetch("t", 0, done.base_offset)).at(0).timestamp, good);
  }
}

// Trap 11.
TEST_P(WireProduce, LogAppendTimeIsTheBrokersAndIsTold) {
  create_topic("t", 1, {{"message.timestamp.type", "LogAppendTime"}});
  world_.run_for(10s);
  const Produced done =
      produce("t", 0, record::BatchBuilder().timestamp(1'000).add("k", "v").add("k", "w"));
  EXPECT_EQ(name(done.error_code), "NONE");
  EXPECT_NEAR(static_cast<double>(done.log_append_time_ms), static_cast<double>(now_ms()), 1'000);
  const Fetched fetched = fetch("t", 0, 0);
  const std::string stored = bytes_of(fetched);
  EXPECT_EQ(first_batch(stored).timestamp_type(), record::TimestampType::log_append_time);
  EXPECT_EQ(first_batch(stored).max_timestamp(), done.log_append_time_ms);
  EXPECT_TRUE(first_batch(stored).crc_ok());
  for (const Got& got : records_of(fetched)) EXPECT_EQ(got.timestamp, done.log_append_time_ms);
}

// Trap 12.
TEST_P(WireProduce, ACompactedTopicNamesTheRecordsWithoutAKey) {
  create_topic("t", 1, {{"cleanup.policy", "compact"}});
  record::BatchBuilder builder;
  builder.timestamp(now_ms()).add("k", "a").add(std::nullopt, "b").add("k", "c");
  builder.add(std::nullopt, "d");
  for (int16_t version : {8, 9, 12}) {
    const Produced refused = produce("t", 0, builder, version);
    EXPECT_EQ(name(refused.error_code), "INVALID_RECORD");
    ASSERT_EQ(refused.record_errors.size(), 2u);
    EXPECT_EQ(refused.record_errors[0].batch_index, 1);
    EXPECT_EQ(refused.record_errors[1].batch_index, 3);
    EXPECT_TRUE(refused.record_errors[0].batch_index_error_message);
    EXPECT_TRUE(refused.error_message);
  }
  EXPECT_THAT(produce("t", 0, builder, 7).record_errors, IsEmpty());
  expect_empty("t");
  EXPECT_EQ(name(produce("t", 0, batch({"with a key"})).error_code), "NONE");
}

// Trap 13.
TEST_P(WireProduce, WithoutAcknowledgementsThereIsNoAnswerAndTheRecordsAreThere) {
  create_topic("t");
  WireClient& quiet = client();
  for (int i = 0; i < 3; ++i) {
    const std::string records = *batch({"v" + std::to_string(i)}).build();
    auto frame = protocol::request_frame(9, 1, "sim", produce_request("t", 0, records, 0));
    CHECK(run(quiet.send_only(std::move(*frame))));
  }
  // An answer that nobody asked for would break the connection.
  EXPECT_EQ(list_offset("t", 0, -1).offset, 3);
  EXPECT_FALSE(quiet.broken());
  EXPECT_THAT(values_from("t", 0), ElementsAre("v0", "v1", "v2"));
}

// Trap 13: it is the only way to tell.
TEST_P(WireProduce, AnErrorWithoutAcknowledgementsEndsTheConnection) {
  create_topic("t");
  const std::string good = *batch({"x"}).build();
  for (const auto& [topic, records] :
       std::map<std::string, std::string>{{"no-such", good}, {"t", good + good}})
    EXPECT_TRUE(ends_connection<ProduceResponse>(9, produce_request(topic, 0, records, 0)))
        << topic;
  expect_empty("t");
}

// Trap 13.
TEST_P(WireProduce, OnlyThreeNumbersOfAcknowledgementsExist) {
  create_topic("t");
  const std::string records = *batch({"x"}).build();
  for (int16_t acks : {2, -2, 3, INT16_MAX}) {
    auto answer = ask<ProduceResponse>(9, produce_request("t", 0, records, acks));
    EXPECT_EQ(name(answer.responses.at(0).partition_responses.at(0).error_code),
              "INVALID_REQUIRED_ACKS");
  }
  expect_empty("t");
  auto answer = ask<ProduceResponse>(9, produce_request("t", 0, records, 1));
  EXPECT_EQ(name(answer.responses.at(0).partition_responses.at(0).error_code), "NONE");
}

// Trap 13, and the promise of the house: acknowledged is durable.
TEST_P(WireProduce, WhatWasAcknowledgedSurvivesALossOfPower) {
  create_topic("t", 3);
  int64_t sent = 0;
  for (int round = 0; round < 3; ++round) {
    for (int32_t partition = 0; partition < 3; ++partition)
      EXPECT_EQ(produce("t", partition, batch({"v" + std::to_string(round)})).base_offset, sent);
    ++sent;
    restart(End::crash);
  }
  for (int32_t partition = 0; partition < 3; ++partition)
    EXPECT_THAT(values_from("t", partition), ElementsAre("v0", "v1", "v2"));
}

TEST_P(WireProduce, OnePartitionsErrorIsNotAnothersAndAnswersKeepTheirOrder) {
  create_topic("a", 3);
  create_topic("b");
  const std::string good = *batch({"x"}).build();
  std::string bad = good;
  bad.back() = static_cast<char>(bad.back() ^ 1);
  protocol::ProduceRequest request = produce_request("b", 0, good);
  auto& second = request.topic_data.emplace_back();
  second.name = "a";
  for (const auto& [index, records] :
       std::vector<std::pair<int32_t, std::string_view>>{{2, good}, {9, good}, {0, bad}, {1, good}})
    second.partition_data.push_back({index, as_bytes(records)});
  auto answer = ask<ProduceResponse>(9, request);
  std::vector<std::string> told;
  for (const auto& topic : answer.responses)
    for (const auto& one : topic.partition_responses)
      told.push_back(topic.name + std::to_string(one.index) + " " + name(one.error_code));
  EXPECT_THAT(told, ElementsAre("b0 NONE", "a2 NONE", "a9 UNKNOWN_TOPIC_OR_PARTITION",
                                "a0 CORRUPT_MESSAGE", "a1 NONE"));
  EXPECT_THAT(values_from("a", 0), IsEmpty());
  EXPECT_THAT(values_from("a", 1), ElementsAre("x"));
}

TEST_P(WireProduce, AnUnknownPartitionIsToldAndNothingIsCreated) {
  EXPECT_EQ(error_of("none", *batch({"x"}).build()), "UNKNOWN_TOPIC_OR_PARTITION");
  create_topic("t");
  for (int32_t index : {1, -1, INT32_MAX, INT32_MIN})
    EXPECT_EQ(name(produce("t", index, batch({"x"})).error_code), "UNKNOWN_TOPIC_OR_PARTITION");
  world_.run_for(1s);
  EXPECT_EQ(error_of("none", *batch({"x"}).build()), "UNKNOWN_TOPIC_OR_PARTITION");
}

// Trap 41.
TEST_P(WireProduce, OnlyTheAdminClientOfKafkaWritesToInternalTopics) {
  protocol::FindCoordinatorRequest find;
  find.key = "g";
  (void)ask<protocol::FindCoordinatorResponse>(2, find);
  const std::string records = *batch({"no record of a coordinator"}).build();
  EXPECT_EQ(error_of("__consumer_offsets", records), "INVALID_TOPIC_EXCEPTION");
  auto frame = protocol::request_frame(9, 1, "__admin_client",
                                       produce_request("__consumer_offsets", 0, records));
  auto answer = exchange(protocol::join(*frame));
  ASSERT_TRUE(answer);
  protocol::Cursor cursor(Slice::copy_of(as_bytes(*answer)));
  ASSERT_TRUE(protocol::decode_response_header(0, 9, cursor));
  auto told = ProduceResponse::decode(9, cursor);
  ASSERT_TRUE(told);
  EXPECT_EQ(name(told->responses.at(0).partition_responses.at(0).error_code), "NONE");
  // Whatever it wrote, the coordinators start.
  for (End how : {End::crash, End::stop}) {
    restart(how);
    EXPECT_EQ(name(ask<protocol::FindCoordinatorResponse>(2, find).error_code), "NONE");
    EXPECT_EQ(list_offset("__consumer_offsets", 0, -1).offset, 1);
  }
}

// Traps 19 and 47: there are no transactions, and no partition may slip through.
TEST_P(WireProduce, ATransactionIsRefusedAsAWhole) {
  create_topic("t", 2);
  const std::string records = *batch({"x"}).build();
  protocol::ProduceRequest request = produce_request("t", 0, records);
  request.topic_data[0].partition_data.push_back({1, as_bytes(records)});
  request.transactional_id = "txn";
  for (int16_t version : {3, 9, 12}) {
    auto answer = ask<ProduceResponse>(version, request);
    for (const auto& one : answer.responses.at(0).partition_responses)
      EXPECT_EQ(name(one.error_code), "TRANSACTIONAL_ID_AUTHORIZATION_FAILED");
  }
  const std::string transactional =
      *batch({"x"}).producer(record::ProducerId(1), 0, 0).transactional().build();
  EXPECT_EQ(error_of("t", transactional), "INVALID_TXN_STATE");
  expect_empty("t");
}

TEST_P(WireProduce, RecordsKeepKeysNullsAndHeaders) {
  create_topic("t");
  record::BatchBuilder builder;
  builder.timestamp(now_ms());
  builder.add(std::nullopt, "no key").add("", "empty key").add("tombstone", std::nullopt);
  builder.add("k", "v", {{"h", "1"}, {"h", std::nullopt}});
  EXPECT_EQ(name(produce("t", 0, builder).error_code), "NONE");
  const auto got = records_of(fetch("t", 0, 0));
  ASSERT_EQ(got.size(), 4u);
  EXPECT_EQ(got[0].key, std::nullopt);
  EXPECT_EQ(got[1].key, "");
  EXPECT_EQ(got[2].value, std::nullopt);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(got[i].offset, static_cast<int64_t>(i));
}

}  // namespace
}  // namespace paceline::sim
