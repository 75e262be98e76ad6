#include "cluster/terms.h"

#include <gtest/gtest.h>

#include <map>

namespace paceline::cluster {
namespace {

Lane lane(int32_t broker, uint64_t incarnation) {
  return {BrokerId(broker), Incarnation(incarnation)};
}
StreamId stream(uint32_t index) {
  return {Uuid{{1, 2, 3, 4}}, index};
}

class Lanes {
 public:
  void open(Lane which) { records_[which] = {}; }
  void seal(Lane which, std::vector<meta::Successor> successors) {
    records_[which].sealed = true;
    records_[which].successors = std::move(successors);
  }
  meta::LaneRecord& at(Lane which) { return records_[which]; }
  std::optional<LeaderTerm> resolve(meta::TermRecord term, std::vector<BrokerId> preferred = {},
                                    uint32_t index = 0) const {
    const LaneLookup lookup = [this](Lane wanted) -> const meta::LaneRecord* {
      auto found = records_.find(wanted);
      return found == records_.end() ? nullptr : &found->second;
    };
    return live_term(term, preferred, stream(index), lookup);
  }

 private:
  std::map<Lane, meta::LaneRecord> records_;
};

TEST(Terms, AnOpenLaneKeepsItsTerm) {
  Lanes lanes;
  lanes.open(lane(1, 1));
  EXPECT_EQ(lanes.resolve({Epoch(4), lane(1, 1)}), (LeaderTerm{Epoch(4), lane(1, 1)}));
}

TEST(Terms, EachSealedLaneOfTheChainIsOneEpoch) {
  Lanes lanes;
  lanes.seal(lane(1, 1), {{lane(1, 2), 1, ""}});
  lanes.seal(lane(1, 2), {{lane(1, 3), 1, ""}});
  lanes.open(lane(1, 3));
  EXPECT_EQ(lanes.resolve({Epoch(7), lane(1, 1)}), (LeaderTerm{Epoch(9), lane(1, 3), lane(1, 2)}));
  EXPECT_EQ(lanes.resolve({Epoch(8), lane(1, 2)}), (LeaderTerm{Epoch(9), lane(1, 3), lane(1, 2)}));
}

TEST(Terms, AChainThatLeadsNowhereIsOffline) {
  Lanes lanes;
  EXPECT_FALSE(lanes.resolve({Epoch(0), lane(1, 1)}));  // unknown lane
  lanes.seal(lane(1, 1), {});
  EXPECT_FALSE(lanes.resolve({Epoch(0), lane(1, 1)}));  // no successors
  lanes.seal(lane(1, 1), {{lane(1, 1), 1, ""}});
  EXPECT_FALSE(lanes.resolve({Epoch(0), lane(1, 1)}));  // a loop ends
  lanes.open(lane(1, 2));
  lanes.seal(lane(1, 1), {{lane(1, 2), 1, ""}});
  lanes.at(lane(1, 1)).choice_version = 2;
  EXPECT_FALSE(lanes.resolve({Epoch(0), lane(1, 1)}));  // a choice we do not know
}

TEST(Terms, TheFirstLivePreferredBrokerIsChosen) {
  meta::LaneRecord sealed;
  sealed.sealed = true;
  sealed.successors = {{lane(2, 5), 1, ""}, {lane(3, 1), 100, ""}, {lane(4, 9), 1, ""}};
  const std::vector<BrokerId> preferred{BrokerId(1), BrokerId(4), BrokerId(3)};
  EXPECT_EQ(choose_successor(sealed, preferred, stream(0))->lane, lane(4, 9));
}

TEST(Terms, OthersAreSharedInProportionToCapacity) {
  meta::LaneRecord sealed;
  sealed.successors = {{lane(2, 1), 1, ""}, {lane(3, 1), 3, ""}, {lane(4, 1), 0, ""}};
  int third = 0;
  for (uint32_t index = 0; index < 4000; ++index) {
    const auto* chosen = choose_successor(sealed, {}, stream(index));
    ASSERT_NE(chosen->lane, lane(4, 1));
    third += chosen->lane == lane(3, 1);
  }
  EXPECT_NEAR(third, 3000, 150);
}

TEST(Terms, TheOrderOfSuccessorsDoesNotMatterAndNobodyElseMoves) {
  meta::LaneRecord all, reversed, fewer;
  all.successors = {{lane(2, 1), 2, ""}, {lane(3, 1), 2, ""}, {lane(4, 1), 1, ""}};
  reversed.successors.assign(all.successors.rbegin(), all.successors.rend());
  fewer.successors = {all.successors[0], all.successors[1]};
  for (uint32_t index = 0; index < 1000; ++index) {
    const Lane chosen = choose_successor(all, {}, stream(index))->lane;
    EXPECT_EQ(choose_successor(reversed, {}, stream(index))->lane, chosen);
    if (chosen != lane(4, 1)) EXPECT_EQ(choose_successor(fewer, {}, stream(index))->lane, chosen);
  }
}

}  // namespace
}  // namespace paceline::cluster
