#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace paceline::evidence {

// A number with its unit in its name, or a word.
using Figure = std::variant<int64_t, double, bool, std::string>;

// One line of timeline.ndjson: docs/format/drill.md. Values only; any thread.
struct Event {
  std::string run_id;
  std::string event_id;  // "<source>-<source_seq>"
  std::string source;
  uint64_t source_seq = 0;
  int64_t t_mono_ns = 0;  // on the drill's clock
  std::string t_wall;     // RFC 3339, UTC
  std::optional<int64_t> clock_err_ns = {};
  std::string plane;  // control, storage, data, client, business
  std::string type;
  std::string lane;  // empty: none, here and below
  std::string topic;
  std::optional<int32_t> partition = {};
  std::optional<int32_t> leader_epoch = {};
  std::optional<int64_t> offset = {};
  std::string object_key;
  std::string request_id;
  std::string client_id;
  std::string cause_id;
  std::optional<double> value = {};
  std::string unit;
  std::map<std::string, Figure> figures = {};

  // Nothing if there is none, or if it is of another kind; an integer is a double, too.
  std::optional<int64_t> integer(const std::string& name) const;
  std::optional<double> number(const std::string& name) const;
  std::string_view word(const std::string& name) const;  // empty: none
  std::optional<bool> flag(const std::string& name) const;
};

// One line, without the line's end.
std::string to_json(const Event& event);
// corrupt: not JSON, or without what every event has (all fields up to `type`, but clock_err_ns).
Result<Event> parse_event(std::string_view line);

// What a whole timeline holds, in the order of lines.
struct Timeline {
  std::vector<Event> events;
  // Lines that are no event; the last one of a drill that was killed may be cut.
  std::vector<uint64_t> damaged_lines;
};
Timeline parse_timeline(std::string_view text);

// What a broker of Paceline wrote to its topic of events (docs/format/events.md), as an event of
// this timeline but for the run and the drill's clock: times are the broker's own.
Result<Event> parse_broker_event(std::string_view cloud_event);

}  // namespace paceline::evidence
