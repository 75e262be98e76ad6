#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace paceline::page {

using Json = nlohmann::ordered_json;

// A field, or null where there is none.
const Json& field(const Json& object, std::string_view name);
// What is in a field, if it is of that kind; nothing throws.
std::string_view text(const Json& object, std::string_view name);  // empty: none
std::optional<double> number(const Json& object, std::string_view name);
bool flag(const Json& object, std::string_view name);
const Json& list(const Json& object, std::string_view name);  // empty: none

// The events that the page shows, by their place in it: `<tr id="e12">`.
class EventPlaces {
 public:
  explicit EventPlaces(const Json& report);
  std::optional<size_t> find(std::string_view event_id) const;

 private:
  std::unordered_map<std::string_view, size_t> places_;
};

inline constexpr int kMilestones = 14;
std::string milestone_key(int index);         // "t3"
std::string_view milestone_name(int index);   // "new epoch committed"
std::string_view milestone_short(int index);  // for a column's head
// Whether `ms` of a milestone is a time, and not just what is known not to be there.
bool is_seen(const Json& milestone);

// corrupt: not a report, with the field that is wrong.
Result<Json> parse_report(std::string_view report_json);

// The step that an entry of `partitions` belongs to, as an index into `steps`.
std::optional<size_t> step_of(const Json& report, const Json& partition);

}  // namespace paceline::page
