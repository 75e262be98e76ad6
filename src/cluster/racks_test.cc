#include "cluster/racks.h"

#include <gmock/gmock.h>

namespace paceline::cluster {
namespace {

using testing::ElementsAre;

TEST(Racks, OneOfEachInTurn) {
  EXPECT_THAT(alternate_racks({"a", "a", "b", "b", "c", "c"}), ElementsAre(0, 2, 4, 1, 3, 5));
  EXPECT_THAT(alternate_racks({"b", "a", "b"}), ElementsAre(1, 0, 2));
  EXPECT_THAT(alternate_racks({"a", "b", "a", "a"}), ElementsAre(0, 1, 2, 3));
}

TEST(Racks, WithoutAnyTheOrderStays) {
  EXPECT_THAT(alternate_racks({"", "", ""}), ElementsAre(0, 1, 2));
  EXPECT_THAT(alternate_racks({}), ElementsAre());
}

}  // namespace
}  // namespace paceline::cluster
