#include "object/looks.h"

#include <gtest/gtest.h>

namespace paceline::object {
namespace {

TEST(Looks, TheSameWrongBytesSevenTimesAreWhatLiesThere) {
  Looks looks(Looks::kForReader);
  for (int i = 0; i < 6; ++i) EXPECT_FALSE(looks.settle(77));
  EXPECT_TRUE(looks.settle(77));
}

TEST(Looks, DamageOnTheWayDoesNotCountAsDamageAtRest) {
  Looks looks(Looks::kForGood);
  for (uint32_t i = 1; i < 30; ++i) {
    EXPECT_FALSE(looks.settle(1000 + i));
    if (i % 5 == 0) EXPECT_FALSE(looks.settle(77));
  }
}

TEST(Looks, EndInAnyCase) {
  Looks looks(Looks::kForReader);
  uint32_t count = 1;
  while (!looks.settle(count)) ASSERT_LT(++count, 100u);
  EXPECT_EQ(count, 12u);
}

}  // namespace
}  // namespace paceline::object
