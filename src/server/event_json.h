#pragma once

#include <cstdint>
#include <string>

#include "base/event.h"

namespace paceline::server {

// Who says it, in which place of all that it says, and when.
struct EventStamp {
  std::string source;  // "1.7", or "1.7/routine", which has a sequence of its own
  uint64_t sequence = 0;
  int64_t mono_ns = 0;
  int64_t wall_ms = 0;
};

// A CloudEvent 1.0 in one line without its end: docs/format/events.md.
std::string to_json(const Event& event, const EventStamp& stamp);
// RFC 3339, UTC, in milliseconds.
std::string rfc3339(int64_t wall_ms);

}  // namespace paceline::server
