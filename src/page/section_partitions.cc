#include <fmt/format.h>

#include "page/escape.h"
#include "page/sections.h"
#include "page/words.h"

namespace paceline::page {
namespace {

constexpr size_t kRowsShown = 50;
// Beyond that a table of so many cells makes a browser slow: what follows is plain text.
constexpr size_t kRowsInTables = 1000;

std::string milestone_words(const Json& milestone, double zero_ms) {
  const std::string_view state = text(milestone, "state");
  if (state == "not_observable") return "n/o";
  if (state == "never") return "never";
  if (!is_seen(milestone)) return "·";
  return fmt::format("{}{}", state == "upper_bound" ? "≤ " : "",
                     ms_cell(*number(milestone, "ms") - zero_ms));
}

struct Row {
  const Json& partition;
  std::string name, step, leader, gap, last_gap;
  double zero_ms = 0;

  const Json& milestone(int index) const {
    return field(field(partition, "milestones"), milestone_key(index));
  }
  // Times of a partition are told since its own fault, which itself is told since the first one.
  std::string words(int index) const {
    return milestone_words(milestone(index), index == 0 ? 0 : zero_ms);
  }
};

Row row_of(const Json& report, const Json& partition) {
  const auto step = step_of(report, partition);
  return {.partition = partition,
          .name = fmt::format("{}-{}", text(partition, "topic"),
                              id_words(number(partition, "partition"))),
          .step = std::string(text(partition, "step")),
          .leader = fmt::format("{} → {}", id_words(number(partition, "from")),
                                id_words(number(partition, "to"))),
          .gap = ms_cell(number(partition, "gap_ms")),
          .last_gap = ms_cell(number(partition, "gap_last_ms")),
          .zero_ms = step ? number(list(report, "steps")[*step], "effective_ms").value_or(0) : 0};
}

void put_table_row(std::string& out, const Source& source, size_t place) {
  const Row row = row_of(source.report, list(source.report, "partitions")[place]);
  // End tags that HTML does not need are left out.
  out += fmt::format("<tr id=p{}><th scope=row>{}<td class=w>{}<td>{}<td>{}<td>{}", place,
                     html(row.name), html(row.step), row.leader, row.gap, row.last_gap);
  for (int index = 0; index < kMilestones; ++index) {
    const Json& milestone = row.milestone(index);
    const std::string_view state = text(milestone, "state");
    out += state == "never" ? "<td class=bad>" : is_seen(milestone) ? "<td>" : "<td class=o>";
    out += linked(row.words(index), field(milestone, "event"), source.places);
  }
  out += '\n';
}

void put_text_row(std::string& out, const Source& source, size_t place) {
  const Row row = row_of(source.report, list(source.report, "partitions")[place]);
  out += html(fmt::format("{:<24} {:<12} {:<9} {:>9} {:>9}", row.name, row.step, row.leader,
                          row.gap, row.last_gap));
  for (int index = 0; index < kMilestones; ++index) out += fmt::format(" {:>10}", row.words(index));
  out += '\n';
}

std::vector<std::string> partition_heads() {
  std::vector<std::string> heads = {"Partition", "Fault", "Leader", "Gap", "Last gap"};
  for (int index = 0; index < kMilestones; ++index)
    heads.push_back(fmt::format("{} {}", milestone_key(index), milestone_short(index)));
  return heads;
}

void put_table(std::string& out, const Source& source, std::span<const size_t> order,
               std::string_view label) {
  const std::vector<std::string> heads = partition_heads();
  std::vector<Column> columns;
  for (const std::string& head : heads) columns.push_back({head, columns.size() > 1});
  open_table(out, label, columns, "milestones");
  for (const size_t place : order) put_table_row(out, source, place);
  close_table(out);
}

void put_lines(std::string& out, const Source& source, std::span<const size_t> order) {
  const std::vector<std::string> heads = partition_heads();
  out +=
      "<pre class=\"scroll lines\" tabindex=\"0\" role=\"region\" aria-label=\"Partitions as "
      "text\">";
  out += fmt::format("{:<24} {:<12} {:<9} {:>9} {:>9}", heads[0], heads[1], heads[2], heads[3],
                     heads[4]);
  for (int index = 0; index < kMilestones; ++index)
    out += fmt::format(" {:>10}", milestone_key(index));
  out += '\n';
  for (const size_t place : order) put_text_row(out, source, place);
  out += "</pre>\n";
}

void open_fold(std::string& out, size_t count, std::string_view what, bool is_printed) {
  out +=
      fmt::format("<details{}><summary>{} {}</summary>\n", is_printed ? "" : " class=\"unprinted\"",
                  count_words(static_cast<double>(count)), what);
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

void put_partitions(std::string& out, const Source& source) {
  const Json& partitions = list(source.report, "partitions");
  open_section(
      out, "partitions", "Partitions",
      "The longest gap first. t0: milliseconds since the first fault; all others since the "
      "partition’s own. ≤: an upper bound. n/o: not observable on this target. ·: not "
      "concerned.");
  const std::vector<size_t> order = by_gap(partitions);
  const std::span<const size_t> all(order);
  const size_t shown = std::min(kRowsShown, all.size());
  const size_t in_tables = std::min(kRowsInTables, all.size());
  put_table(out, source, all.first(shown), "Milestones of partitions");
  if (in_tables > shown) {
    open_fold(out, in_tables - shown, "more", true);
    put_table(out, source, all.subspan(shown, in_tables - shown), "More milestones of partitions");
    out += "</details>\n";
  }
  if (all.size() > in_tables) {
    // On paper they would be hundreds of sheets.
    open_fold(out, all.size() - in_tables, "more, as text", false);
    put_lines(out, source, all.subspan(in_tables));
    out += "</details>\n";
  }
  out += "</section>\n";
}

}  // namespace paceline::page
