#include "page/page.h"

#include <gtest/gtest.h>

#include "base/check.h"
#include "page/assets.h"
#include "page/test_report.h"

namespace paceline::page {
namespace {

std::string page_of(const Json& report) {
  auto page = render(report.dump());
  CHECK(page);
  return *page;
}
// Without what only a script reads.
std::string markup_of(const Json& report) {
  std::string page = page_of(report);
  return page.substr(0, page.find("<script type=\"application/json\""));
}
std::string refusal(const Json& report) {
  const auto page = render(report.dump());
  return page ? "" : page.error().message;
}

TEST(Page, EverySectionIsThereWithoutAScript) {
  const std::string markup = markup_of(test_report());
  for (const char* id : {"scorecard", "steps", "milestones", "anomalies", "negative", "readiness",
                         "dimensions", "recovery", "clock", "partitions", "evidence", "events"})
    EXPECT_TRUE(has(markup, fmt::format("<section id=\"{}\"", id)));
  EXPECT_TRUE(has(markup, "<noscript>"));
}

TEST(Page, TheHeadSaysWhatWasDrilledAndWhoRollsBack) {
  const std::string markup = markup_of(test_report());
  const std::string head = markup.substr(markup.find("<header"), markup.find("</header>"));
  for (const char* words : {"Red",
                            "One record was lost.",
                            "912.2 ms",
                            "4.183 s",
                            "N = 412",
                            "staging-eu",
                            "4.1",
                            "build-872b5ab",
                            "6fd1c2a94b7e",
                            "4242",
                            "leaders as of noon",
                            "on-call platform",
                            "clients fail for 60 s",
                            "External evidence only",
                            "log replay",
                            "44 % of the gap",
                            "A fixed runbook",
                            "Upload more often.",
                            "182,400",
                            "of 182,466 sent",
                            "± 0.75 ms"})
    EXPECT_TRUE(has(head, words));
  Json own = test_report();
  own["external_only"] = false;
  own["run"]["rollback"] = nullptr;
  const std::string other = markup_of(own);
  EXPECT_FALSE(has(other, "External evidence only"));
  EXPECT_TRUE(has(other, "<dt>Rollback owner</dt><dd><em>none recorded</em>"));
}

TEST(Page, FiguresAreTheReportsAndLeadToTheirEvents) {
  const std::string markup = markup_of(test_report());
  EXPECT_TRUE(has(markup, R"(<a href=#e0 data-e="0 1" title="2 events">12.346 s</a>)"));
  EXPECT_TRUE(has(markup, R"(<a href=#e0 data-e="0 1" title="2 events">8.0 MiB</a>)"));
  EXPECT_TRUE(has(markup, "≤ 5 s<small>amber ≤ 10 s</small>"));
  EXPECT_TRUE(has(markup, "<a href=#e1>0 acks</a>"));
  EXPECT_TRUE(has(markup, "<a href=#e0>94 % idempotent</a>"));
  EXPECT_TRUE(has(markup, "<tr id=e0><td class=n>1,000.0<td class=n>0.5<td>control"));
  EXPECT_TRUE(has(markup, "1,207 more are in timeline.ndjson"));
  EXPECT_TRUE(has(markup, "ledger.bin</code></th><td class=\"n\">1,234,567</td>"));
  EXPECT_TRUE(has(markup, std::string(64, 'e')));
  EXPECT_TRUE(has(markup, "$0.000117"));
  EXPECT_TRUE(has(markup, "paceline drill run --seed 4242"));
  EXPECT_TRUE(has(markup, "2 events of watcher are missing."));
  EXPECT_TRUE(has(markup, "5 rows of the ledger are damaged."));
  EXPECT_TRUE(has(markup, "The ledger ends within a row."));
}

TEST(Page, AFigureWithoutEventsLeadsToItsFiles) {
  Json report = test_report();
  Json& figure = report["scorecard"][0]["figures"][0];
  figure["events"] = Json::array();
  figure["evidence"] = {"ledger.bin", "timeline.ndjson"};
  std::string markup = markup_of(report);
  EXPECT_TRUE(has(markup, "<a href=\"#f-ledger.bin\" title=\"of ledger.bin, timeline.ndjson\">"));
  EXPECT_TRUE(has(markup, "<tr id=\"f-ledger.bin\">"));
  figure["events"] = {report["events"][0]["event"]};
  markup = markup_of(report);
  EXPECT_FALSE(has(markup, "href=\"#f-ledger.bin\"")) << "events are nearer";
}

TEST(Page, WhatTheRecoveryCostIsToldWithWhoToldIt) {
  Json report = test_report();
  report["recovery"]["bytes_read"] = 8'388'608;
  report["recovery"]["events"] = {{"bytes_read", {report["events"][1]["event"]}}};
  EXPECT_TRUE(has(markup_of(report),
                  "<span data-figure=\"bytes_read\"><a href=#e1>8.0 MiB</a> <small>N = 1</small>"));
}

TEST(Page, TimesOfAPartitionAreSinceItsOwnFault) {
  Json report = test_report(1);
  report["partitions"][0]["milestones"]["t8"] = {{"state", "never"}, {"ms", nullptr}};
  const std::string markup = markup_of(report);
  EXPECT_TRUE(has(markup,
                  "<tr id=p0><th scope=row>orders-0<td class=w>kill-1<td>1 → 2<td>500.5"
                  "<td>600.5<td><a href=#e0>1,000.0</a><td>"));
  EXPECT_TRUE(has(markup, "<td><a href=#e1>≤ 30.8</a><td class=o>n/o<td>"));
  EXPECT_TRUE(has(markup, "<td class=bad>never<td>"));
  EXPECT_TRUE(has(markup, R"(title="event far-9, in timeline.ndjson">10.2</span>)"));
}

TEST(Page, WhatAFaultDidNotConcernIsNotCounted) {
  Json report = test_report(3);
  for (auto& [name, milestone] : report["partitions"][1]["milestones"].items())
    milestone = {{"state", "not_concerned"}, {"ms", nullptr}};
  const std::string markup = markup_of(report);
  EXPECT_TRUE(has(markup, "<b>t6</b> new leader answers</th><td class=\"n\">"));
  EXPECT_TRUE(has(markup, "<td class=\"n\">2 of 2</td>"));
}

TEST(Page, ManyPartitionsAreFoldedAndThenPlainText) {
  EXPECT_FALSE(has(markup_of(test_report(50)), "<details"));
  EXPECT_TRUE(has(markup_of(test_report(60)), "<summary>10 more</summary>"));
  const std::string markup = markup_of(test_report(1200));
  EXPECT_TRUE(has(markup, "<summary>950 more</summary>"));
  EXPECT_TRUE(has(markup, "<summary>200 more, as text</summary>"));
  // The longest gap comes first, and no partition is left out.
  EXPECT_LT(markup.find("<th scope=row>orders-1199<"), markup.find("<th scope=row>orders-1198<"));
  EXPECT_TRUE(has(markup, "\norders-0   "));
}

TEST(Page, TextOfAReportIsNeverMarkup) {
  const std::string page = page_of(test_report());
  EXPECT_FALSE(has(page, "<script>alert"));
  EXPECT_FALSE(has(page, "<b onmouseover"));
  EXPECT_TRUE(has(page, "&lt;/script&gt;&lt;script&gt;alert(1)"));
  Json report = test_report();
  report["phases"][0]["name"] = kHostile;
  EXPECT_TRUE(has(page_of(report), "\\u003c/script\\u003e"));
  EXPECT_FALSE(has(page_of(report), "<script>alert"));
}

TEST(Page, NothingButItsOwnStyleAndScriptMayRun) {
  const std::string page = page_of(test_report());
  EXPECT_TRUE(
      has(page, fmt::format("content=\"default-src 'none'; style-src '{}'; base-uri 'none'; "
                            "form-action 'none'; script-src '{}'\"",
                            kStyle.hash, kScript.hash)));
  EXPECT_TRUE(has(page, fmt::format("<style>{}</style>", kStyle.text)));
  EXPECT_TRUE(has(page, fmt::format("<script>{}</script>", kScript.text)));
  for (const char* word : {"http://", "https://", " style=", "url(", "@import", "onclick"})
    EXPECT_FALSE(has(page, word)) << word;
}

TEST(Page, TheSameReportGivesTheSameBytes) {
  const Json report = test_report(80);
  EXPECT_TRUE(page_of(report) == page_of(report));
  Json other = report;
  other["gap"]["max_ms"] = 4190;
  EXPECT_TRUE(page_of(report) != page_of(other));
}

TEST(Page, WhatIsNotKnownYetIsNoError) {
  Json report = test_report(0);
  report["dominant"] = report["next_step"] = report["reproduce"] = nullptr;
  report["gap"] = {{"samples", 0}, {"p50_ms", nullptr}, {"p99_ms", nullptr}, {"max_ms", nullptr}};
  report["steps"] = report["events"] = report["phases"] = report["scorecard"] = Json::array();
  report["new_field"] = {{"a", 1}};
  EXPECT_TRUE(render(report.dump()));
}

TEST(Page, ABadReportIsRefusedWithItsField) {
  for (const char* text : {"", "x", "[1,2", "{\"a\":1e999}"})
    EXPECT_EQ(render(text).error().message, "the report is not JSON") << text;
  EXPECT_EQ(render("[]").error().message, "the report is not an object");
  EXPECT_EQ(render("{}").error().message, "the report has no api_version");
  const auto broken = [](const char* pointer, Json value) {
    Json report = test_report();
    report[Json::json_pointer(pointer)] = std::move(value);
    return refusal(report);
  };
  EXPECT_EQ(broken("/kind", "Other"), "the report's kind is not DrillReport");
  EXPECT_EQ(broken("/verdict", "blue"), "the report's verdict is not green, amber, red or grey");
  EXPECT_EQ(broken("/scorecard/0/figures/1/state", 7),
            "the report's scorecard[0].figures[1].state is not green, amber, red or grey");
  EXPECT_EQ(broken("/partitions/2/milestones", Json::array()),
            "the report's partitions[2].milestones is not an object");
  EXPECT_EQ(broken("/series/acks/1", "x"), "the report's series.acks[1] is not a number or null");
  EXPECT_EQ(broken("/events", Json::array({1})), "the report's events is not a list of objects");
  Json report = test_report();
  report["gap"].erase("p99_ms");
  EXPECT_EQ(refusal(report), "the report has no gap.p99_ms");
}

}  // namespace
}  // namespace paceline::page
