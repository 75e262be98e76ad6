#include "page/report_shape.h"

#include <fmt/format.h>

namespace paceline::page {
namespace {

enum class Kind {
  text,
  words,
  number,
  flag,
  state,
  list,
  object,
  objects,
  optional_object,
  scalar
};

// `words`, `number`, `flag` and `scalar` may be null, and an optional object; then nothing below it
// is asked for. `[]`: each item.
struct Shape {
  std::string_view path;
  Kind kind;
};
constexpr Shape kShape[] = {
    {"api_version", Kind::text},
    {"kind", Kind::text},
    {"run_id", Kind::text},
    {"verdict", Kind::state},
    {"exit_code", Kind::number},
    {"reason", Kind::words},
    {"sentence", Kind::text},
    {"external_only", Kind::flag},
    {"run", Kind::object},
    {"run.seed", Kind::number},
    {"run.began", Kind::words},
    {"run.target", Kind::object},
    {"run.target.name", Kind::words},
    {"run.target.config_hash", Kind::words},
    {"run.plan", Kind::object},
    {"run.plan.name", Kind::words},
    {"run.rollback", Kind::optional_object},
    {"run.rollback.point", Kind::words},
    {"run.rollback.owner", Kind::words},
    {"run.topics", Kind::objects},
    {"run.clients", Kind::objects},
    {"clock", Kind::object},
    {"clock.bound_ms", Kind::number},
    {"clock.sources", Kind::objects},
    {"clock.contradictions", Kind::objects},
    {"gap", Kind::object},
    {"gap.samples", Kind::number},
    {"gap.p50_ms", Kind::number},
    {"gap.p99_ms", Kind::number},
    {"gap.max_ms", Kind::number},
    {"counts", Kind::object},
    {"counts.acked", Kind::number},
    {"counts.lost", Kind::number},
    {"counts.duplicated", Kind::number},
    {"anomalies", Kind::objects},
    {"anomalies[].name", Kind::text},
    {"anomalies[].what", Kind::words},
    {"steps", Kind::objects},
    {"steps[].id", Kind::text},
    {"steps[].fault", Kind::text},
    {"steps[].effective_ms", Kind::number},
    {"steps[].healed_ms", Kind::number},
    {"steps[].state", Kind::state},
    {"steps[].gap", Kind::optional_object},
    {"steps[].derived", Kind::optional_object},
    {"partitions", Kind::objects},
    {"partitions[].step", Kind::text},
    {"partitions[].topic", Kind::text},
    {"partitions[].partition", Kind::number},
    {"partitions[].gap_ms", Kind::number},
    {"partitions[].gap_last_ms", Kind::number},
    {"partitions[].milestones", Kind::object},
    {"recovery", Kind::object},
    {"recovery.requests", Kind::optional_object},
    {"recovery.usd", Kind::optional_object},
    {"readiness", Kind::objects},
    {"readiness[].item", Kind::text},
    {"readiness[].state", Kind::state},
    {"readiness[].measured", Kind::scalar},
    {"readiness[].limit", Kind::scalar},
    {"readiness[].expires", Kind::words},
    {"dimensions", Kind::objects},
    {"dimensions[].name", Kind::text},
    {"dimensions[].state", Kind::state},
    {"dimensions[].findings", Kind::objects},
    {"dimensions[].findings[].text", Kind::text},
    {"dimensions[].findings[].state", Kind::state},
    {"scorecard", Kind::objects},
    {"scorecard[].id", Kind::text},
    {"scorecard[].question", Kind::text},
    {"scorecard[].state", Kind::state},
    {"scorecard[].why", Kind::words},
    {"scorecard[].figures", Kind::objects},
    {"scorecard[].figures[].name", Kind::text},
    {"scorecard[].figures[].value", Kind::scalar},
    {"scorecard[].figures[].unit", Kind::words},
    {"scorecard[].figures[].green", Kind::scalar},
    {"scorecard[].figures[].amber", Kind::scalar},
    {"scorecard[].figures[].state", Kind::state},
    {"negative_tests", Kind::objects},
    {"negative_tests[].id", Kind::text},
    {"negative_tests[].name", Kind::text},
    {"negative_tests[].state", Kind::state},
    {"negative_tests[].measured", Kind::scalar},
    {"dominant", Kind::optional_object},
    {"dominant.unit", Kind::text},
    {"dominant.ms", Kind::number},
    {"dominant.share", Kind::number},
    {"next_step", Kind::optional_object},
    {"next_step.kind", Kind::text},
    {"next_step.text", Kind::words},
    {"phases", Kind::objects},
    {"phases[].phase", Kind::text},
    {"phases[].name", Kind::words},
    {"phases[].from_ms", Kind::number},
    {"phases[].to_ms", Kind::number},
    {"events", Kind::objects},
    {"events[].event", Kind::text},
    {"events[].ms", Kind::number},
    {"events[].err_ms", Kind::number},
    {"events[].source", Kind::text},
    {"events[].plane", Kind::text},
    {"events[].type", Kind::text},
    {"events_left_out", Kind::number},
    {"series", Kind::object},
    {"series.bin_ms", Kind::number},
    {"series.from_ms", Kind::number},
    {"series.acks", Kind::list},
    {"series.acks[]", Kind::number},
    {"series.errors", Kind::list},
    {"series.errors[]", Kind::number},
    {"series.latency", Kind::objects},
    {"series.lag", Kind::objects},
    {"evidence", Kind::object},
    {"evidence.files", Kind::objects},
    {"evidence.files[].name", Kind::text},
    {"evidence.files[].sha256", Kind::text},
    {"reproduce", Kind::words},
};

std::string_view expected(Kind kind) {
  switch (kind) {
    case Kind::text:
      return "text";
    case Kind::words:
      return "text or null";
    case Kind::number:
      return "a number or null";
    case Kind::flag:
      return "true, false or null";
    case Kind::state:
      return "green, amber, red or grey";
    case Kind::list:
      return "a list";
    case Kind::objects:
      return "a list of objects";
    case Kind::object:
      return "an object";
    case Kind::optional_object:
      return "an object or null";
    case Kind::scalar:
      return "a number, text or null";
  }
  return "";
}

bool is_state(const Json& value) {
  if (!value.is_string()) return false;
  const auto& word = value.get_ref<const std::string&>();
  return word == "green" || word == "amber" || word == "red" || word == "grey";
}

bool holds(const Json& value, Kind kind) {
  switch (kind) {
    case Kind::text:
      return value.is_string();
    case Kind::words:
      return value.is_string() || value.is_null();
    case Kind::number:
      return value.is_number() || value.is_null();
    case Kind::flag:
      return value.is_boolean() || value.is_null();
    case Kind::state:
      return is_state(value);
    case Kind::list:
      return value.is_array();
    case Kind::objects:
      return value.is_array() &&
             std::ranges::all_of(value, [](const Json& item) { return item.is_object(); });
    case Kind::object:
      return value.is_object();
    case Kind::optional_object:
      return value.is_object() || value.is_null();
    case Kind::scalar:
      return value.is_primitive();
  }
  return false;
}

// `at` is how `here` is called in an error.
Result<void> check(const Json& here, std::string_view path, Kind kind, const std::string& at) {
  if (path.empty()) {
    if (holds(here, kind)) return {};
    return fail(Code::corrupt, fmt::format("the report's {} is not {}", at, expected(kind)));
  }
  if (path.starts_with("[]")) {
    path.remove_prefix(path.starts_with("[].") ? 3 : 2);
    size_t index = 0;
    for (const Json& item : here)
      TRY_VOID(check(item, path, kind, fmt::format("{}[{}]", at, index++)));
    return {};
  }
  if (here.is_null()) return {};
  const size_t end = std::min(path.find_first_of(".["), path.size());
  const std::string_view name = path.substr(0, end);
  path.remove_prefix(end);
  if (path.starts_with('.')) path.remove_prefix(1);
  const std::string deeper = at.empty() ? std::string(name) : fmt::format("{}.{}", at, name);
  const auto found = here.find(name);
  if (found == here.end()) return fail(Code::corrupt, fmt::format("the report has no {}", deeper));
  return check(*found, path, kind, deeper);
}

}  // namespace

Result<void> check_shape(const Json& report) {
  if (!report.is_object()) return fail(Code::corrupt, "the report is not an object");
  for (const Shape& shape : kShape) TRY_VOID(check(report, shape.path, shape.kind, ""));
  if (text(report, "api_version") != "paceline/v1")
    return fail(Code::corrupt, "the report's api_version is not paceline/v1");
  if (text(report, "kind") != "DrillReport")
    return fail(Code::corrupt, "the report's kind is not DrillReport");
  return {};
}

}  // namespace paceline::page
