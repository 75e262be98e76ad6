#include "counters.h"

namespace paceline::proxy {
namespace {

constexpr size_t kLogMax = 20'000;

}  // namespace

Count& Counters::of(const std::string& key, const std::string& kind) {
  for (const std::string& one : classes_)
    if (key.find(one) != std::string::npos) return counts_[one][kind];
  return counts_["other"][kind];
}

void Counters::note(Entry entry) {
  if (log_.size() >= kLogMax) log_.pop_front();
  log_.push_back(std::move(entry));
}

void Counters::reset() {
  counts_.clear();
  log_.clear();
  connections = upstream_broken = 0;
  open_max = open;
  in_flight_max = in_flight;
}

nlohmann::json Counters::told() const {
  nlohmann::json told{{"connections", connections},     {"open", open},
                      {"open_max", open_max},           {"in_flight", in_flight},
                      {"in_flight_max", in_flight_max}, {"upstream_broken", upstream_broken}};
  nlohmann::json& classes = told["classes"] = nlohmann::json::object();
  for (const auto& [name, kinds] : counts_)
    for (const auto& [kind, count] : kinds)
      classes[name][kind] = {{"requests", count.requests},     {"answered", count.answered},
                             {"faults", count.faults},         {"bytes_in", count.bytes_in},
                             {"bytes_out", count.bytes_out},   {"ok", count.ok},
                             {"errors_4xx", count.errors_4xx}, {"errors_5xx", count.errors_5xx},
                             {"broken", count.broken}};
  return told;
}

nlohmann::json Counters::log() const {
  nlohmann::json told = nlohmann::json::array();
  for (const Entry& entry : log_)
    told.push_back({{"ms", entry.ms},
                    {"took_ms", entry.took_ms},
                    {"kind", entry.kind},
                    {"key", entry.key},
                    {"fault", entry.fault},
                    {"status", entry.status},
                    {"bytes_in", entry.bytes_in},
                    {"bytes_out", entry.bytes_out}});
  return told;
}

}  // namespace paceline::proxy
