#include "protocol/gen/delete_records.h"
#include "sim/wire_cluster_test.h"

// Consumers that name their rack read history from a broker of it, and the rest from the leader.

namespace paceline::sim {
namespace {

class WireNearbyTest : public WireClusterTest {
 protected:
  WireNearbyTest()
      : WireClusterTest(3, 0, [](int number, broker::Settings& settings) {
          settings.rack = std::string(1, static_cast<char>('a' + number - 1));
          settings.forward_ms = 1'000;
        }) {
    create("t", 1);
    for (int there : {3, 1}) move("t", 0, there);  // so that there is an epoch before
    // Three uploads, and something that is in none.
    for (int upload = 0; upload < 3; ++upload) {
      produce_some(10);
      world_.run_for(30s);
    }
    produce_some(5);
  }
  void produce_some(int count) {
    for (int i = 0; i < count; ++i, ++next_) expect_produced(1, "t", 0, next_);
  }
  Fetched fetch_near(int asked, std::string_view rack, int64_t from, int32_t epoch = -1) {
    protocol::FetchRequest request = fetch_request("t", 0, from);
    request.rack_id = rack;
    request.max_wait_ms = 5'000;
    request.topics[0].partitions[0].current_leader_epoch = epoch;
    return only_partition(ask_at<protocol::FetchResponse>(asked, 11, request));
  }
  // As a client would: where it is told to read.
  std::vector<std::string> consume(std::string_view rack, std::map<int, int>& read_at) {
    std::vector<std::string> values;
    int at = 1;
    for (int round = 0; round < 100 && values.size() < static_cast<size_t>(next_); ++round) {
      const Fetched fetched = fetch_near(at, rack, static_cast<int64_t>(values.size()));
      if (fetched.preferred_read_replica >= 0) {
        at = fetched.preferred_read_replica;
      } else if (fetched.error_code != 0) {
        EXPECT_EQ(name(fetched.error_code), "OFFSET_OUT_OF_RANGE");
        EXPECT_NE(at, 1);
        at = 1;
      }
      for (const Got& got : records_of(fetched)) {
        EXPECT_EQ(got.offset, static_cast<int64_t>(values.size()));
        values.push_back(got.value.value_or("null"));
        ++read_at[at];
      }
    }
    return values;
  }
  int next_ = 0;
};
PACELINE_ON_ONE_AND_TWO_SHARDS(WireNearbyTest);

TEST_P(WireNearbyTest, HistoryIsReadNearbyAndTheRestAtTheLeader) {
  std::map<int, int> read_at;
  EXPECT_EQ(consume("b", read_at), numbers(next_));
  EXPECT_EQ(read_at, (std::map<int, int>{{1, 5}, {2, 30}}));
  read_at.clear();
  EXPECT_EQ(consume("a", read_at), numbers(next_));
  EXPECT_EQ(consume("nowhere", read_at), numbers(next_));
  EXPECT_EQ(consume("", read_at), numbers(next_));
  EXPECT_EQ(read_at, (std::map<int, int>{{1, 3 * next_}}));
}

TEST_P(WireNearbyTest, TheLeaderSendsAwayAtOnceAndOnlyWhoHasFarToGo) {
  const env::Instant began = shard().now();
  const Fetched far = fetch_near(1, "b", 0);
  EXPECT_LT(shard().now() - began, 1s);
  EXPECT_EQ(far.preferred_read_replica, 2);
  EXPECT_TRUE(bytes_of(far).empty());
  EXPECT_EQ(far.high_watermark, next_);
  EXPECT_EQ(fetch_near(1, "b", 19).preferred_read_replica, 2);
  const Fetched near = fetch_near(1, "b", 20);  // in the last upload
  EXPECT_EQ(near.preferred_read_replica, -1);
  EXPECT_FALSE(bytes_of(near).empty());
}

TEST_P(WireNearbyTest, NobodyElseIsServedByWhoDoesNotLead) {
  EXPECT_EQ(name(fetch_near(2, "", 0).error_code), "NOT_LEADER_OR_FOLLOWER");
  EXPECT_EQ(name(fetch_near(2, "c", 0).error_code), "NOT_LEADER_OR_FOLLOWER");
  const int32_t epoch = led("t", 0, 2).epoch.value;
  EXPECT_EQ(name(fetch_near(2, "b", 0, epoch - 1).error_code), "FENCED_LEADER_EPOCH");
  EXPECT_EQ(name(fetch_near(2, "b", 0, epoch + 1).error_code), "UNKNOWN_LEADER_EPOCH");
  EXPECT_EQ(name(fetch_near(2, "b", 0, epoch).error_code), "NONE");
  EXPECT_EQ(name(fetch_near(2, "b", 30, epoch).error_code), "OFFSET_OUT_OF_RANGE");
  EXPECT_EQ(name(fetch_near(2, "b", 1'000, epoch).error_code), "OFFSET_OUT_OF_RANGE");
}

TEST_P(WireNearbyTest, WhatIsDeletedIsNotReadNearby) {
  EXPECT_EQ(name(fetch_near(2, "b", 0).error_code), "NONE");
  protocol::DeleteRecordsRequest request;
  request.timeout_ms = 5'000;
  auto& topic = request.topics.emplace_back();
  topic.name = "t";
  topic.partitions.push_back({0, 12});
  auto deleted = ask_at<protocol::DeleteRecordsResponse>(1, 2, request);
  EXPECT_EQ(name(deleted.topics.at(0).partitions.at(0).error_code), "NONE");
  world_.run_for(3s);  // as long as a reader may know what was before
  EXPECT_EQ(name(fetch_near(2, "b", 0).error_code), "OFFSET_OUT_OF_RANGE");
  const Fetched left = fetch_near(2, "b", 12);
  EXPECT_EQ(left.log_start_offset, 12);
  EXPECT_EQ(records_of(left).front().value, "12");
}

TEST_P(WireNearbyTest, AReaderGoesOnThroughTheDeathOfTheLeader) {
  EXPECT_EQ(records_of(fetch_near(2, "b", 0)).size(), 30u);
  host(1).kill();
  CHECK(world_.run_until([&] { return leader("t", 0, 2) != 1; }, kPatience));
  world_.run_for(1s);
  const int now = leader("t", 0, 2);
  const int other = now == 2 ? 3 : 2;
  const std::string rack(1, static_cast<char>('a' + other - 1));
  const Fetched fetched = fetch_near(other, rack, 0);
  EXPECT_EQ(name(fetched.error_code), "NONE");
  const auto got = records_of(fetched);
  ASSERT_GE(got.size(), 30u);
  for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i].offset, static_cast<int64_t>(i));
}

TEST_P(WireNearbyTest, AStoreThatFailsSendsThemBack) {
  cut_all_from_store(true);
  EXPECT_EQ(name(fetch_near(2, "b", 0).error_code), "OFFSET_OUT_OF_RANGE");
  cut_all_from_store(false);
  EXPECT_EQ(name(fetch_near(2, "b", 0).error_code), "NONE");
}

}  // namespace
}  // namespace paceline::sim
