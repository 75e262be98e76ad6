#include "page/words.h"

#include <fmt/format.h>

#include <cmath>

#include "page/escape.h"

namespace paceline::page {
namespace {

constexpr std::string_view kNothing = "–";

// 1234567 as "1,234,567", with the fraction as it is.
std::string grouped(std::string digits) {
  const size_t point = std::min(digits.find('.'), digits.size());
  const size_t first = digits.starts_with('-') ? 1 : 0;
  for (size_t at = point; at > first + 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

// As many decimals as are needed, at most three.
std::string plain(double value) {
  if (std::abs(value) >= 1e15) return fmt::format("{:.3g}", value);
  std::string digits = fmt::format("{:.3f}", value);
  digits.erase(digits.find_last_not_of('0') + 1);
  if (digits.ends_with('.')) digits.pop_back();
  return digits == "-0" ? "0" : grouped(digits);
}

std::string_view word_of(std::string_view state) {
  if (state == "green") return "Green";
  if (state == "amber") return "Amber";
  if (state == "red") return "Red";
  return "Grey";
}

std::string mark(std::string_view state, std::string_view word_class) {
  const std::string_view word = word_of(state);
  const std::string shape(state.empty() ? "grey" : state);
  return fmt::format(
      R"(<span class="state {0}"><svg aria-hidden="true"><use href="#shape-{0}"/></svg><span{1}>{2}</span></span>)",
      html(shape), word_class, word);
}

}  // namespace

std::string ms_words(std::optional<double> ms) {
  if (!ms) return std::string(kNothing);
  const double size = std::abs(*ms);
  if (size >= 1e9) return plain(*ms / 1e3) + " s";
  if (size >= 999.95) return fmt::format("{} s", grouped(fmt::format("{:.3f}", *ms / 1e3)));
  if (size >= 9.9995) return fmt::format("{:.1f} ms", *ms);
  return plain(*ms) + " ms";
}

std::string ms_cell(std::optional<double> ms) {
  if (!ms) return std::string(kNothing);
  if (std::abs(*ms) >= 1e12) return plain(*ms);
  return grouped(fmt::format("{:.1f}", *ms));
}

std::string count_words(std::optional<double> count) {
  return count ? plain(*count) : std::string(kNothing);
}

std::string id_words(std::optional<double> id) {
  return id ? fmt::format("{:.0f}", *id) : std::string(kNothing);
}

std::string bytes_words(std::optional<double> bytes) {
  if (!bytes) return std::string(kNothing);
  constexpr std::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double size = *bytes;
  size_t unit = 0;
  while (std::abs(size) >= 1024 && unit + 1 < std::size(kUnits)) {
    size /= 1024;
    ++unit;
  }
  if (unit == 0 || std::abs(size) >= 1e6) return fmt::format("{} {}", plain(size), kUnits[unit]);
  return fmt::format("{:.1f} {}", size, kUnits[unit]);
}

std::string value_words(const Json& value, std::string_view unit) {
  if (value.is_string()) {
    const auto& words = value.get_ref<const std::string&>();
    return unit.empty() ? words : fmt::format("{} {}", words, unit);
  }
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (!value.is_number()) return std::string(kNothing);
  const double size = value.get<double>();
  if (unit == "ms") return ms_words(size);
  if (unit == "s") return ms_words(size * 1e3);
  if (unit == "bytes" || unit == "byte" || unit == "B") return bytes_words(size);
  if (unit.empty() || unit == "count") return plain(size);
  if (unit == "%" || unit == "percent") return plain(size) + " %";
  return fmt::format("{} {}", plain(size), unit);
}

std::string name_words(std::string_view name) {
  for (const std::string_view unit : {"_ms", "_bytes", "_s", "_us"})
    if (name.ends_with(unit)) {
      name.remove_suffix(unit.size());
      break;
    }
  std::string words(name);
  std::ranges::replace(words, '_', ' ');
  return words;
}

std::string state_mark(std::string_view state) {
  return mark(state, "");
}
std::string state_dot(std::string_view state) {
  return mark(state, R"( class="unseen")");
}

}  // namespace paceline::page
