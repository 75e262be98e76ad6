#include "base/check.h"
#include "evidence/event.h"

// A timeline: events that are written as they were read, or lines that are none.

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace paceline::evidence;
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  for (const Event& event : parse_timeline(input).events) {
    const std::string json = to_json(event);
    const auto again = parse_event(json);
    CHECK(again && to_json(*again) == json);
  }
  if (auto event = parse_broker_event(input)) {
    event->run_id = "r";
    CHECK(parse_event(to_json(*event)));
  }
  return 0;
}
