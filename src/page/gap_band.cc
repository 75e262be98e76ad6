#include "page/gap_band.h"

#include <fmt/format.h>

#include "page/escape.h"
#include "page/words.h"

namespace paceline::page {
namespace {

// More rows than that would be thinner than a pixel.
constexpr size_t kRowsMax = 240;
constexpr double kWidth = 1000;

struct Bar {
  double gap_ms, last_ms;
};

std::vector<Bar> bars(const Json& report) {
  std::vector<Bar> all;
  for (const Json& partition : list(report, "partitions"))
    if (const auto gap = number(partition, "gap_ms"))
      all.push_back({*gap, std::max(*gap, number(partition, "gap_last_ms").value_or(*gap))});
  std::ranges::stable_sort(all, std::greater<>{}, &Bar::gap_ms);
  return all;
}

// Rows of equal height as one path, each the worst of its group.
std::string path(const std::vector<Bar>& all, size_t rows, double scale_ms, double Bar::* length) {
  std::string out;
  for (size_t row = 0; row < rows; ++row) {
    const auto group = std::ranges::subrange(all.begin() + row * all.size() / rows,
                                             all.begin() + (row + 1) * all.size() / rows);
    double longest = 0;
    for (const Bar& bar : group) longest = std::max(longest, bar.*length);
    const double width = scale_ms > 0 ? std::min(kWidth, longest / scale_ms * kWidth) : 0;
    if (width > 0) out += fmt::format("M0 {}h{:.1f}v1H0z", row, width);
  }
  return out;
}

}  // namespace

double longest_gap_ms(const Json& report) {
  double longest = 0;
  for (const Bar& bar : bars(report)) longest = std::max(longest, bar.last_ms);
  return longest;
}

void put_gap_band(std::string& out, const Json& report, double scale_ms) {
  const std::vector<Bar> all = bars(report);
  if (all.empty()) {
    out += "<p><em>No partition had a gap that was observed.</em></p>\n";
    return;
  }
  const size_t rows = std::min(all.size(), kRowsMax);
  const Bar& middle = all[all.size() / 2];
  const std::string words = fmt::format("{} partitions: longest {}, median {}", all.size(),
                                        ms_words(all.front().gap_ms), ms_words(middle.gap_ms));
  out += fmt::format(
      "<p class=\"note\">{}{}</p>\n<svg class=\"gaps\" role=\"img\" aria-label=\"{}\" "
      "viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\"><path class=\"last\" d=\"{}\"/><path "
      "class=\"gap\" d=\"{}\"/></svg>\n<p class=\"ticks\">",
      words,
      rows < all.size()
          ? fmt::format("; each row is the worst of {}", (all.size() + rows - 1) / rows)
          : "",
      words, kWidth, rows, path(all, rows, scale_ms, &Bar::last_ms),
      path(all, rows, scale_ms, &Bar::gap_ms));
  for (int quarter = 0; quarter <= 4; ++quarter)
    out += fmt::format("<span>{}</span>", ms_words(scale_ms * quarter / 4));
  out += "</p>\n";
}

}  // namespace paceline::page
