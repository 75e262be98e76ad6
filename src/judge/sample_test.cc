#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "judge/test_evidence.h"

namespace paceline::judge {
namespace {

// The sources' path is relative to the build's folder; tests are run from there or from the root.
std::string path_of_sample() {
  std::string path = __FILE__;
  path = path.substr(0, path.rfind('/') + 1) + "testing/sample_report.json";
  if (!std::ifstream(path))
    while (path.starts_with("../")) path.erase(0, 3);
  return path;
}

// What other modules develop against. PACELINE_WRITE_SAMPLES=1 writes it anew.
TEST(Sample, TheReportInTheRepositoryIsWhatIsMadeOfTheGoodRun) {
  const std::string report = TestEvidence::kill({.interval_ms = 50}).judged().report_json;
  const std::string path = path_of_sample();
  if (std::getenv("PACELINE_WRITE_SAMPLES")) std::ofstream(path) << report;
  std::ifstream file(path);
  if (!file) GTEST_SKIP() << "not run from a build beside its sources";
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(text.str() == report)
      << "run it with PACELINE_WRITE_SAMPLES=1 and look at the change";
}

}  // namespace
}  // namespace paceline::judge
