#pragma once

#include <string>

#include "page/report.h"

namespace paceline::page {

// Text that no page may take for markup, nor a script for its end.
inline const std::string kHostile =
    "</script><script>alert(1)</script><b onmouseover='x'>\"&\xe2\x80\xa8";

// Not a matcher: a failure would print the whole page.
inline bool has(std::string_view page, std::string_view words) {
  return page.find(words) != std::string_view::npos;
}

inline Json test_milestones(double zero_ms) {
  Json marks;
  for (int index = 0; index < kMilestones; ++index)
    marks[milestone_key(index)] = {{"state", "observed"},
                                   {"ms", zero_ms + index * 10.25},
                                   {"err_ms", 0.5},
                                   {"event", index == 3 ? "b-2" : "far-9"},
                                   {"by", "watcher:1"}};
  marks["t0"]["ms"] = zero_ms;
  marks["t0"]["event"] = "drill-1";
  marks["t3"]["state"] = "upper_bound";
  marks["t4"] = {{"state", "not_observable"},
                 {"ms", nullptr},
                 {"err_ms", nullptr},
                 {"event", nullptr},
                 {"by", nullptr}};
  return marks;
}

inline Json test_figure(std::string_view name, Json value, Json unit, std::string_view state) {
  return {{"name", name},     {"value", std::move(value)},   {"unit", std::move(unit)},
          {"green", "≤ 5 s"}, {"amber", "≤ 10 s"},           {"state", state},
          {"samples", 412},   {"events", {"drill-1", "b-2"}}};
}

inline Json test_run() {
  return {{"seed", 4242},
          {"began", "2026-11-28T00:01:00Z"},
          {"tool", {{"version", "0.1.0"}, {"build", "build-872b5ab"}}},
          {"target",
           {{"profile", "kafka"},
            {"name", "staging-eu"},
            {"version", "4.1"},
            {"config_hash", "6fd1c2a94b7e"},
            {"brokers", Json::array({Json{{"id", 1}}})},
            {"sabotage", nullptr}}},
          {"plan", {{"name", "kill"}, {"sha256", std::string(64, 'a')}}},
          {"rollback",
           {{"point", "leaders as of noon"},
            {"command", "paceline leader balance"},
            {"owner", "on-call platform"},
            {"rule", "clients fail for 60 s"},
            {"rehearsed", "2026-11-20T10:00:00Z"},
            {"rehearsed_ms", 18250}}},
          {"topics", Json::array()},
          {"clients", Json::array()},
          {"previous", nullptr}};
}

// What the drill found: every list of a report, with an item or two in each.
inline void add_findings(Json& report) {
  report["readiness"] = {{{"item", "client_behaviour"},
                          {"state", "amber"},
                          {"measured", "94 % idempotent"},
                          {"limit", "≥ 95 %"},
                          {"evidence", "timeline.ndjson"},
                          {"expires", "2026-12-28T00:01:00Z"},
                          {"event", "drill-1"}}};
  report["dimensions"] = {
      {{"name", "fault_recovery"},
       {"state", "green"},
       {"findings", {{{"text", "N1 passed"}, {"state", "green"}, {"events", {"b-2"}}}}}}};
  report["scorecard"] = {{{"id", "leaders"},
                          {"question", "Did leaders move with no hidden client cost?"},
                          {"state", "red"},
                          {"why", "too slow"},
                          {"figures",
                           {test_figure("unplanned_p99_ms", 12345.678, "ms", "red"),
                            test_figure("bytes", 8388608, "bytes", "green")}}}};
  report["negative_tests"] = {{{"id", "N6"},
                               {"name", "zombie"},
                               {"state", "green"},
                               {"measured", "0 acks"},
                               {"green", "0"},
                               {"red", "any ack"},
                               {"events", {"b-2"}}}};
  report["anomalies"] = {{{"name", "lost"},
                          {"topic", "orders"},
                          {"partition", 3},
                          {"seq", 1204},
                          {"offset", 90210},
                          {"what", kHostile},
                          {"events", {"drill-1"}}}};
  report["recovery"] = {
      {"unuploaded_bytes", 8388608},  {"bytes_read", 1048576},
      {"bytes_written", nullptr},     {"requests", {{"get", 31}, {"put", 12}, {"list", 2}}},
      {"historical_bytes_copied", 0}, {"left_over_ms", 6200},
      {"orphans", nullptr},           {"usd", {{"value", 0.000117}, {"prices", "S3 standard"}}}};
}

inline Json test_report(int partitions = 3) {
  const Json gap = {{"samples", 412}, {"p50_ms", 300.5}, {"p99_ms", 912.25}, {"max_ms", 4182.5}};
  Json report = {{"api_version", "paceline/v1"},
                 {"kind", "DrillReport"},
                 {"run_id", "r-7"},
                 {"verdict", "red"},
                 {"exit_code", 4},
                 {"reason", nullptr},
                 {"sentence", "One record was lost. " + kHostile},
                 {"external_only", true},
                 {"run", test_run()}};
  report["clock"] = {{"bound_ms", 0.75},
                     {"sources", {{{"source", "b"}, {"offset_ms", 0.1}, {"err_ms", 0.75}}}},
                     {"contradictions", Json::array()}};
  report["gap"] = gap;
  report["gap"]["planned"] = report["gap"]["unplanned"] = gap;
  report["counts"] = {{"sent", 182466},  {"acked", 182400}, {"lost", 1},
                      {"duplicated", 0}, {"reordered", 0},  {"errors", 211}};
  report["steps"] = {{{"id", "kill-1"},
                      {"fault", "sigkill"},
                      {"test", "N1"},
                      {"planned", false},
                      {"effective_ms", 1000},
                      {"healed_ms", 9000},
                      {"broker", 1},
                      {"gap", gap},
                      {"derived", {{"detect_ms", gap}}},
                      {"dominant", "wal"},
                      {"state", "red"}}};
  report["partitions"] = Json::array();
  for (int partition = 0; partition < partitions; ++partition)
    report["partitions"].push_back({{"step", "kill-1"},
                                    {"topic", "orders"},
                                    {"partition", partition},
                                    {"from", 1},
                                    {"to", 2},
                                    {"gap_ms", 500.5 + partition},
                                    {"gap_last_ms", 600.5 + partition},
                                    {"milestones", test_milestones(1000)}});
  add_findings(report);
  report["dominant"] = {{"unit", "wal"}, {"ms", 331}, {"share", 0.44}, {"why", "replay"}};
  report["next_step"] = {{"kind", "runbook"}, {"text", "Upload more often."}};
  report["phases"] = {{{"phase", "P4"},
                       {"name", "observe"},
                       {"step", "kill-1"},
                       {"from_ms", 0},
                       {"to_ms", 9000},
                       {"events", {"drill-1"}}}};
  const auto event = [](const char* id, double ms, const char* type, const Json& cause) {
    return Json{{"event", id},          {"ms", ms},      {"err_ms", 0.5},     {"source", "drill"},
                {"plane", "control"},   {"type", type},  {"text", "it said"}, {"topic", nullptr},
                {"partition", nullptr}, {"cause", cause}};
  };
  report["events"] = {event("drill-1", 1000, "fault.effective", nullptr),
                      event("b-2", 1030.75, "broker.fenced", "drill-1")};
  report["events_left_out"] = 1207;
  report["series"] = {{"bin_ms", 100},
                      {"from_ms", -1000},
                      {"acks", {10, 0, 11}},
                      {"errors", {0, 3, 0}},
                      {"rebalances", {0, 0, 1}},
                      {"latency", Json::array()},
                      {"lag", Json::array()},
                      {"staleness_ms", Json::array()},
                      {"store", {{"put", {1, 2, 3}}}}};
  report["evidence"] = {
      {"files", {{{"name", "ledger.bin"}, {"bytes", 1234567}, {"sha256", std::string(64, 'e')}}}},
      {"holes", {{{"source", "watcher"}, {"missing", 2}}}},
      {"damaged_lines", 0},
      {"damaged_rows", 5},
      {"cut", true}};
  report["reproduce"] = "paceline drill run --seed 4242";
  return report;
}

}  // namespace paceline::page
