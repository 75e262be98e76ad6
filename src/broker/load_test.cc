#include "broker/load.h"

#include <gtest/gtest.h>

#include <map>

namespace paceline::broker {
namespace {

using namespace std::chrono_literals;

class LoadTest : public testing::Test {
 protected:
  void serve(uint32_t index, uint64_t bytes) {
    shard_.add(stream(index), partitions_[index], bytes);
  }
  std::map<uint32_t, uint64_t> look_after(env::Duration passed) {
    now_ = now_ + passed;
    std::map<uint32_t, uint64_t> rates;
    for (const StreamLoad& one : shard_.look(now_, [this](const StreamId& id) {
           const auto found = partitions_.find(id.index);
           return found == partitions_.end() ? nullptr : &found->second;
         }))
      rates[one.stream.index] = one.rate;
    return rates;
  }
  static StreamId stream(uint32_t index) { return {Uuid{}, index}; }

  std::map<uint32_t, PartitionLoad> partitions_;
  env::Instant now_{1h};
  ShardLoad shard_{now_};
};

TEST_F(LoadTest, TheFirstLookTellsWhatWasServedSinceTheBeginning) {
  serve(1, 10'000);
  serve(1, 10'000);
  serve(2, 100);
  EXPECT_EQ(look_after(10s), (std::map<uint32_t, uint64_t>{{1, 2'000}, {2, 10}}));
}

TEST_F(LoadTest, AChangeIsFollowedSlowlyHoweverOftenAnybodyLooks) {
  serve(1, 1'000);
  serve(2, 1'000);
  (void)look_after(1s);
  for (int second = 0; second < 10; ++second) {
    serve(1, 3'000);
    (void)look_after(1s);
  }
  const uint64_t often = look_after(1ms).at(1);
  EXPECT_GT(often, 2'100u);
  EXPECT_LT(often, 2'400u);
  PartitionLoad once;
  ShardLoad other{now_};
  auto find = [&once](const StreamId&) { return &once; };
  other.add(stream(1), once, 1'000);
  (void)other.look(now_ + 1s, find);
  other.add(stream(1), once, 30'000);
  EXPECT_NEAR(static_cast<double>(other.look(now_ + 11s, find).at(0).rate),
              static_cast<double>(often), 20);
}

TEST_F(LoadTest, WhoIsIdleIsForgottenAndComesBack) {
  serve(1, 1'000);
  (void)look_after(1s);
  for (int i = 0; i < 30; ++i) (void)look_after(10s);
  EXPECT_TRUE(look_after(1s).empty());
  EXPECT_FALSE(partitions_[1].busy);
  serve(1, 1'000);
  EXPECT_EQ(look_after(1s).size(), 1u);
}

TEST_F(LoadTest, APartitionThatHasLeftIsNotLookedAt) {
  serve(1, 1'000);
  partitions_.erase(1);
  EXPECT_TRUE(look_after(1s).empty());
}

TEST_F(LoadTest, LooksInQuickSuccessionTellTheSame) {
  serve(1, 1'000);
  const auto first = look_after(1s);
  serve(1, 1'000'000);
  EXPECT_EQ(look_after(1ms), first);
  EXPECT_NE(look_after(1s), first);
}

}  // namespace
}  // namespace paceline::broker
