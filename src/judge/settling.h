#pragma once

#include <optional>
#include <vector>

#include "judge/records.h"

namespace paceline::judge {

// The p99 of the probes' latency, second by second of the intended times. A second without an
// answer is as slow as its records are late.
struct SecondsOfLatency {
  int64_t from_ns = 0;
  std::vector<std::optional<double>> p99_ms;  // nothing: nothing was to be sent
};
SecondsOfLatency latency_by_second(const Dossier& dossier, const Logs& logs, int64_t from_ns,
                                   int64_t to_ns);

// What 19 of 20 seconds of the baseline keep.
std::optional<double> baseline_p99_ms(const Dossier& dossier, const Logs& logs);

}  // namespace paceline::judge
