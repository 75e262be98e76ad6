#include "sim/scenario.h"

#include <gtest/gtest.h>

#include <set>

namespace paceline::sim {
namespace {

TEST(Scenario, OneSeedTwiceGivesOneTraceAndTwoSeedsGiveTwo) {
  std::set<uint64_t> traces;
  uint32_t ends = 0;  // of a broker: a seed may have none
  for (uint64_t seed = 1001; seed <= 1003; ++seed) {
    SCOPED_TRACE(seed);
    const Report first = run_seed(seed, {});
    const Report second = run_seed(seed, {.keep_log = true, .tell = {}});
    EXPECT_EQ(first.trace, second.trace);
    EXPECT_EQ(first.records_read, second.records_read);
    EXPECT_TRUE(first.good());
    EXPECT_GT(first.batches_acked, 100u);
    ends += first.crashes + first.kills + first.stops;
    EXPECT_FALSE(second.log.empty());
    traces.insert(first.trace);
  }
  EXPECT_EQ(traces.size(), 3u);
  EXPECT_GT(ends, 0u);
}

TEST(Scenario, AClusterRunsTwiceTheSameAndNamesWhoToldWhat) {
  uint64_t seed = 1;
  while (!has_cluster(seed)) ++seed;
  SCOPED_TRACE(seed);
  const Report first = run_seed(seed, {.keep_history = true, .tell = {}});
  const Report second = run_seed(seed, {.keep_log = true, .tell = {}});
  EXPECT_EQ(first.trace, second.trace);
  EXPECT_TRUE(first.good());
  EXPECT_GE(first.brokers, 3u);
  EXPECT_GT(first.batches_acked, 100u);
  std::set<std::string> tellers;
  for (const history::Send& send : first.history.sends())
    if (send.by != 0) tellers.insert(first.history.name_of(send.by));
  EXPECT_GT(tellers.size(), 1u);
}

}  // namespace
}  // namespace paceline::sim
