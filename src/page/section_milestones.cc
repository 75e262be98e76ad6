#include <fmt/format.h>

#include "page/escape.h"
#include "page/sections.h"
#include "page/spread.h"
#include "page/words.h"

namespace paceline::page {
namespace {

constexpr size_t kRowsShown = 50;
// What would be hundreds of sheets of paper is not printed.
constexpr size_t kRowsPrinted = 1000;

// "p99 412.0 / max 980.1", or what there is of it.
std::string quantiles(const Json& one) {
  const auto samples = number(one, "samples");
  if (!samples || *samples <= 0) return "–";
  const auto p99 = number(one, "p99_ms");
  return fmt::format("{}<small>{}, N {}</small>", ms_cell(number(one, "max_ms")),
                     p99 ? "p99 " + ms_cell(p99) : "p50 " + ms_cell(number(one, "p50_ms")),
                     count_words(samples));
}

std::string milestone_cell(const Json& milestone, const EventPlaces& places) {
  const std::string_view state = text(milestone, "state");
  if (state == "not_observable") return "<td class=\"o\">n/o";
  if (state == "never") return "<td class=\"bad\">never";
  if (!is_seen(milestone)) return "<td class=\"o\">·";
  std::string words = state == "upper_bound" ? "≤ " : "";
  words += ms_cell(number(milestone, "ms"));
  return "<td>" + linked(words, field(milestone, "event"), places);
}

void put_partition_row(std::string& out, const Json& partition, size_t place,
                       const EventPlaces& places) {
  const auto broker = [&](const char* name) { return id_words(number(partition, name)); };
  const Json& milestones = field(partition, "milestones");
  // End tags that HTML does not need are left out: there may be ten thousand rows.
  out +=
      fmt::format("<tr id=p{}><th scope=row>{}-{}<td class=w>{}<td>{} → {}<td>{}<td>{}", place,
                  html(text(partition, "topic")), id_words(number(partition, "partition")),
                  html(text(partition, "step")), broker("from"), broker("to"),
                  ms_cell(number(partition, "gap_ms")), ms_cell(number(partition, "gap_last_ms")));
  for (int index = 0; index < kMilestones; ++index)
    out += milestone_cell(field(milestones, milestone_key(index)), places);
  out += '\n';
}

std::vector<std::string> partition_heads() {
  std::vector<std::string> heads = {"Partition", "Fault", "Leader", "Gap", "Last gap"};
  for (int index = 0; index < kMilestones; ++index)
    heads.push_back(fmt::format("{} {}", milestone_key(index), milestone_short(index)));
  return heads;
}

void open_partitions(std::string& out, std::string_view label) {
  const std::vector<std::string> heads = partition_heads();
  std::vector<Column> columns;
  for (const std::string& head : heads) columns.push_back({head, columns.size() > 1});
  open_table(out, label, columns, "milestones");
}

// Indices into `partitions`, the longest gap first.
std::vector<size_t> by_gap(const Json& partitions) {
  std::vector<std::pair<double, size_t>> gaps;
  for (const Json& partition : partitions) {
    const auto gap = number(partition, "gap_ms");
    // What was never served again has no gap, and is the worst.
    const bool never =
        text(field(field(partition, "milestones"), "t8"), "state") == "never" && !gap;
    gaps.emplace_back(never ? -1e300 : -gap.value_or(-1e299), gaps.size());
  }
  std::ranges::stable_sort(gaps);
  std::vector<size_t> order;
  for (const auto& [gap, index] : gaps) order.push_back(index);
  return order;
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
               "299 samples.");
  std::vector<Column> columns = {{"Fault"}, {""}, {"State"}, {"Effective", true}, {"Healed", true}};
  for (const auto& [head, name] : kDerived) columns.push_back({head, true});
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
    out += fmt::format("<td>{}</td></tr>\n", dominant.empty() ? "–" : html(name_words(dominant)));
  }
  close_table(out);
  out += "</section>\n";
}

void put_spreads(std::string& out, const Source& source) {
  open_section(out, "milestones", "Milestones of each fault",
               "Milliseconds since the first fault, over all partitions that it concerned.");
  constexpr Column kColumns[] = {{"Milestone"},  {""},        {"First", true}, {"Median", true},
                                 {"Last", true}, {"±", true}, {"Seen", true},  {"Never", true},
                                 {"By"}};
  const auto by_step = partitions_by_step(source.report);
  size_t index = 0;
  for (const Json& step : list(source.report, "steps")) {
    const auto& partitions = by_step[index++];
    out += fmt::format("<h3>{} · {}</h3>\n", html(text(step, "id")), html(text(step, "fault")));
    open_table(out, fmt::format("Milestones of {}", text(step, "id")), kColumns);
    int number_of = -1;
    for (const Spread& spread : spreads(partitions)) {
      ++number_of;
      out += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td>", milestone_key(number_of),
                         milestone_name(number_of));
      if (spread.seen == 0) {
        out += fmt::format("<td class=\"n\" colspan=\"3\"><em>{}</em></td><td></td>",
                           spread.not_observable != 0 ? "not observable"
                           : spread.never != 0        ? "never"
                                                      : "not concerned");
      } else {
        const std::string_view bound = spread.upper_bound != 0 ? "≤ " : "";
        for (const double ms : {spread.min_ms, spread.median_ms, spread.max_ms})
          out += fmt::format(
              "<td class=\"n\">{}</td>",
              linked(fmt::format("{}{}", bound, ms_cell(ms)), spread.events, source.places));
        out += fmt::format("<td class=\"n\">{}</td>", ms_cell(spread.err_ms));
      }
      out += fmt::format("<td class=\"n\">{} of {}</td><td class=\"n{}\">{}</td><td>{}</td></tr>\n",
                         spread.seen, partitions.size(), spread.never != 0 ? " bad" : "",
                         spread.never, html(spread.by));
    }
    close_table(out);
  }
  out += "</section>\n";
}

void put_partitions(std::string& out, const Source& source) {
  const Json& partitions = list(source.report, "partitions");
  open_section(out, "partitions", "Partitions",
               "Milliseconds since the first fault; the longest gap first. ≤: an upper bound. n/o: "
               "not observable on this target. ·: not concerned.");
  const std::vector<size_t> order = by_gap(partitions);
  open_partitions(out, "Milestones of partitions");
  const size_t shown = std::min(kRowsShown, order.size());
  for (size_t i = 0; i < shown; ++i)
    put_partition_row(out, partitions[order[i]], order[i], source.places);
  close_table(out);
  if (order.size() > shown) {
    const size_t rest = order.size() - shown;
    out += fmt::format("<details{}><summary>{} more</summary>\n",
                       rest > kRowsPrinted ? " class=\"unprinted\"" : "",
                       count_words(static_cast<double>(rest)));
    open_partitions(out, "Milestones of the other partitions");
    for (size_t i = shown; i < order.size(); ++i)
      put_partition_row(out, partitions[order[i]], order[i], source.places);
    close_table(out);
    out += "</details>\n";
  }
  out += "</section>\n";
}

}  // namespace paceline::page
