#include "broker/pace.h"

#include <gtest/gtest.h>

namespace paceline::broker {
namespace {

using namespace std::chrono_literals;

TEST(Pace, ASecondsWorthGoesAtOnceAndTheRestOneByOne) {
  Pace pace;
  const env::Instant now{1000s};
  for (int i = 0; i < 200; ++i) EXPECT_EQ(pace.next(now, 200), now);
  EXPECT_EQ(pace.next(now, 200), now + 5ms);
  EXPECT_EQ(pace.next(now, 200), now + 10ms);
  EXPECT_TRUE(pace.ahead(now));
  EXPECT_EQ(pace.next(now + 10s, 200), now + 10s);
}

TEST(Pace, ZeroIsNoBound) {
  Pace pace;
  const env::Instant now{1000s};
  for (int i = 0; i < 10'000; ++i) EXPECT_EQ(pace.next(now, 0), now);
}

}  // namespace
}  // namespace paceline::broker
