#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace paceline::judge {

// The files of a drill's folder by name: docs/format/drill.md.
using Files = std::map<std::string, std::string>;

enum class State { green, amber, red, grey };

// What can be made of the evidence, and made again from it: pure, the same bytes for the same
// evidence. Any thread; for a run of some minutes it takes seconds.
struct Derived {
  std::string report_json;
  std::string junit_xml;
  std::string metrics_prom;
  State verdict = State::grey;
  int exit_code = 7;     // of `paceline drill`: 0 green, 4 red, 6 refused, 7 grey; amber 0
  std::string sentence;  // the verdict in one line
  std::string screen;    // the verdict on one screen, for people: plain text of 80 columns
};
// corrupt: run.json, timeline.ndjson or ledger.bin is not there or is none.
Result<Derived> judge(const Files& evidence);

// `MANIFEST.sha256` over all files but itself. `previous`: of the run before, or empty.
std::string manifest(const Files& files, std::string_view previous);
// One sentence for each file that is missing, not listed, or has another hash.
std::vector<std::string> check_manifest(const Files& files);

// Two reports in one table of text.
Result<std::string> compare(std::string_view left_json, std::string_view right_json);

}  // namespace paceline::judge
