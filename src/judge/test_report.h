#pragma once

#include <nlohmann/json.hpp>

#include "judge/test_evidence.h"

namespace paceline::judge {

// The report of made evidence, and what a test looks up in it.
using Json = nlohmann::json;

inline Json report_of(const TestEvidence& evidence) {
  return Json::parse(evidence.judged().report_json);
}
inline std::string state_of(const Json& report, const char* list, std::string_view id) {
  for (const Json& row : report[list])
    if (row["id"] == id) return row["state"];
  return "absent";
}
// Of that figure of the row whose name begins so.
inline Json figure_of(const Json& report, std::string_view id, std::string_view name) {
  for (const Json& row : report["scorecard"])
    if (row["id"] == id)
      for (const Json& figure : row["figures"])
        if (figure["name"].get<std::string>().starts_with(name)) return figure;
  return {};
}
inline bool is_probe(const evidence::LedgerRow& row, uint64_t seq) {
  return row.topic == 0 && row.partition == 1 && row.seq == seq;
}

}  // namespace paceline::judge
