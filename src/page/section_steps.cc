#include <fmt/format.h>

#include "page/escape.h"
#include "page/sections.h"
#include "page/spread.h"
#include "page/words.h"

namespace paceline::page {
namespace {

// The max, and below it the p99 and how many there are.
std::string quantiles(const Json& one) {
  const auto samples = number(one, "samples");
  if (!samples || *samples <= 0) return "–";
  std::string under;
  if (const auto p99 = number(one, "p99_ms"))
    under = fmt::format("p99 {}, ", ms_cell(p99));
  else if (const auto p50 = number(one, "p50_ms"))
    under = fmt::format("p50 {}, ", ms_cell(p50));
  return fmt::format("{}<small>{}N {}</small>", ms_cell(number(one, "max_ms")), under,
                     count_words(samples));
}

void put_spread_times(std::string& out, int index, const Spread& spread, double zero_ms,
                      const EventPlaces& places) {
  out += fmt::format("<tr><th scope=\"row\"><b>{}</b> {}</th>", milestone_key(index),
                     milestone_name(index));
  if (spread.seen == 0) {
    out += fmt::format("<td class=\"n\" colspan=\"4\"><em>{}</em></td>",
                       spread.not_observable != 0 ? "not observable"
                       : spread.never != 0        ? "never"
                                                  : "not concerned");
    return;
  }
  const std::string_view bound = spread.upper_bound != 0 ? "≤ " : "";
  for (const double ms : {spread.min_ms, spread.median_ms, spread.max_ms})
    out += fmt::format(
        "<td class=\"n\">{}</td>",
        linked(fmt::format("{}{}", bound, ms_cell(ms - zero_ms)), spread.events, places));
  out += fmt::format("<td class=\"n\">{}</td>", ms_cell(spread.err_ms));
}

}  // namespace

void put_steps(std::string& out, const Source& source) {
  constexpr std::pair<std::string_view, const char*> kDerived[] = {
      {"Detect", "detect_ms"},
      {"Own", "own_ms"},
      {"Hop", "hop_ms"},
      {"Client gap", "gap_ms"},
      {"Last client", "gap_last_ms"},
      {"Settle", "settle_ms"},
      {"Storage tail", "storage_tail_ms"}};
  open_section(out, "steps", "Faults, and what each cost",
               "Milliseconds: the max, and below it the p99, or the p50 where there are fewer than "
               "299 samples. Elsewhere: the longest wait of partitions that it did not concern.");
  std::vector<Column> columns = {{"Fault"}, {""}, {"State"}, {"Effective", true}, {"Healed", true}};
  for (const auto& [head, name] : kDerived) columns.push_back({head, true});
  columns.push_back({"Elsewhere", true});
  columns.push_back({"Dominant"});
  open_table(out, "Faults", columns);
  for (const Json& step : list(source.report, "steps")) {
    out += fmt::format(
        "<tr><th scope=\"row\">{}</th><td>{}{}{}</td><td>{}</td><td class=\"n\">{}</td><td "
        "class=\"n\">{}</td>",
        html(text(step, "id")), html(text(step, "fault")),
        text(step, "test").empty() ? "" : " · " + html(text(step, "test")),
        flag(step, "planned") ? " · planned" : "", state_mark(text(step, "state")),
        ms_cell(number(step, "effective_ms")), ms_cell(number(step, "healed_ms")));
    for (const auto& [head, name] : kDerived)
      out += fmt::format("<td class=\"n\">{}</td>", quantiles(field(field(step, "derived"), name)));
    const std::string_view dominant = text(step, "dominant");
    out += fmt::format("<td class=\"n\">{}</td><td>{}</td></tr>\n",
                       ms_cell(number(step, "wait_elsewhere_ms")),
                       dominant.empty() ? "–" : html(recovery_unit_words(dominant)));
  }
  close_table(out);
  out += "</section>\n";
}

void put_spreads(std::string& out, const Source& source) {
  open_section(out, "milestones", "Milestones of each fault",
               "Milliseconds since that fault, over all partitions that it concerned.");
  out += "<div class=\"spreads\">\n";
  constexpr Column kColumns[] = {{"Milestone"}, {"First", true}, {"Median", true}, {"Last", true},
                                 {"±", true},   {"Seen", true},  {"Never", true},  {"By"}};
  const auto by_step = partitions_by_step(source.report);
  size_t place = 0;
  for (const Json& step : list(source.report, "steps")) {
    const auto& partitions = by_step[place++];
    out +=
        fmt::format("<div><h3>{} · {}</h3>\n", html(text(step, "id")), html(text(step, "fault")));
    open_table(out, fmt::format("Milestones of {}", text(step, "id")), kColumns);
    const double zero_ms = number(step, "effective_ms").value_or(0);
    int index = 0;
    for (const Spread& spread : spreads(partitions)) {
      put_spread_times(out, index++, spread, zero_ms, source.places);
      out += fmt::format("<td class=\"n\">{} of {}</td><td class=\"n{}\">{}</td><td>{}</td></tr>\n",
                         spread.seen, partitions.size(), spread.never != 0 ? " bad" : "",
                         spread.never, html(spread.by));
    }
    close_table(out);
    out += "</div>\n";
  }
  out += "</div></section>\n";
}

}  // namespace paceline::page
