#include "judge/stats.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "evidence/ledger.h"

namespace paceline::judge {

double nearest_rank(const std::vector<double>& sorted, double share) {
  CHECK(!sorted.empty());
  const double rank = std::ceil(share * static_cast<double>(sorted.size()));
  return sorted[std::min(sorted.size() - 1, static_cast<size_t>(std::max(rank, 1.0)) - 1)];
}

Quantiles quantiles_of(std::vector<double> samples) {
  Quantiles result;
  result.samples = samples.size();
  if (samples.empty()) return result;
  std::ranges::sort(samples);
  result.p50 = nearest_rank(samples, 0.5);
  if (samples.size() >= evidence::kSamplesForP99) result.p99 = nearest_rank(samples, 0.99);
  result.max = samples.back();
  return result;
}

std::string_view name_of(State state) {
  switch (state) {
    case State::green:
      return "green";
    case State::amber:
      return "amber";
    case State::red:
      return "red";
    case State::grey:
      return "grey";
  }
  return "grey";
}

State worse(State a, State b) {
  for (const State worst : {State::red, State::grey, State::amber})
    if (a == worst || b == worst) return worst;
  return State::green;
}

}  // namespace paceline::judge
