#include <gtest/gtest.h>

#include "page/page.h"
#include "page/test_report.h"

namespace paceline::page {
namespace {

TEST(Comparison, TwoRunsStandSideBySide) {
  const Json left = test_report();
  Json right = test_report(500);
  right["run_id"] = "r-8";
  right["verdict"] = "green";
  right["gap"]["max_ms"] = 2000;
  right["scorecard"][0]["state"] = "green";
  right["scorecard"][0]["figures"][0]["value"] = 1500;
  right["scorecard"][0]["figures"].push_back(test_figure("only_right", 7, "", "green"));
  const auto page = render_comparison(left.dump(), right.dump());
  ASSERT_TRUE(page);
  for (const char* words :
       {"r-7", "r-8", "One record was lost.", "log", "Upload more often.",
        "<td class=\"n\">4.183 s</td><td class=\"n\">2.000 s</td><td class=\"n\">-2.183 s</td>",
        "<td>unplanned p99</td><td class=\"n\">12.346 s</td>", "<td class=\"n\">1.500 s</td>",
        "<td>only right</td><td class=\"n\">–</td><td></td><td class=\"n\">7</td>",
        "500 partitions: longest 999.5 ms, median 749.5 ms", "each row is the worst of 3"})
    EXPECT_TRUE(has(*page, words));
  EXPECT_FALSE(has(*page, "<script"));
  EXPECT_TRUE(*page == *render_comparison(left.dump(), right.dump()));
}

TEST(Comparison, BothBandsHaveOneScale) {
  Json left = test_report(1), right = test_report(1);
  left["partitions"][0]["gap_ms"] = left["partitions"][0]["gap_last_ms"] = 1000;
  right["partitions"][0]["gap_ms"] = 250;
  right["partitions"][0]["gap_last_ms"] = 500;
  const auto page = render_comparison(left.dump(), right.dump());
  ASSERT_TRUE(page);
  EXPECT_TRUE(has(*page, "class=\"gap\" d=\"M0 0h1000.0v1H0z\""));
  EXPECT_TRUE(has(*page, "class=\"gap\" d=\"M0 0h250.0v1H0z\""));
  EXPECT_TRUE(has(*page, "class=\"last\" d=\"M0 0h500.0v1H0z\""));
}

TEST(Comparison, ABadSideIsNamed) {
  const std::string good = test_report().dump();
  EXPECT_EQ(render_comparison("x", good).error().message, "left: the report is not JSON");
  EXPECT_EQ(render_comparison(good, "{}").error().message, "right: the report has no api_version");
}

}  // namespace
}  // namespace paceline::page
