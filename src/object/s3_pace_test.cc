#include "object/s3_pace.h"

#include <gtest/gtest.h>

#include "env/random.h"

namespace paceline::object {
namespace {

using namespace std::chrono_literals;

TEST(S3Pace, RetriesEndWhenNothingSucceedsAndComeBackWhenItDoes) {
  RetryBudget budget;
  int made = 0;
  while (budget.try_spend()) ++made;
  EXPECT_EQ(made, RetryBudget::kTokensMax / RetryBudget::kRetryCost);
  for (int i = 0; i < RetryBudget::kRetryCost; ++i) {
    EXPECT_FALSE(budget.try_spend());
    budget.earn();
  }
  EXPECT_TRUE(budget.try_spend());
  for (int i = 0; i < 10'000; ++i) budget.earn();
  EXPECT_EQ(budget.tokens(), RetryBudget::kTokensMax);
}

TEST(S3Pace, PausesGrowAreBoundedAndDiffer) {
  env::Random random(1);
  for (unsigned retry = 0; retry < 70; ++retry) {
    const env::Duration pause = backoff(retry, 50ms, 2s, random.next());
    EXPECT_GE(pause, 12ms);
    EXPECT_LE(pause, std::min<env::Duration>(2s, 50ms * (1 << std::min(retry, 10u))));
  }
  EXPECT_NE(backoff(5, 50ms, 2s, 1), backoff(5, 50ms, 2s, 1'000'000'000));
}

TEST(S3Pace, AStoreThatIsFullHalvesWhatIsInFlightOnceForAllThatWasUnderWay) {
  Concurrency limit(64, 256);
  const env::Instant start{1s};
  for (int i = 0; i < 64; ++i) limit.note_throttled(start + 1ms, start);
  EXPECT_EQ(limit.limit(), 32u);
  limit.note_throttled(start + 10ms, start + 2ms);
  EXPECT_EQ(limit.limit(), 16u);
  for (int i = 0; i < 100; ++i)
    limit.note_throttled(start + std::chrono::seconds(i + 2), start + std::chrono::seconds(i + 2));
  EXPECT_EQ(limit.limit(), 1u);
  // One more for each round of successes.
  for (int i = 0; i < 10; ++i) limit.note_success();
  EXPECT_GE(limit.limit(), 3u);
  EXPECT_LE(limit.limit(), 6u);
  for (int i = 0; i < 100'000; ++i) limit.note_success();
  EXPECT_EQ(limit.limit(), 256u);
}

TEST(S3Pace, TheLatencyOfNearlyAllIsKnownToSomePercent) {
  LatencyWindow window;
  env::Instant now{1s};
  for (int i = 0; i < 50; ++i) window.add(now, 1ms);
  EXPECT_EQ(window.quantile(0.99), env::Duration::zero());
  for (int i = 1; i <= 1000; ++i) window.add(now, std::chrono::microseconds(i * 100));
  const auto p99 = window.quantile(0.99);
  EXPECT_GE(p99, 98ms);
  EXPECT_LE(p99, 106ms);
  EXPECT_LE(window.quantile(0.0), 120us);
  LatencyWindow edges;
  for (int i = 0; i < 200; ++i) edges.add(now, i % 2 ? env::Duration::zero() : env::Duration(1h));
  EXPECT_GE(edges.quantile(0.9), 60s);
}

TEST(S3Pace, TheOldIsForgotten) {
  LatencyWindow window;
  env::Instant now{1s};
  for (int i = 0; i < 1000; ++i) window.add(now, 5s);
  now = now + 31s;
  for (int i = 0; i < 1000; ++i) window.add(now, 1ms);
  EXPECT_GE(window.quantile(0.99), 4s);  // the half before counts still
  now = now + 31s;
  for (int i = 0; i < 1000; ++i) window.add(now, 1ms);
  EXPECT_LE(window.quantile(0.99), 2ms);
  now = now + 10min;
  window.add(now, 1ms);
  EXPECT_EQ(window.quantile(0.99), env::Duration::zero());
}

}  // namespace
}  // namespace paceline::object
