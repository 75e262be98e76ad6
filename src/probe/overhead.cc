#include "probe/overhead.h"

#include <algorithm>
#include <cmath>

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
  constexpr int64_t kUs = 1'000;
  const auto without = percentile(without_, 0.99);
  const auto with = percentile(with_, 0.99);
  event.figures["samples"] = static_cast<int64_t>(std::min(without_.size(), with_.size()));
  if (without) event.figures["without_us"] = *without / kUs;
  if (with) event.figures["with_us"] = *with / kUs;
  if (!without || !with || *without <= 0) return;
  event.value = static_cast<double>(*with) / static_cast<double>(*without);
  event.unit = "ratio";
}

}  // namespace paceline::probe
