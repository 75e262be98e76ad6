#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace paceline::app {

// What a record of the topic of events says, as far as it is looked at here: docs/format/events.md.
struct EventLine {
  std::string id;
  std::string source;  // the lane of the broker that says it
  uint64_t sequence = 0;
  int64_t at_ms = 0;
  std::string time;
  std::string type;
  std::string cause;                                         // empty: none
  std::string lane;                                          // likewise
  std::string partition;                                     // "orders-3"
  std::optional<double> took_ms;                             // its value, if that is a time
  std::vector<std::pair<std::string, std::string>> figures;  // in words, in the order of the event
  std::string json;                                          // all of it, in one line
};
// corrupt: not an event, or one that lacks what every event has.
Result<EventLine> parse_event(std::string_view json);

// One line for people: when, who, why, what, with the figures.
std::string in_words(const EventLine& event);

// "2026-01-01T00:00:00Z", with a fraction or not, "-15m" (s, m, h, d) before `now_ms`, in ms since
// 1970.
std::optional<int64_t> parse_time(std::string_view text, int64_t now_ms);

// Brings what brokers have said, each in its own order, into the order of their clocks, as far as
// they are little behind each other. An event that comes a second time is dropped.
class TimeOrder {
 public:
  struct Gap {
    std::string source;
    uint64_t missing = 0;
  };
  // What is missing in front of it, if anything is.
  std::optional<Gap> put(EventLine event);
  // The oldest, if it is old enough; with `all` any.
  std::optional<EventLine> take(bool all);

 private:
  static constexpr int64_t kBehindMs = 1'000;
  std::map<std::string, uint64_t> seen_;  // the last of each source
  std::multimap<int64_t, EventLine> waiting_;
  int64_t newest_ms_ = INT64_MIN;
};

}  // namespace paceline::app
