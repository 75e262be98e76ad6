#include "app/event_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>

namespace paceline::app {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

template <class Number>
std::optional<Number> number_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  if (std::integral<Number> && !found->is_number_integer()) return std::nullopt;
  return found->get<Number>();
}

std::string bytes_in_words(double bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

// The unit is in the name, and goes to the number.
std::pair<std::string, std::string> figure_in_words(std::string name, const Json& value) {
  const auto strip = [&name](std::string_view suffix) {
    if (!name.ends_with(suffix)) return false;
    name.resize(name.size() - suffix.size());
    return true;
  };
  std::string words = value.is_string() ? value.get<std::string>() : value.dump();
  if (value.is_number() && (name == "bytes" || name.ends_with("_bytes"))) {
    words = bytes_in_words(value.get<double>());
  } else if (value.is_number() && strip("_us")) {
    words = fmt::format("{:.2f} ms", value.get<double>() / 1e3);
  } else if (value.is_number() && strip("_ms")) {
    words = fmt::format("{} ms", words);
  }
  std::ranges::replace(name, '_', ' ');
  return {std::move(name), std::move(words)};
}

struct Words {
  std::string_view type;
  std::string_view words;  // {lane} and {partition} stand for what the event is about
};
constexpr Words kWords[] = {
    {"broker.joined", "has joined the cluster"},
    {"broker.ready", "serves"},
    {"broker.noticed", "takes {lane} for dead"},
    {"broker.fenced", "has fenced {lane}"},
    {"broker.not_fenced", "could not fence {lane} yet"},
    {"broker.draining", "gives away what it leads"},
    {"broker.drained", "has given away what it led"},
    {"broker.stopping", "stops as planned"},
    {"broker.lost", "has lost its lane, acknowledges nothing more, and ends"},
    {"lane.listed", "knows what there is to read of {lane}"},
    {"lane.directories_read", "has read the directories of {lane}"},
    {"lane.sealed", "has sealed the log of {lane}"},
    {"lane.recovered", "has read what {lane} left"},
    {"lane.damaged", "found damage in the log of {lane}"},
    {"lane.uploaded", "has its share of {lane} in its own objects"},
    {"lane.collected", "has removed the log of {lane}"},
    {"lane.lost", "cannot write its log any more"},
    {"leader.moved", "leads {partition}"},
    {"partition.serving", "serves all that came to it"},
    {"partition.first_served", "has served the first client, in {partition}"},
    {"move.begun", "begins to give partitions away"},
    {"move.paused", "has paused them"},
    {"move.passport_sent", "has sent their passports"},
    {"move.adopted", "has them in its log"},
    {"move.committed", "has committed the move"},
    {"move.refused", "does not take them"},
    {"move.forwarding", "sends requests on"},
    {"move.ended", "is done with the move"},
    {"peer.disconnected", "has lost the connection to {lane}"},
    {"peer.silent_unconfirmed", "hears nothing of {lane}, and nobody confirms it"},
    {"peer.recovered", "hears {lane} again"},
    {"peer.leaving", "hears that {lane} leaves"},
};

std::string what_happened(const EventLine& event) {
  const auto found = std::ranges::find(kWords, event.type, &Words::type);
  if (found == std::end(kWords)) {
    std::string words = event.type;
    if (!event.lane.empty()) words += ' ' + event.lane;
    return event.partition.empty() ? words : words + ' ' + event.partition;
  }
  std::string words(found->words);
  for (const auto& [name, value] :
       {std::pair<std::string_view, const std::string&>("{lane}", event.lane),
        {"{partition}", event.partition}})
    if (const size_t at = words.find(name); at != std::string::npos)
      words.replace(at, name.size(), value);
  return words;
}

std::optional<int64_t> parse_number(std::string_view text) {
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (text.empty() || parsed.ec != std::errc{} || parsed.ptr != end || number < 0)
    return std::nullopt;
  return number;
}

// YYYY-MM-DDTHH:MM:SS[.fraction]Z
std::optional<int64_t> parse_rfc3339(std::string_view text) {
  using namespace std::chrono;
  if (text.size() < 20 || text.back() != 'Z' || text[4] != '-' || text[7] != '-' ||
      (text[10] != 'T' && text[10] != ' ') || text[13] != ':' || text[16] != ':')
    return std::nullopt;
  std::optional<int64_t> parts[6];
  constexpr std::pair<size_t, size_t> kParts[] = {{0, 4},  {5, 2},  {8, 2},
                                                  {11, 2}, {14, 2}, {17, 2}};
  for (size_t i = 0; i < std::size(kParts); ++i) {
    parts[i] = parse_number(text.substr(kParts[i].first, kParts[i].second));
    if (!parts[i]) return std::nullopt;
  }
  const year_month_day date{year(static_cast<int>(*parts[0])),
                            month(static_cast<unsigned>(*parts[1])),
                            day(static_cast<unsigned>(*parts[2]))};
  if (!date.ok() || *parts[3] > 23 || *parts[4] > 59 || *parts[5] > 60) return std::nullopt;
  int64_t ms = 0;
  std::string_view fraction = text.substr(19, text.size() - 20);
  if (!fraction.empty()) {
    if (fraction.front() != '.' || fraction.size() > 10) return std::nullopt;
    std::string digits(fraction.substr(1));
    if (!parse_number(digits)) return std::nullopt;
    digits.resize(3, '0');
    ms = *parse_number(digits);
  }
  const auto seconds_of_day = (*parts[3] * 60 + *parts[4]) * 60 + *parts[5];
  return (sys_days(date).time_since_epoch().count() * int64_t{86'400} + seconds_of_day) * 1000 + ms;
}

}  // namespace

Result<EventLine> parse_event(std::string_view json) {
  const auto no_event = [] { return fail(Code::corrupt, "a record that is no event"); };
  const Json root = Json::parse(json, nullptr, false);
  if (!root.is_object()) return no_event();
  const auto data = root.find("data");
  if (data == root.end() || !data->is_object()) return no_event();
  EventLine event;
  event.json = json;
  event.id = text_of(root, "id");
  event.source = text_of(*data, "source");
  event.time = text_of(*data, "t_wall");
  event.type = text_of(*data, "type");
  const auto sequence = number_of<uint64_t>(*data, "source_seq");
  const auto at = parse_rfc3339(event.time);
  if (event.id.empty() || event.source.empty() || event.type.empty() || !sequence || !at)
    return no_event();
  event.sequence = *sequence;
  event.at_ms = *at;
  event.cause = text_of(*data, "cause_id");
  event.lane = text_of(*data, "lane");
  if (const std::string topic = text_of(*data, "topic"); !topic.empty())
    event.partition =
        fmt::format("{}-{}", topic, number_of<int64_t>(*data, "partition").value_or(-1));
  if (text_of(*data, "unit") == "ms") event.took_ms = number_of<double>(*data, "value");
  for (const char* name : {"leader_epoch", "offset"})
    if (const auto number = number_of<int64_t>(*data, name))
      event.figures.push_back(figure_in_words(name, *number));
  const auto figures = data->find("figures");
  if (figures != data->end() && figures->is_object())
    for (const auto& [name, value] : figures->items())
      if (value.is_primitive()) event.figures.push_back(figure_in_words(name, value));
  return event;
}

std::string in_words(const EventLine& event) {
  std::string line =
      fmt::format("{}  broker {:<6} {}", event.time, event.source, what_happened(event));
  std::string separator = ": ";
  const auto add = [&](std::string_view words) {
    line += separator;
    line += words;
    separator = ", ";
  };
  if (event.took_ms) add(fmt::format("{:.2f} ms", *event.took_ms));
  std::string sentence;
  for (const auto& [name, words] : event.figures) {
    if (name == "words" || name == "reason") {
      sentence = words;
    } else if (!words.empty()) {
      add(fmt::format("{} {}", name, words));
    }
  }
  if (!sentence.empty()) line += fmt::format(" ({})", sentence);
  if (!event.cause.empty()) line += fmt::format("  [{}]", event.cause);
  return line;
}

std::optional<int64_t> parse_time(std::string_view text, int64_t now_ms) {
  if (!text.starts_with('-')) return parse_rfc3339(text);
  if (text.size() < 3) return std::nullopt;
  int64_t unit_ms = 0;
  switch (text.back()) {
    case 's':
      unit_ms = 1000;
      break;
    case 'm':
      unit_ms = 60'000;
      break;
    case 'h':
      unit_ms = 3'600'000;
      break;
    case 'd':
      unit_ms = 86'400'000;
      break;
    default:
      return std::nullopt;
  }
  const auto count = parse_number(text.substr(1, text.size() - 2));
  if (!count || *count > 100'000) return std::nullopt;
  return now_ms - *count * unit_ms;
}

std::optional<TimeOrder::Gap> TimeOrder::put(EventLine event) {
  const auto [seen, first] = seen_.try_emplace(event.source, event.sequence);
  if (!first && event.sequence <= seen->second) return std::nullopt;
  std::optional<Gap> gap;
  if (!first && event.sequence > seen->second + 1)
    gap = Gap{event.source, event.sequence - seen->second - 1};
  seen->second = event.sequence;
  newest_ms_ = std::max(newest_ms_, event.at_ms);
  const int64_t at = event.at_ms;
  waiting_.emplace(at, std::move(event));
  return gap;
}

std::optional<EventLine> TimeOrder::take(bool all) {
  if (waiting_.empty()) return std::nullopt;
  const auto oldest = waiting_.begin();
  if (!all && oldest->first > newest_ms_ - kBehindMs) return std::nullopt;
  EventLine event = std::move(oldest->second);
  waiting_.erase(oldest);
  return event;
}

}  // namespace paceline::app
