#include <gtest/gtest.h>

#include <string>

#include "takeover/model.h"
#include "takeover/scenarios.h"

namespace paceline::takeover {
namespace {

std::string story(const Exploration& found) {
  std::string text = found.to_string();
  if (found.counter_example)
    for (const std::string& step : found.counter_example->steps) text += "\n    " + step;
  return text;
}

// The scenarios in full take a minute with sanitizers; here smaller budgets that are complete.
TEST(Takeover, TheWholeProtocolHoldsThroughFailoversAndSuspicion) {
  const Budget budget{.brokers = 2, .lanes = 3, .values = 1, .flights = 1, .crashes = 1};
  const Exploration found = explore(TakeoverModel(budget), {});
  EXPECT_TRUE(found.complete) << story(found);
  EXPECT_GT(found.states, 10'000u);
}

TEST(Takeover, TheWholeProtocolHoldsThroughMovesWithUnknownOutcomes) {
  const Budget budget{
      .brokers = 2, .lanes = 2, .values = 1, .flights = 1, .crashes = 0, .moves = 2};
  const Exploration found = explore(TakeoverModel(budget), {});
  EXPECT_TRUE(found.complete) << story(found);
  EXPECT_GT(found.states, 5'000u);
}

TEST(Takeover, NoObjectThatIsNeededIsDeletedAndGarbageDoesNotStay) {
  const Budget budget{.brokers = 2,
                      .lanes = 2,
                      .values = 1,
                      .flights = 1,
                      .crashes = 1,
                      .moves = 1,
                      .objects = true,
                      .rewrites = 1,
                      .false_suspicion = false};
  const Exploration found = explore(TakeoverModel(budget), {});
  EXPECT_TRUE(found.complete) << story(found);
  EXPECT_GT(found.states, 5'000u);
}

TEST(Takeover, ForwardedRequestsAreStoredOnceAndInOrder) {
  for (const bool idempotent : {true, false}) {
    const ForwardBudget budget{.values = 2, .idempotent = idempotent, .moves = 2, .cuts = 1};
    const Exploration found = explore(ForwardModel(budget), {});
    EXPECT_TRUE(found.complete) << story(found);
    EXPECT_GT(found.states, 5'000u);
  }
}

TEST(Takeover, TheSameReportTwice) {
  const Budget budget{.brokers = 2, .lanes = 2, .values = 1, .flights = 1};
  EXPECT_EQ(explore(TakeoverModel(budget), {}).to_string(),
            explore(TakeoverModel(budget), {}).to_string());
}

TEST(Takeover, EveryScenarioBeginsWithoutAFault) {
  for (const Scenario& scenario : scenarios()) {
    const Exploration found = explore(*scenario.model(), {.states_max = 5'000, .progress = false});
    EXPECT_FALSE(found.counter_example) << scenario.name << ": " << story(found);
  }
}

struct Omission {
  Rule rule;
  const char* scenario;
  uint64_t states_max;
};
void PrintTo(const Omission& omission, std::ostream* out) {
  *out << name(omission.rule) << " in " << omission.scenario;
}

class WithoutARule : public testing::TestWithParam<Omission> {};

TEST_P(WithoutARule, TheModelFindsWhatGoesWrong) {
  const Omission& omission = GetParam();
  const Scenario* scenario = find_scenario(omission.scenario);
  ASSERT_NE(scenario, nullptr);
  const Exploration found =
      explore(*scenario->model(Rules{omission.rule}), {.states_max = omission.states_max});
  ASSERT_TRUE(found.counter_example) << sentence(omission.rule) << ": " << story(found);
  EXPECT_LE(found.counter_example->steps.size(), 21u) << story(found);
}

constexpr uint64_t kFew = 30'000;

INSTANTIATE_TEST_SUITE_P(Writing, WithoutARule,
                         testing::Values(Omission{Rule::ack_only_durable, "clone", kFew},
                                         Omission{Rule::ack_in_slot_order, "clone", kFew},
                                         Omission{Rule::visible_only_durable, "log", kFew},
                                         Omission{Rule::foreign_slot_is_fence, "clone", kFew},
                                         Omission{Rule::own_slot_is_success, "log", kFew},
                                         Omission{Rule::producer_state_is_data, "clone", kFew}));

INSTANTIATE_TEST_SUITE_P(Fencing, WithoutARule,
                         testing::Values(Omission{Rule::fence_compares_incarnation, "clone", kFew},
                                         Omission{Rule::fence_compares_successors, "chain", kFew}));

INSTANTIATE_TEST_SUITE_P(SealingAndRecovery, WithoutARule,
                         testing::Values(Omission{Rule::seal_after_fence, "pair", kFew},
                                         Omission{Rule::seal_before_read, "clone", kFew},
                                         Omission{Rule::seal_from_recorded_trim, "clone", kFew},
                                         Omission{Rule::seal_is_kept, "move", kFew},
                                         Omission{Rule::read_the_sealed_tail, "clone", kFew},
                                         Omission{Rule::read_every_unmarked_lane, "clone", kFew},
                                         Omission{Rule::read_up_to_the_seal, "clone", kFew},
                                         Omission{Rule::serve_only_registered, "clone", kFew},
                                         Omission{Rule::chain_as_of_sealing, "log", kFew}));

INSTANTIATE_TEST_SUITE_P(UploadAndCollection, WithoutARule,
                         testing::Values(Omission{Rule::commit_compares_lane, "move", 100'000},
                                         Omission{Rule::unknown_commit_is_read_back, "clone", kFew},
                                         Omission{Rule::trim_after_commit, "clone", kFew},
                                         Omission{Rule::trim_is_recorded, "clone", kFew},
                                         Omission{Rule::mark_with_the_upload, "clone", kFew},
                                         Omission{Rule::collect_after_marks, "log", kFew},
                                         Omission{Rule::collect_after_all_marks, "shares", 100'000},
                                         Omission{Rule::dead_successor_is_not_done, "clone",
                                                  kFew}));

INSTANTIATE_TEST_SUITE_P(Pages, WithoutARule,
                         testing::Values(Omission{Rule::preference_materialises, "preference",
                                                  50'000},
                                         Omission{Rule::materialise_keeps_unmarked, "log", kFew}));

INSTANTIATE_TEST_SUITE_P(Moves, WithoutARule,
                         testing::Values(Omission{Rule::move_pauses, "move", kFew},
                                         Omission{Rule::move_when_durable, "move", kFew},
                                         Omission{Rule::passport_has_the_tail, "move", kFew},
                                         Omission{Rule::passport_is_committed, "collection", kFew},
                                         Omission{Rule::source_freezes_objects, "collection",
                                                  80'000},
                                         Omission{Rule::abort_bumps_version, "move", kFew},
                                         Omission{Rule::resume_needs_own_term, "move", kFew},
                                         Omission{Rule::release_when_known, "move", kFew},
                                         Omission{Rule::target_refuses_its_own, "both", kFew},
                                         Omission{Rule::adoption_is_durable, "move", kFew},
                                         Omission{Rule::adoption_behind_the_cut, "both", 80'000},
                                         Omission{Rule::adoption_takes_turn, "move", kFew},
                                         Omission{Rule::adoption_off_is_decided, "move", kFew},
                                         Omission{Rule::target_serves_when_committed, "move", kFew},
                                         Omission{Rule::move_compares_source, "deaths", 60'000},
                                         Omission{Rule::move_compares_target, "deaths", 60'000},
                                         Omission{Rule::move_compares_version, "move", kFew},
                                         Omission{Rule::adoption_replaces, "both", kFew},
                                         Omission{Rule::longer_knowledge_wins, "move", kFew}));

INSTANTIATE_TEST_SUITE_P(
    CollectionOfObjects, WithoutARule,
    testing::Values(Omission{Rule::collector_minds_adoptions, "collection", 60'000},
                    Omission{Rule::collector_minds_sealed_lanes, "collection", kFew},
                    Omission{Rule::collector_minds_others, "collection", 60'000},
                    Omission{Rule::collector_reads_one_revision, "collection", 80'000}));

INSTANTIATE_TEST_SUITE_P(Forwarding, WithoutARule,
                         testing::Values(Omission{Rule::forward_after_commit, "numberless", kFew},
                                         Omission{Rule::paused_go_first, "numberless", kFew},
                                         Omission{Rule::forward_in_order, "numberless", kFew},
                                         Omission{Rule::one_hop, "numberless", kFew},
                                         Omission{Rule::target_checks_term, "numberless", kFew},
                                         Omission{Rule::forward_has_deadline, "hops", kFew},
                                         Omission{Rule::lost_answer_closes, "forward", kFew},
                                         Omission{Rule::only_target_answers, "forward", kFew},
                                         Omission{Rule::forward_is_sent_once, "numberless", kFew}));

// Nothing is lost without these, but the cluster comes to rest where nobody serves.
INSTANTIATE_TEST_SUITE_P(Progress, WithoutARule,
                         testing::Values(Omission{Rule::restart_is_a_fence, "clone", kFew},
                                         Omission{Rule::mark_an_empty_tail, "pair", kFew}));

}  // namespace
}  // namespace paceline::takeover
