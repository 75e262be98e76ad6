#include <fmt/format.h>

#include "page/escape.h"
#include "page/frame.h"
#include "page/gap_band.h"
#include "page/page.h"
#include "page/sections.h"
#include "page/words.h"

namespace paceline::page {
namespace {

struct Pair {
  const Json& left;
  const Json& right;

  Pair of(std::string_view name) const { return {field(left, name), field(right, name)}; }
};

// The item of a list whose `key` is this word, or null.
const Json& item(const Json& items, const char* key, std::string_view word) {
  for (const Json& one : items)
    if (text(one, key) == word) return one;
  static const Json kNone;
  return kNone;
}

// The names of both lists: the left ones in their order, then those of the right alone.
std::vector<std::string_view> names_of_both(const Json& left, const Json& right, const char* key) {
  std::vector<std::string_view> names;
  for (const Json* items : {&left, &right})
    for (const Json& one : *items)
      if (std::ranges::find(names, text(one, key)) == names.end()) names.push_back(text(one, key));
  return names;
}

void put_verdict(std::string& out, const Json& report, std::string_view side) {
  const Json& run = field(report, "run");
  const Json& target = field(run, "target");
  out += fmt::format("<article class=\"side {}\"><p class=\"eyebrow\">{}</p><h2>{}{}</h2>\n",
                     text(report, "verdict"), side, state_mark(text(report, "verdict")),
                     html(text(report, "run_id")));
  out += fmt::format("<p>{}</p>\n", html(text(report, "sentence")));
  if (flag(report, "external_only"))
    out += "<p class=\"marks\"><span class=\"mark\">External evidence only</span></p>\n";
  out += "<dl class=\"facts\">\n";
  std::string name = html(text(target, "name"));
  if (const auto version = text(target, "version"); !version.empty())
    name += fmt::format(" · {}", html(version));
  put_fact(out, "Target", name, "not told");
  put_fact(out, "Config hash", html(text(target, "config_hash")), "not told");
  put_fact(out, "Plan", html(text(field(run, "plan"), "name")));
  const Json& seed = field(run, "seed");
  put_fact(out, "Seed", seed.is_number_integer() ? seed.dump() : "", "not told");
  put_fact(out, "Began", html(text(run, "began")));
  put_fact(out, "Rollback owner", html(text(field(run, "rollback"), "owner")), "none recorded");
  put_fact(out, "Dominant", html(name_words(text(field(report, "dominant"), "unit"))), "no fault");
  put_fact(out, "Next step", html(text(field(report, "next_step"), "text")));
  out += "</dl></article>\n";
}

void put_number_row(std::string& out, std::string_view name, std::optional<double> left,
                    std::optional<double> right, bool is_time) {
  const auto words = [&](std::optional<double> value) {
    return is_time ? ms_words(value) : count_words(value);
  };
  std::string difference = "–";
  if (left && right) {
    difference = words(*right - *left);
    if (*right > *left) difference.insert(0, "+");
  }
  out += fmt::format(
      "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td "
      "class=\"n\">{}</td></tr>\n",
      html(name), words(left), words(right), difference);
}

void put_numbers(std::string& out, const Pair& reports) {
  open_section(out, "figures", "Gaps and counts");
  constexpr Column kColumns[] = {{""}, {"Left", true}, {"Right", true}, {"Right less left", true}};
  open_table(out, "Gaps and counts", kColumns);
  const Pair gap = reports.of("gap");
  const std::pair<std::string_view, Pair> gaps[] = {
      {"Client gap", gap}, {"Planned", gap.of("planned")}, {"Unplanned", gap.of("unplanned")}};
  for (const auto& [name, both] : gaps) {
    for (const std::string_view quantile : {"p50", "p99", "max"}) {
      const std::string key = fmt::format("{}_ms", quantile);
      put_number_row(out, fmt::format("{} {}", name, quantile), number(both.left, key),
                     number(both.right, key), true);
    }
    put_number_row(out, fmt::format("{} samples", name), number(both.left, "samples"),
                   number(both.right, "samples"), false);
  }
  const Pair counts = reports.of("counts");
  for (const auto& [name, count] : counts.left.items())
    if (count.is_number())
      put_number_row(out, name_words(name), number(counts.left, name), number(counts.right, name),
                     false);
  close_table(out);
  out += "</section>\n";
}

std::string measured(const Json& figure) {
  if (!figure.is_object()) return "<td class=\"n\">–</td><td></td>";
  return fmt::format("<td class=\"n\">{}</td><td>{}</td>",
                     html(value_words(field(figure, "value"), text(figure, "unit"))),
                     state_dot(text(figure, "state")));
}

void put_score_row(std::string& out, const Json& left, const Json& right) {
  const auto state = [](const Json& row) {
    return row.is_object() ? state_mark(text(row, "state")) : std::string("–");
  };
  const Json& named = left.is_object() ? left : right;
  out += fmt::format(
      "<tr class=\"question\"><th scope=\"row\">{}</th><td colspan=\"2\">{}</td><td "
      "colspan=\"2\">{}</td><td></td></tr>\n",
      html(text(named, "question")), state(left), state(right));
  const Json& ours = list(left, "figures");
  const Json& theirs = list(right, "figures");
  for (const std::string_view name : names_of_both(ours, theirs, "name")) {
    const Json& one = item(ours, "name", name);
    const Json& other = item(theirs, "name", name);
    out += fmt::format("<tr><td>{}</td>{}{}<td>{}</td></tr>\n", html(name_words(name)),
                       measured(one), measured(other),
                       html(value_words(field(one.is_object() ? one : other, "green"), "")));
  }
}

void put_scorecards(std::string& out, const Pair& reports) {
  open_section(out, "scorecard", "Scorecard");
  constexpr Column kColumns[] = {{""}, {"Left", true}, {""}, {"Right", true}, {""}, {"Green"}};
  open_table(out, "Scorecards", kColumns);
  const Json& ours = list(reports.left, "scorecard");
  const Json& theirs = list(reports.right, "scorecard");
  for (const std::string_view id : names_of_both(ours, theirs, "id"))
    put_score_row(out, item(ours, "id", id), item(theirs, "id", id));
  close_table(out);
  out += "</section>\n";
}

void put_gaps(std::string& out, const Pair& reports) {
  const double scale = std::max(longest_gap_ms(reports.left), longest_gap_ms(reports.right));
  open_section(out, "gaps", "Gap of each partition",
               "One bar a partition, both sides on one scale. Dark: until the first ack; light: "
               "until the last client’s.");
  out += "<div class=\"sides\">\n";
  for (const Json* report : {&reports.left, &reports.right}) {
    out += fmt::format("<div><h3>{}</h3>\n", html(text(*report, "run_id")));
    put_gap_band(out, *report, scale);
    out += "</div>\n";
  }
  out += "</div></section>\n";
}

Result<Json> parse_side(std::string_view json, std::string_view side) {
  auto report = parse_report(json);
  if (report) return report;
  return fail(report.error().code, fmt::format("{}: {}", side, report.error().message));
}

}  // namespace

Result<std::string> render_comparison(std::string_view left_json, std::string_view right_json) {
  TRY(const Json left, parse_side(left_json, "left"));
  TRY(const Json right, parse_side(right_json, "right"));
  const Pair reports{left, right};
  std::string out;
  open_page(out, fmt::format("Drills {} and {}", text(left, "run_id"), text(right, "run_id")),
            false);
  out +=
      "<header class=\"head plain\"><p class=\"eyebrow\">Failover drill</p><h1>Two runs side by "
      "side</h1></header>\n<main>\n<div class=\"sides\">\n";
  put_verdict(out, left, "Left");
  put_verdict(out, right, "Right");
  out += "</div>\n";
  put_gaps(out, reports);
  put_numbers(out, reports);
  put_scorecards(out, reports);
  out += "</main>\n";
  close_page(out);
  return out;
}

}  // namespace paceline::page
