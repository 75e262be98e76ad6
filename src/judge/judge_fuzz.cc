#include "base/check.h"
#include "judge/judge.h"

// A folder of a drill whose files lie behind each other, each behind a line with its name and its
// size: a verdict that can be read and made again, or a refusal. The same bytes as two reports.

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace paceline::judge;
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  Files files;
  std::string_view rest = input;
  while (!rest.empty() && files.size() < 8) {
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) break;
    const std::string_view head = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    const size_t blank = std::min(head.find(' '), head.size());
    size_t count = 0;
    for (const char c : head.substr(blank))
      if (c >= '0' && c <= '9' && count < size) count = count * 10 + static_cast<size_t>(c - '0');
    count = std::min(count, rest.size());
    files[std::string(head.substr(0, blank))] = rest.substr(0, count);
    rest.remove_prefix(count);
  }
  if (const auto derived = judge(files)) {
    CHECK(compare(derived->report_json, derived->report_json));
    CHECK(judge(files)->report_json == derived->report_json);
    CHECK(derived->metrics_prom.ends_with("# EOF\n"));
  }
  files["MANIFEST.sha256"] = input;
  (void)check_manifest(files);
  (void)compare(input, input);
  return 0;
}
