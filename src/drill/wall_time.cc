#include "drill/wall_time.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>

namespace paceline::drill {
namespace {

std::optional<int> number_at(std::string_view text, size_t from, size_t count) {
  int number = 0;
  if (from + count > text.size()) return std::nullopt;
  const char* begin = text.data() + from;
  const auto parsed = std::from_chars(begin, begin + count, number);
  if (parsed.ec != std::errc{} || parsed.ptr != begin + count || number < 0) return std::nullopt;
  return number;
}

}  // namespace

std::string rfc3339(int64_t wall_ms) {
  const std::chrono::sys_time<std::chrono::milliseconds> at{std::chrono::milliseconds(wall_ms)};
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(at - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     time.hours().count(), time.minutes().count(), time.seconds().count(),
                     time.subseconds().count());
}

std::optional<int64_t> parse_wall_time(std::string_view text) {
  const auto year = number_at(text, 0, 4), month = number_at(text, 5, 2),
             day = number_at(text, 8, 2);
  if (!year || !month || !day || text[4] != '-' || text[7] != '-') return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  if (text.size() == 10) return days * 86'400'000;
  const auto hour = number_at(text, 11, 2), minute = number_at(text, 14, 2),
             second = number_at(text, 17, 2);
  if (!hour || !minute || !second || (text[10] != 'T' && text[10] != ' ') || text[13] != ':' ||
      text[16] != ':' || *hour > 23 || *minute > 59 || *second > 60)
    return std::nullopt;
  int64_t ms = 0;
  size_t at = 19;
  if (at < text.size() && text[at] == '.') {
    int64_t weight = 100;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      ms += weight * (text[at] - '0');
      weight /= 10;
    }
  }
  if (at < text.size() && text.substr(at) != "Z" && text.substr(at) != "+00:00")
    return std::nullopt;
  return ((days * 24 + *hour) * 60 + *minute) * 60'000 + *second * 1000 + ms;
}

}  // namespace paceline::drill
