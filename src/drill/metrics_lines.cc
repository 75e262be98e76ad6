#include "drill/metrics_lines.h"

#include <algorithm>
#include <charconv>

namespace paceline::drill {

std::optional<double> sum_of(std::string_view text, std::string_view name, std::string_view label) {
  std::optional<double> sum;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.starts_with(name)) continue;
    std::string_view rest = line.substr(name.size());
    std::string_view labels;
    if (rest.starts_with('{')) {
      const size_t close = rest.rfind('}');
      if (close == std::string_view::npos) continue;
      labels = rest.substr(1, close - 1);
      rest.remove_prefix(close + 1);
    }
    if (!rest.starts_with(' ')) continue;  // a longer name
    if (!label.empty() && labels.find(label) == std::string_view::npos) continue;
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    double value = 0;
    const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (parsed.ec == std::errc{}) sum = sum.value_or(0) + value;
  }
  return sum;
}

}  // namespace paceline::drill
