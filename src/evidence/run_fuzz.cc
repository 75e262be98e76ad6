#include "base/check.h"
#include "evidence/run.h"

// run.json: a run that is written as it was read, or a refusal.

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace paceline::evidence;
  const auto run = parse_run({reinterpret_cast<const char*>(bytes), size});
  if (!run) return 0;
  const std::string json = to_json(*run);
  const auto again = parse_run(json);
  CHECK(again && to_json(*again) == json);
  return 0;
}
