#include "probe/overhead.h"

#include <algorithm>
#include <cmath>

#include "evidence/ledger.h"

namespace paceline::probe {

std::optional<int64_t> percentile(std::vector<int64_t> values, double share) {
  if (values.empty()) return std::nullopt;
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  const size_t at = std::min(std::max<size_t>(rank, 1), values.size()) - 1;
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(at));
  return values[at];
}

void Overhead::took(int64_t latency_ns) {
  if (!now_) return;
  auto& samples = *now_ == Beside::nobody ? without_ : with_;
  if (samples.size() < kSamplesMax) samples.push_back(latency_ns);
}

void Overhead::tell(evidence::Event& event) const {
  const size_t samples = std::min(without_.size(), with_.size());
  event.figures["samples"] = static_cast<int64_t>(samples);
  const auto tell = [&](const char* name, const std::vector<int64_t>& values, double share) {
    constexpr int64_t kUs = 1'000;
    const auto found = percentile(values, share);
    if (found) event.figures[name] = *found / kUs;
    return found.value_or(0);
  };
  tell("without_max_us", without_, 1);
  tell("with_max_us", with_, 1);
  event.unit = "ratio";
  if (samples < evidence::kSamplesForP99) return;
  // How many of N lie above the p99 is binomial.
  const auto apart = [](const std::vector<int64_t>& values) {
    return 1.96 * std::sqrt(0.99 * 0.01 / static_cast<double>(values.size()));
  };
  const int64_t without = tell("without_us", without_, 0.99);
  const int64_t with = tell("with_us", with_, 0.99);
  tell("without_most_us", without_, std::min(1.0, 0.99 + apart(without_)));
  tell("with_least_us", with_, 0.99 - apart(with_));
  if (without > 0) event.value = static_cast<double>(with) / static_cast<double>(without);
}

}  // namespace paceline::probe
