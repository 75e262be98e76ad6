#include "page/report.h"

#include "page/report_shape.h"

namespace paceline::page {
namespace {

const Json kNull;
const Json kNoItems = Json::array();

struct Milestone {
  std::string_view name, brief;
};
constexpr Milestone kNames[kMilestones] = {
    {"fault effective", "fault"},
    {"last ack of the old epoch", "last ack"},
    {"detected", "detected"},
    {"new epoch committed", "new epoch"},
    {"log fenced and sealed", "sealed"},
    {"replay done", "replayed"},
    {"new leader answers", "opened"},
    {"first client sees the new epoch", "published"},
    {"first ack", "first ack"},
    {"last client’s first ack", "last client"},
    {"reader past the old end", "reader"},
    {"p99 back to the baseline", "p99 back"},
    {"business staleness back", "business"},
    {"no left-over storage work", "storage"},
};

}  // namespace

const Json& field(const Json& object, std::string_view name) {
  if (!object.is_object()) return kNull;
  const auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

std::string_view text(const Json& object, std::string_view name) {
  const Json& value = field(object, name);
  return value.is_string() ? std::string_view(value.get_ref<const std::string&>())
                           : std::string_view();
}

std::optional<double> number(const Json& object, std::string_view name) {
  const Json& value = field(object, name);
  if (!value.is_number()) return std::nullopt;
  return value.get<double>();
}

bool flag(const Json& object, std::string_view name) {
  const Json& value = field(object, name);
  return value.is_boolean() && value.get<bool>();
}

const Json& list(const Json& object, std::string_view name) {
  const Json& value = field(object, name);
  return value.is_array() ? value : kNoItems;
}

EventPlaces::EventPlaces(const Json& report) {
  size_t place = 0;
  for (const Json& event : list(report, "events"))
    places_.try_emplace(text(event, "event"), place++);
}

std::optional<size_t> EventPlaces::find(std::string_view event_id) const {
  const auto found = places_.find(event_id);
  if (event_id.empty() || found == places_.end()) return std::nullopt;
  return found->second;
}

std::string milestone_key(int index) {
  return fmt::format("t{}", index);
}
std::string_view milestone_name(int index) {
  return kNames[index].name;
}
std::string_view milestone_short(int index) {
  return kNames[index].brief;
}

bool is_seen(const Json& milestone) {
  const std::string_view state = text(milestone, "state");
  return (state == "observed" || state == "upper_bound") && number(milestone, "ms");
}

Result<Json> parse_report(std::string_view report_json) {
  Json report = Json::parse(report_json, nullptr, false);
  if (report.is_discarded()) return fail(Code::corrupt, "the report is not JSON");
  TRY_VOID(check_shape(report));
  return report;
}

std::optional<size_t> step_of(const Json& report, const Json& partition) {
  size_t index = 0;
  for (const Json& step : list(report, "steps")) {
    if (text(step, "id") == text(partition, "step")) return index;
    ++index;
  }
  return std::nullopt;
}

}  // namespace paceline::page
