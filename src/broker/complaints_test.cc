#include "broker/complaints.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/log.h"

namespace paceline::broker {
namespace {

std::vector<std::string> lines;

TEST(Complaints, AFloodIsAFewLinesAndACount) {
  lines.clear();
  set_log_sink([](LogLevel, std::string_view text) { lines.emplace_back(text); });
  Complaints complaints;
  env::Instant now{std::chrono::seconds(100)};
  for (int i = 0; i < 1000; ++i) complaints.say(now, "a");
  EXPECT_EQ(lines.size(), static_cast<size_t>(Complaints::kLinesASecond));
  complaints.say(now + std::chrono::seconds(1), "b");
  complaints.say(now + std::chrono::seconds(1), "c");
  set_log_sink(nullptr);
  ASSERT_EQ(lines.size(), Complaints::kLinesASecond + 2u);
  EXPECT_EQ(lines[Complaints::kLinesASecond],
            "b (before it, 990 lines of this kind were left out)");
  EXPECT_EQ(lines.back(), "c");
}

}  // namespace
}  // namespace paceline::broker
