#include <nlohmann/json.hpp>

#include "drill/hook_target.h"
#include "drill/hooks.h"
#include "drill/wall_time.h"

namespace paceline::drill {
namespace {

using Json = nlohmann::json;

constexpr size_t kEventsMax = 10'000;
// Whose clock that is nobody has measured.
constexpr int64_t kWallErrorNs = 1'000'000'000;

std::string text_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<int64_t> number_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  return found->get<int64_t>();
}

std::optional<evidence::Event> event_of(const Json& line, int64_t mono_minus_wall_ns) {
  evidence::Event event;
  event.source = "hook";
  event.type = text_of(line, "type");
  event.t_wall = text_of(line, "t_wall");
  if (event.type.empty()) return std::nullopt;
  if (const auto mono = number_of(line, "t_mono_ns"); mono && *mono > 0) {
    event.t_mono_ns = *mono;
    event.clock_err_ns = number_of(line, "clock_err_ns").value_or(0);
  } else {
    const auto wall_ms = parse_wall_time(event.t_wall);
    if (!wall_ms || *wall_ms < 0 || *wall_ms > INT64_MAX / 4'000'000) return std::nullopt;
    event.t_mono_ns = *wall_ms * 1'000'000 + mono_minus_wall_ns;
    event.clock_err_ns = number_of(line, "clock_err_ns").value_or(kWallErrorNs);
  }
  const std::string plane = text_of(line, "plane");
  event.plane = plane.empty() ? "control" : plane;
  event.topic = text_of(line, "topic");
  event.lane = text_of(line, "lane");
  event.cause_id = text_of(line, "cause_id");
  if (const auto partition = number_of(line, "partition");
      partition && *partition >= 0 && *partition <= INT32_MAX)
    event.partition = static_cast<int32_t>(*partition);
  if (const auto epoch = number_of(line, "leader_epoch");
      epoch && *epoch >= 0 && *epoch <= INT32_MAX)
    event.leader_epoch = static_cast<int32_t>(*epoch);
  return event;
}

}  // namespace

std::vector<evidence::Event> parse_hook_log(std::string_view text, int64_t mono_minus_wall_ns) {
  std::vector<evidence::Event> events;
  while (!text.empty() && events.size() < kEventsMax) {
    const size_t end = std::min(text.find('\n'), text.size());
    const Json line = Json::parse(text.substr(0, end), nullptr, false);
    if (line.is_object())
      if (auto event = event_of(line, mono_minus_wall_ns)) events.push_back(std::move(*event));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return events;
}

}  // namespace paceline::drill
