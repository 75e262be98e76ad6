#include <gtest/gtest.h>

#include "judge/judge.h"
#include "judge/test_evidence.h"

namespace paceline::judge {
namespace {

TEST(Manifest, IsWhatSha256sumWrites) {
  EXPECT_EQ(manifest({{"b", "x"}, {"a", ""}, {"MANIFEST.sha256", "old"}}, "feed"),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a\n"
            "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881  b\n"
            "feed  previous\n");
}

TEST(Manifest, TamperingIsFound) {
  Files files = TestEvidence::kill().files();
  files["MANIFEST.sha256"] = manifest(files, std::string(64, 'a'));
  EXPECT_TRUE(check_manifest(files).empty());
  Files changed = files;
  changed["ledger.bin"][100] ^= 1;
  EXPECT_EQ(check_manifest(changed),
            std::vector<std::string>{"ledger.bin has another hash than MANIFEST.sha256 says"});
  changed = files;
  changed.erase("hooks.log");
  changed["more.txt"] = "";
  EXPECT_EQ(check_manifest(changed).size(), 2u);
  changed = files;
  changed.erase("MANIFEST.sha256");
  EXPECT_EQ(check_manifest(changed).size(), 1u);
}

TEST(Compare, SaysWhatDiffers) {
  const std::string good = TestEvidence::kill().judged().report_json;
  const std::string slow = TestEvidence::kill({.down_ms = 7'000}).judged().report_json;
  const auto table = compare(good, slow);
  ASSERT_TRUE(table);
  EXPECT_NE(table->find("verdict                    green                     amber\n"),
            std::string::npos)
      << *table;
  EXPECT_NE(table->find("803 ms                    7.003 s"), std::string::npos) << *table;
  for (const char* text : {"", "[]", "{}", R"({"kind":"DrillReport","scorecard":[1,{"id":2}]})"})
    EXPECT_EQ(compare(text, good).has_value(), std::string_view(text).size() > 10) << text;
}

TEST(Junit, EscapesAndCountsWhatIsRed) {
  TestEvidence evidence = TestEvidence::kill();
  evidence.run.rollback.owner.clear();
  evidence.run.build = "<&\">\x01";
  const std::string xml = evidence.judged().junit_xml;
  EXPECT_NE(xml.find("value=\"&lt;&amp;&quot;&gt; \""), std::string::npos);
  EXPECT_NE(xml.find("<testsuite name=\"scorecard\" tests=\"7\" failures=\"1\""), std::string::npos)
      << xml;
}

TEST(Prometheus, EndsAsOpenMetricsDoes) {
  const std::string text = TestEvidence::kill().judged().metrics_prom;
  EXPECT_TRUE(text.ends_with("# EOF\n"));
  EXPECT_NE(text.find("drill_check_status{check=\"verdict\"} 0\n"), std::string::npos) << text;
  EXPECT_NE(text.find("drill_client_gap_seconds{kind=\"unplanned\",quantile=\"1\"} 0.803\n"),
            std::string::npos);
}

}  // namespace
}  // namespace paceline::judge
