#include "app/event_line.h"
#include "base/check.h"

// A record of the topic of events: an event that can be told in one line, or a refusal. The same
// bytes as a time.

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace paceline::app;
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  (void)parse_time(input, 1'767'225'600'000);
  auto event = parse_event(input);
  if (!event) return 0;
  CHECK(!event->source.empty() && !event->type.empty());
  CHECK(!in_words(*event).empty());
  TimeOrder order;
  (void)order.put(*event);
  CHECK(order.take(true) && !order.take(true));
  return 0;
}
