#include "history/lines.h"

#include <gtest/gtest.h>

#include <set>

namespace paceline::history {
namespace {

// Against sets of numbers, from a small generator of its own.
TEST(Ranges, KnowWhatIsMissing) {
  uint64_t state = 7;
  auto below = [&](uint64_t limit) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % limit;
  };
  for (int round = 0; round < 200; ++round) {
    Ranges ranges;
    std::set<uint64_t> members;
    for (uint64_t i = below(8); i > 0; --i) {
      const uint64_t start = below(40), end = start + below(6);
      ranges.add(start, end);
      for (uint64_t member = start; member < end; ++member) members.insert(member);
    }
    ranges.settle();
    EXPECT_EQ(ranges.size(), members.size());
    const uint64_t start = below(40), end = start + below(20);
    std::set<uint64_t> gaps, expected;
    for (const auto& gap : ranges.missing(start, end))
      for (uint64_t one = gap.start; one < gap.end; ++one) EXPECT_TRUE(gaps.insert(one).second);
    for (uint64_t one = start; one < end; ++one)
      if (!members.contains(one)) expected.insert(one);
    EXPECT_EQ(gaps, expected);
    const auto next = members.lower_bound(start);
    EXPECT_EQ(ranges.next(start, 1000), next == members.end() ? 1000 : *next);
  }
}

TEST(Lines, MergeWhatGoesOn) {
  Lines lines;
  lines.add({10, 110, 5});
  lines.add({0, 100, 6});
  lines.add({5, 105, 5});
  lines.add({20, 130, 2});
  lines.settle();
  ASSERT_EQ(lines.by_offset().size(), 2u);
  EXPECT_EQ(lines.by_offset()[0].count, 15u);
  const auto parts = lines.of_values(113, 131);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].offset, 13);
  EXPECT_EQ(parts[0].count, 2u);
  EXPECT_EQ(parts[1].offset, 20);
  EXPECT_EQ(parts[1].count, 1u);
}

}  // namespace
}  // namespace paceline::history
