#include "judge/report_json.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace paceline::judge {
namespace {

using Json = nlohmann::ordered_json;

// Three digits behind the dot: the clocks know no more.
Json ms(double value) {
  return std::round(value * 1e3) / 1e3;
}
Json ms(const std::optional<double>& value) {
  return value ? ms(*value) : Json();
}
template <class Value>
Json maybe(const std::optional<Value>& value) {
  return value ? Json(*value) : Json();
}
Json word(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}
Json state(State value) {
  return std::string(name_of(value));
}

Json words(const std::vector<std::string>& list) {
  Json array = Json::array();
  for (const std::string& text : list) array.push_back(text);
  return array;
}

template <class Items, class Write>
Json list(const Items& items, Write write) {
  Json array = Json::array();
  for (const auto& item : items) array.push_back(write(item));
  return array;
}

Json numbers(const Series::Numbers& values) {
  Json array = Json::array();
  for (const auto& value : values) array.push_back(ms(value));
  return array;
}

Json quantiles(const Quantiles& value) {
  return {{"samples", value.samples},
          {"p50_ms", ms(value.p50)},
          {"p99_ms", ms(value.p99)},
          {"max_ms", ms(value.max)}};
}

const char* name_of(Milestone::State value) {
  switch (value) {
    case Milestone::State::observed:
      return "observed";
    case Milestone::State::upper_bound:
      return "upper_bound";
    case Milestone::State::not_observable:
      return "not_observable";
    case Milestone::State::never:
      return "never";
    case Milestone::State::not_concerned:
      break;
  }
  return "not_concerned";
}

Json milestones(const Milestones& all) {
  Json object = Json::object();
  for (size_t i = 0; i < all.size(); ++i)
    object["t" + std::to_string(i)] = {{"state", name_of(all[i].state)},
                                       {"ms", ms(all[i].ms)},
                                       {"err_ms", ms(all[i].err_ms)},
                                       {"event", word(all[i].event)},
                                       {"by", word(all[i].by)}};
  return object;
}

Json clock(const Clock& value) {
  return {{"bound_ms", ms(value.bound_ms)},
          {"sources", list(value.sources,
                           [](const ClockRow& row) -> Json {
                             return {{"source", row.source},
                                     {"offset_ms", ms(row.offset_ms)},
                                     {"err_ms", ms(row.err_ms)}};
                           })},
          {"contradictions", list(value.contradictions, [](const Contradiction& one) -> Json {
             return {{"events", words(one.events)}, {"what", one.what}};
           })}};
}

Json counts(const Counts& value) {
  return {{"sent", value.sent},
          {"acked", value.acked},
          {"failed", value.failed},
          {"unknown", value.unknown},
          {"read", value.read},
          {"lost", maybe(value.lost)},
          {"duplicated", value.duplicated},
          {"reordered", value.reordered},
          {"damaged", value.damaged},
          {"never_read", maybe(value.never_read)},
          {"errors", value.errors},
          {"errors_excepted", value.errors_excepted},
          {"rebalances_extra", value.rebalances_extra}};
}

Json anomaly(const AnomalyRow& row) {
  return {{"name", row.name},
          {"topic", word(row.topic)},
          {"partition", maybe(row.partition)},
          {"seq", maybe(row.seq)},
          {"offset", maybe(row.offset)},
          {"what", row.what},
          {"events", words(row.events)}};
}

Json step(const StepRow& row) {
  return {{"id", row.id},
          {"fault", word(row.fault)},
          {"test", word(row.test)},
          {"planned", row.planned},
          {"effective_ms", ms(row.effective_ms)},
          {"healed_ms", ms(row.healed_ms)},
          {"broker", maybe(row.broker)},
          {"gap", quantiles(row.gap)},
          {"wait_elsewhere_ms", ms(row.wait_elsewhere_ms)},
          {"derived",
           {{"detect_ms", quantiles(row.detect)},
            {"own_ms", quantiles(row.own)},
            {"hop_ms", quantiles(row.hop)},
            {"gap_ms", quantiles(row.gap_first)},
            {"gap_last_ms", quantiles(row.gap_last)},
            {"settle_ms", quantiles(row.settle)},
            {"storage_tail_ms", quantiles(row.storage_tail)}}},
          {"dominant", word(row.dominant)},
          {"state", state(row.state)}};
}

Json partition(const PartitionRow& row) {
  return {{"step", row.step},
          {"topic", row.topic},
          {"partition", row.partition},
          {"from", maybe(row.from)},
          {"to", maybe(row.to)},
          {"gap_ms", ms(row.gap_ms)},
          {"gap_last_ms", ms(row.gap_last_ms)},
          {"milestones", milestones(row.milestones)}};
}

Json recovery(const Recovery& value) {
  Json events = Json::object();
  for (const auto& [field, ids] : value.events_of) events[field] = words(ids);
  return {{"unuploaded_bytes", maybe(value.unuploaded_bytes)},
          {"bytes_read", maybe(value.bytes_read)},
          {"bytes_written", maybe(value.bytes_written)},
          {"requests",
           {{"get", maybe(value.requests_get)},
            {"put", maybe(value.requests_put)},
            {"list", maybe(value.requests_list)}}},
          {"historical_bytes_copied", maybe(value.historical_bytes_copied)},
          {"left_over_ms", ms(value.left_over_ms)},
          {"orphans", maybe(value.orphans)},
          {"usd", {{"value", maybe(value.usd)}, {"prices", word(value.prices)}}},
          {"events", std::move(events)}};
}

Json readiness(const ReadinessRow& row) {
  return {{"item", row.item},
          {"state", state(row.state)},
          {"measured", word(row.measured)},
          {"limit", word(row.limit)},
          {"evidence", word(row.evidence)},
          {"expires", word(row.expires)},
          {"event", word(row.event)}};
}

Json dimension(const Dimension& value) {
  return {{"name", value.name},
          {"state", state(value.state)},
          {"findings", list(value.findings, [](const Finding& finding) -> Json {
             return {{"text", finding.text},
                     {"state", state(finding.state)},
                     {"events", words(finding.events)}};
           })}};
}

Json figure(const Figure& value) {
  return {{"name", value.name},
          {"value", ms(value.value)},
          {"unit", word(value.unit)},
          {"green", word(value.green)},
          {"amber", word(value.amber)},
          {"state", state(value.state)},
          {"required", value.required},
          {"samples", maybe(value.samples)},
          {"events", words(value.events)},
          {"evidence", words(value.files)}};
}

Json negative(const NegativeTest& test) {
  return {{"id", test.id},
          {"name", test.name},
          {"state", state(test.state)},
          {"measured", test.measured},
          {"green", test.green},
          {"red", test.red},
          {"events", words(test.events)}};
}

Json phase(const PhaseRow& row) {
  return {{"phase", row.phase},         {"name", word(row.name)}, {"step", word(row.step)},
          {"from_ms", ms(row.from_ms)}, {"to_ms", ms(row.to_ms)}, {"events", words(row.events)}};
}

Json event(const EventRow& row) {
  return {
      {"event", row.event},      {"ms", ms(row.ms)},         {"err_ms", ms(row.err_ms)},
      {"source", row.source},    {"plane", row.plane},       {"type", row.type},
      {"text", word(row.text)},  {"topic", word(row.topic)}, {"partition", maybe(row.partition)},
      {"cause", word(row.cause)}};
}

Json series(const Series& value) {
  Json lag = Json::array();
  for (const auto& [group, records] : value.lag)
    lag.push_back({{"group", group}, {"records", numbers(records)}});
  return {{"bin_ms", ms(value.bin_ms)},
          {"from_ms", ms(value.from_ms)},
          {"acks", Json(value.acks)},
          {"errors", Json(value.errors)},
          {"rebalances", Json(value.rebalances)},
          {"latency", list(value.latency,
                           [](const Series::Latency& line) -> Json {
                             return {{"client", line.client},
                                     {"kind", line.kind},
                                     {"p50_ms", numbers(line.p50)},
                                     {"p99_ms", numbers(line.p99)},
                                     {"max_ms", numbers(line.max)}};
                           })},
          {"lag", std::move(lag)},
          {"staleness_ms", numbers(value.staleness)},
          {"store",
           {{"put", numbers(value.put)},
            {"get", numbers(value.get)},
            {"list", numbers(value.list)},
            {"bytes", numbers(value.bytes)}}}};
}

Json evidence(const EvidenceRow& row) {
  Json holes = Json::array();
  for (const auto& [source, missing] : row.holes)
    holes.push_back({{"source", source}, {"missing", missing}});
  return {{"files", list(row.files,
                         [](const EvidenceFile& file) -> Json {
                           return {
                               {"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}};
                         })},
          {"holes", std::move(holes)},
          {"damaged_lines", row.damaged_lines},
          {"damaged_rows", row.damaged_rows},
          {"cut", row.cut}};
}

Json gaps(const Report& report) {
  Json all = quantiles(report.gap);
  all["planned"] = quantiles(report.gap_planned);
  all["unplanned"] = quantiles(report.gap_unplanned);
  return all;
}

Json dominant(const std::optional<Dominant>& value) {
  if (!value) return {};
  return {{"unit", value->unit},
          {"ms", ms(value->ms)},
          {"share", ms(value->share)},
          {"why", value->why}};
}

Json row(const Row& value) {
  return {{"id", value.id},
          {"question", value.question},
          {"state", state(value.state)},
          {"why", value.why},
          {"figures", list(value.figures, figure)}};
}

// Of runs before the command was written down: as near as it is known.
std::string command_of(const evidence::Run& run) {
  if (!run.command.empty()) return run.command;
  return fmt::format("paceline drill run {} --seed {}", run.plan.name, run.seed);
}

}  // namespace

std::string report_json(const Dossier& dossier, const Files& files, const Report& report) {
  const Json json = {
      {"api_version", "paceline/v1"},
      {"kind", "DrillReport"},
      {"run_id", dossier.run.run_id},
      {"verdict", state(report.verdict)},
      {"exit_code", report.exit_code},
      {"reason", word(report.reason)},
      {"sentence", report.sentence},
      {"external_only", dossier.run.target.external_only},
      {"run", Json::parse(files.at("run.json"), nullptr, false)},
      {"clock", clock(report.clock)},
      {"gap", gaps(report)},
      {"counts", counts(report.counts)},
      {"anomalies", list(report.anomalies, anomaly)},
      {"steps", list(report.steps, step)},
      {"partitions", list(report.partitions, partition)},
      {"recovery", recovery(report.recovery)},
      {"readiness", list(report.readiness, readiness)},
      {"dimensions", list(report.dimensions, dimension)},
      {"scorecard", list(report.scorecard, row)},
      {"negative_tests", list(report.negative, negative)},
      {"dominant", dominant(report.dominant)},
      {"next_step", {{"kind", report.next_step.kind}, {"text", report.next_step.text}}},
      {"phases", list(report.phases, phase)},
      {"events", list(report.events, event)},
      {"events_left_out", report.events_left_out},
      {"series", series(report.series)},
      {"evidence", evidence(report.evidence)},
      {"reproduce", command_of(dossier.run)}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace paceline::judge
