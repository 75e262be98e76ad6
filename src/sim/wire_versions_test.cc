#include <gmock/gmock.h>

#include "protocol/gen/alter_configs.h"
#include "protocol/gen/alter_partition_reassignments.h"
#include "protocol/gen/alter_replica_log_dirs.h"
#include "protocol/gen/api_versions.h"
#include "protocol/gen/create_partitions.h"
#include "protocol/gen/delete_groups.h"
#include "protocol/gen/delete_records.h"
#include "protocol/gen/delete_topics.h"
#include "protocol/gen/describe_cluster.h"
#include "protocol/gen/describe_configs.h"
#include "protocol/gen/describe_groups.h"
#include "protocol/gen/describe_log_dirs.h"
#include "protocol/gen/describe_producers.h"
#include "protocol/gen/describe_topic_partitions.h"
#include "protocol/gen/elect_leaders.h"
#include "protocol/gen/find_coordinator.h"
#include "protocol/gen/heartbeat.h"
#include "protocol/gen/incremental_alter_configs.h"
#include "protocol/gen/init_producer_id.h"
#include "protocol/gen/join_group.h"
#include "protocol/gen/leave_group.h"
#include "protocol/gen/list_groups.h"
#include "protocol/gen/list_partition_reassignments.h"
#include "protocol/gen/metadata.h"
#include "protocol/gen/offset_commit.h"
#include "protocol/gen/offset_delete.h"
#include "protocol/gen/offset_fetch.h"
#include "protocol/gen/offset_for_leader_epoch.h"
#include "protocol/gen/sync_group.h"
#include "sim/wire_world_test.h"

// What the broker says it speaks, and that it does.

namespace paceline::sim {
namespace {

using protocol::ApiVersionsRequest;
using protocol::ApiVersionsResponse;

class WireVersions : public WireTest {
 protected:
  ApiVersionsRequest hello() {
    ApiVersionsRequest request;
    request.client_software_name = "wire-test";
    request.client_software_version = "1.0";
    return request;
  }
  // A request header with nothing after it, under a length.
  std::string bare_header(int16_t key, int16_t version, std::string_view body) {
    protocol::Output out;
    protocol::start_frame(out);
    out.put(key);
    out.put(version);
    out.put(int32_t{77});
    out.put(int16_t{-1});  // no client id
    out.append(as_bytes(body));
    return protocol::join(protocol::finish_frame(out));
  }
  template <class Request, class Response>
  void ask_all_versions(std::vector<int16_t>& answered) {
    const protocol::Api* api = protocol::find_api(Request::kApiKey);
    ASSERT_TRUE(api && api->served) << Request::kName;
    for (int16_t version = api->version_min; version <= api->version_max; ++version) {
      Request request;
      if constexpr (std::is_same_v<Request, ApiVersionsRequest>) request = hello();
      if constexpr (std::is_same_v<Request, protocol::ProduceRequest>) request.acks = -1;
      auto answer = try_ask<Response>(version, request);
      EXPECT_TRUE(answer) << Request::kName << " v" << version << ": " << answer.error().message;
    }
    answered.push_back(Request::kApiKey);
  }
};
PACELINE_ON_ONE_AND_TWO_SHARDS(WireVersions);

// Trap 1.
TEST_P(WireVersions, AVersionAboveTheMaximumIsAnsweredInVersion0AndTheConnectionLives) {
  auto answer = exchange(bare_header(18, 99, std::string("\x00nonsense", 9)));
  ASSERT_TRUE(answer) << answer.error().message;
  const std::string wanted(
      "\x00\x00\x00\x4d"  // the correlation id, and no tags
      "\x00\x23"          // UNSUPPORTED_VERSION
      "\x00\x00\x00\x01"
      "\x00\x12\x00\x00\x00\x04",
      16);
  EXPECT_EQ(*answer, wanted);
  WireClient* same = client_.get();
  EXPECT_EQ(name(ask<ApiVersionsResponse>(3, hello()).error_code), "NONE");
  EXPECT_EQ(client_.get(), same);
}

// Trap 1.
TEST_P(WireVersions, OnlyApiVersionsMayBeAskedInAnUnknownVersion) {
  for (const protocol::Api& api : protocol::kApis) {
    if (api.key == protocol::ApiKey::api_versions) continue;
    const auto key = static_cast<int16_t>(api.key);
    const auto above = static_cast<int16_t>(api.version_max + 1);
    EXPECT_FALSE(exchange(bare_header(key, above, std::string(8, '\0')))) << api.name;
    EXPECT_FALSE(exchange(bare_header(key, -1, ""))) << api.name;
  }
}

// Produce is advertised from 0, because old clients look for that; its old versions are not served.
TEST_P(WireVersions, AdvertisedButUnservedVersionsOfProduceEndTheConnection) {
  for (int16_t version = 0; version < 3; ++version)
    EXPECT_FALSE(exchange(bare_header(0, version, std::string(10, '\0'))));
}

// Trap 1.
TEST_P(WireVersions, ClientSoftwareMustHaveALegalNameFromVersion3On) {
  for (std::string_view bad : {"", "-a", "a-", "a b", ".x", "x\n", "\xc3\xa4"}) {
    ApiVersionsRequest request = hello();
    request.client_software_name = bad;
    EXPECT_EQ(name(ask<ApiVersionsResponse>(3, request).error_code), "INVALID_REQUEST") << bad;
    request = hello();
    request.client_software_version = bad;
    EXPECT_EQ(name(ask<ApiVersionsResponse>(4, request).error_code), "INVALID_REQUEST") << bad;
  }
  for (std::string_view good : {"a", "librdkafka", "apache-kafka-java", "4.0.0", "v1.2-rc.3"}) {
    ApiVersionsRequest request = hello();
    request.client_software_name = good;
    request.client_software_version = good;
    EXPECT_EQ(name(ask<ApiVersionsResponse>(3, request).error_code), "NONE") << good;
  }
  EXPECT_EQ(name(ask<ApiVersionsResponse>(2, ApiVersionsRequest{}).error_code), "NONE");
}

// Trap 2.
TEST_P(WireVersions, TheAnswersHeaderHasNoTagsInFlexibleVersions) {
  for (int16_t version = 0; version <= 4; ++version) {
    const std::string bytes = protocol::join(*protocol::request_frame(version, 5, "tags", hello()));
    auto answer = exchange(bytes);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->substr(0, 4), std::string("\0\0\0\5", 4)) << version;
    EXPECT_EQ(answer->substr(4, 2), std::string("\0\0", 2)) << version;
    size_t served = 0;
    for (const protocol::Api& api : protocol::kApis) served += api.served;
    // At once the count: four bytes, or the compact count plus one.
    if (version < 3) {
      EXPECT_EQ(load_be<int32_t>(as_bytes(*answer).data() + 6), static_cast<int32_t>(served));
    } else {
      EXPECT_EQ(static_cast<size_t>(answer->at(6)), served + 1);
    }
  }
}

// Trap 2, and section 1.2: a feature that is not there must not be found.
TEST_P(WireVersions, NoFeatureIsAdvertisedOrFinalized) {
  for (int16_t version : {3, 4}) {
    auto answer = ask<ApiVersionsResponse>(version, hello());
    EXPECT_TRUE(answer.supported_features.empty());
    EXPECT_TRUE(answer.finalized_features.empty());
    EXPECT_EQ(answer.finalized_features_epoch, -1);
    EXPECT_FALSE(answer.zk_migration_ready);
  }
}

// Section 1.2: clients look for these exact old versions, and use what they find above.
TEST_P(WireVersions, TheRangesAreThoseThatClientsLookFor) {
  std::map<int16_t, std::pair<int16_t, int16_t>> ranges;
  for (const auto& api : ask<ApiVersionsResponse>(0, ApiVersionsRequest{}).api_keys)
    ranges[api.api_key] = {api.min_version, api.max_version};
  const std::map<int16_t, std::pair<int16_t, int16_t>> wanted = {
      {0, {0, 12}}, {1, {4, 17}}, {2, {1, 10}}, {3, {0, 13}}, {8, {1, 9}},  {9, {1, 9}},
      {10, {0, 5}}, {11, {0, 9}}, {12, {0, 4}}, {13, {0, 5}}, {14, {0, 5}}, {15, {0, 6}},
      {16, {0, 5}}, {18, {0, 4}}, {19, {2, 7}}, {20, {1, 6}}, {21, {0, 2}}, {22, {0, 5}},
      {23, {2, 4}}, {32, {1, 4}}, {33, {0, 2}}, {34, {1, 2}}, {35, {1, 4}}, {37, {0, 3}},
      {42, {0, 2}}, {43, {0, 2}}, {44, {0, 1}}, {45, {0, 1}}, {46, {0, 0}}, {47, {0, 0}},
      {60, {0, 2}}, {61, {0, 0}}, {75, {0, 0}}};
  EXPECT_EQ(ranges, wanted);
}

// Traps 15, 19-25, 34, 40, 47: transactions, SASL, ACLs, quotas, KIP-848, telemetry and share
// groups are not there, so nobody may find them.
TEST_P(WireVersions, WhatIsNotServedIsNeitherAdvertisedNorAnswered) {
  std::vector<int16_t> advertised;
  for (const auto& api : ask<ApiVersionsResponse>(4, hello()).api_keys)
    advertised.push_back(api.api_key);
  for (int16_t key : {4,  17, 24, 25, 26, 27, 28, 29, 30, 31, 36, 38, 48, 49,  50, 51,
                      55, 57, 65, 66, 68, 69, 71, 72, 74, 76, 77, 78, 79, 502, -1}) {
    EXPECT_THAT(advertised, testing::Not(testing::Contains(key)));
    EXPECT_FALSE(exchange(bare_header(key, 0, std::string(8, '\0')))) << key;
  }
  // Ours alone are answered to those who know them.
  for (int16_t key : {500, 501}) EXPECT_THAT(advertised, testing::Not(testing::Contains(key)));
}

TEST_P(WireVersions, EveryVersionOfEveryApiIsAnsweredInItsOwnForm) {
  std::vector<int16_t> answered;
#define PACELINE_ASK(Name) \
  ask_all_versions<protocol::Name##Request, protocol::Name##Response>(answered)
  PACELINE_ASK(Produce);
  PACELINE_ASK(Fetch);
  PACELINE_ASK(ListOffsets);
  PACELINE_ASK(Metadata);
  PACELINE_ASK(OffsetCommit);
  PACELINE_ASK(OffsetFetch);
  PACELINE_ASK(FindCoordinator);
  PACELINE_ASK(JoinGroup);
  PACELINE_ASK(Heartbeat);
  PACELINE_ASK(LeaveGroup);
  PACELINE_ASK(SyncGroup);
  PACELINE_ASK(DescribeGroups);
  PACELINE_ASK(ListGroups);
  PACELINE_ASK(ApiVersions);
  PACELINE_ASK(CreateTopics);
  PACELINE_ASK(DeleteTopics);
  PACELINE_ASK(DeleteRecords);
  PACELINE_ASK(InitProducerId);
  PACELINE_ASK(OffsetForLeaderEpoch);
  PACELINE_ASK(DescribeConfigs);
  PACELINE_ASK(AlterConfigs);
  PACELINE_ASK(DescribeLogDirs);
  PACELINE_ASK(AlterReplicaLogDirs);
  PACELINE_ASK(CreatePartitions);
  PACELINE_ASK(DeleteGroups);
  PACELINE_ASK(IncrementalAlterConfigs);
  PACELINE_ASK(OffsetDelete);
  PACELINE_ASK(DescribeCluster);
  PACELINE_ASK(DescribeProducers);
  PACELINE_ASK(DescribeTopicPartitions);
  PACELINE_ASK(ElectLeaders);
  PACELINE_ASK(AlterPartitionReassignments);
  PACELINE_ASK(ListPartitionReassignments);
#undef PACELINE_ASK
  std::vector<int16_t> served;
  for (const protocol::Api& api : protocol::kApis)
    if (api.served) served.push_back(static_cast<int16_t>(api.key));
  EXPECT_THAT(answered, testing::UnorderedElementsAreArray(served));
}

// Trap 3.
TEST_P(WireVersions, TagsThatNobodyKnowsAreSkippedInHeaderAndBody) {
  protocol::Output out;
  protocol::start_frame(out);
  out.put(int16_t{3});  // Metadata
  out.put(int16_t{9});
  out.put(int32_t{31});
  out.put(int16_t{2});  // not compact, in a flexible header too
  out.append(as_bytes("me"));
  out.append(as_bytes(std::string_view("\x02\x05\x03xyz\x63\x00", 8)));  // two tags
  // No topics (the compact count is one), three booleans, a tag.
  out.append(as_bytes(std::string_view("\x01\x01\x00\x00\x01\x07\x02hi", 9)));
  auto answer = exchange(protocol::join(protocol::finish_frame(out)));
  ASSERT_TRUE(answer) << answer.error().message;
  protocol::Cursor cursor(Slice::copy_of(as_bytes(*answer)));
  auto id = protocol::decode_response_header(3, 9, cursor);
  ASSERT_TRUE(id);
  EXPECT_EQ(*id, 31);
  auto metadata = protocol::MetadataResponse::decode(9, cursor);
  ASSERT_TRUE(metadata) << metadata.error().message;
  EXPECT_EQ(metadata->brokers.size(), 1u);
  EXPECT_TRUE(metadata->topics.empty());
}

// Trap 3.
TEST_P(WireVersions, AClientWithoutANameIsServed) {
  for (int16_t version : {0, 8, 9, 12}) {
    auto frame = protocol::request_frame(version, 9, std::nullopt, protocol::MetadataRequest{});
    EXPECT_TRUE(exchange(protocol::join(*frame))) << version;
  }
}

// A client may ask again at any time.
TEST_P(WireVersions, ApiVersionsMayBeAskedAnyNumberOfTimes) {
  for (int i = 0; i < 5; ++i)
    EXPECT_FALSE(ask<ApiVersionsResponse>(static_cast<int16_t>(i), hello()).api_keys.empty());
}

}  // namespace
}  // namespace paceline::sim
