#include "page/timeline_data.h"

#include <cmath>
#include <map>

#include "page/escape.h"
#include "page/spread.h"

namespace paceline::page {
namespace {

// Microseconds are enough, and short.
Json rounded(std::optional<double> value) {
  if (!value) return nullptr;
  const double scaled = std::round(*value * 1e3) / 1e3;
  if (!std::isfinite(scaled)) return *value;
  if (scaled == std::trunc(scaled) && std::abs(scaled) < 1e15) return static_cast<int64_t>(scaled);
  return scaled;
}

Json numbers(const Json& values) {
  Json out = Json::array();
  for (const Json& value : values)
    out.push_back(value.is_number() ? rounded(value.get<double>()) : Json(nullptr));
  return out;
}

Json places_of(const Json& events, const EventPlaces& places) {
  Json out = Json::array();
  for (const Json& event : events) {
    if (!event.is_string()) continue;
    if (const auto place = places.find(event.get_ref<const std::string&>())) out.push_back(*place);
  }
  return out;
}

Json phases(const Source& source) {
  Json out = Json::array();
  for (const Json& phase : list(source.report, "phases"))
    out.push_back({text(phase, "phase"), text(phase, "name"), text(phase, "step"),
                   rounded(number(phase, "from_ms")), rounded(number(phase, "to_ms")),
                   places_of(list(phase, "events"), source.places)});
  return out;
}

Json steps(const Source& source) {
  const auto by_step = partitions_by_step(source.report);
  Json out = Json::array();
  size_t index = 0;
  for (const Json& step : list(source.report, "steps")) {
    const auto& partitions = by_step[index++];
    Json marks = Json::array();
    for (const Spread& spread : spreads(partitions)) {
      if (spread.seen == 0) {
        marks.push_back(spread.never != 0 ? "never" : "not observable");
        continue;
      }
      marks.push_back({rounded(spread.min_ms), rounded(spread.median_ms), rounded(spread.max_ms),
                       rounded(spread.err_ms), spread.seen, partitions.size(), spread.by,
                       places_of(spread.events, source.places)});
    }
    out.push_back({{"id", text(step, "id")},
                   {"fault", text(step, "fault")},
                   {"effective", rounded(number(step, "effective_ms"))},
                   {"healed", rounded(number(step, "healed_ms"))},
                   {"marks", std::move(marks)}});
  }
  return out;
}

// The first of these milestones that was seen.
Json seen(const Json& milestones, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const Json& milestone = field(milestones, name); is_seen(milestone))
      return rounded(number(milestone, "ms"));
  return nullptr;
}

Json partitions(const Source& source) {
  Json topics = Json::array(), rows = Json::array();
  std::map<std::string_view, size_t> known;
  for (const Json& partition : list(source.report, "partitions")) {
    const auto [topic, is_new] = known.try_emplace(text(partition, "topic"), known.size());
    if (is_new) topics.push_back(topic->first);
    const Json& milestones = field(partition, "milestones");
    const auto step = step_of(source.report, partition);
    const bool never = text(field(milestones, "t8"), "state") == "never";
    rows.push_back(
        {step ? Json(*step) : Json(nullptr), topic->second, rounded(number(partition, "partition")),
         seen(milestones, {"t1", "t0"}), seen(milestones, {"t3"}),
         never ? Json(nullptr) : seen(milestones, {"t8", "t6"}),
         rounded(number(partition, "gap_ms")), rounded(number(partition, "gap_last_ms"))});
  }
  return {{"topics", std::move(topics)}, {"rows", std::move(rows)}};
}

Json events(const Source& source) {
  Json out = Json::array();
  for (const Json& event : list(source.report, "events"))
    out.push_back({rounded(number(event, "ms")), rounded(number(event, "err_ms")),
                   text(event, "plane"), text(event, "type"), text(event, "source"),
                   text(event, "topic"), rounded(number(event, "partition"))});
  return out;
}

Json series(const Json& from) {
  Json latency = Json::array(), lag = Json::array(), by_name = Json::array();
  for (const Json& one : list(from, "latency"))
    latency.push_back({{"client", text(one, "client")},
                       {"kind", text(one, "kind")},
                       {"p50", numbers(list(one, "p50_ms"))},
                       {"p99", numbers(list(one, "p99_ms"))},
                       {"max", numbers(list(one, "max_ms"))}});
  for (const Json& one : list(from, "lag"))
    lag.push_back({{"group", text(one, "group")}, {"records", numbers(list(one, "records"))}});
  for (const Json& one : list(from, "errors_by_name"))
    by_name.push_back({text(one, "error"), numbers(list(one, "count"))});
  const Json& store = field(from, "store");
  return {{"bin", rounded(number(from, "bin_ms"))},
          {"from", rounded(number(from, "from_ms"))},
          {"acks", numbers(list(from, "acks"))},
          {"errors", numbers(list(from, "errors"))},
          {"errorsByName", std::move(by_name)},
          {"rebalances", numbers(list(from, "rebalances"))},
          {"latency", std::move(latency)},
          {"lag", std::move(lag)},
          {"staleness", numbers(list(from, "staleness_ms"))},
          {"put", numbers(list(store, "put"))},
          {"get", numbers(list(store, "get"))},
          {"list", numbers(list(store, "list"))},
          {"bytes", numbers(list(store, "bytes"))}};
}

}  // namespace

std::string timeline_data(const Source& source) {
  const Json data = {{"phases", phases(source)},
                     {"steps", steps(source)},
                     {"parts", partitions(source)},
                     {"events", events(source)},
                     {"series", series(field(source.report, "series"))}};
  return script_json(data.dump());
}

}  // namespace paceline::page
