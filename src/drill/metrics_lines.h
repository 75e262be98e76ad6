#pragma once

#include <optional>
#include <string_view>

namespace paceline::drill {

// The sum of all samples of this name whose labels hold `label` (`kind="put"`); nothing: there is
// none. `text` is in the format of Prometheus.
std::optional<double> sum_of(std::string_view text, std::string_view name, std::string_view label);

}  // namespace paceline::drill
