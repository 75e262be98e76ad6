#include <fmt/format.h>

#include <cmath>

#include "page/escape.h"
#include "page/sections.h"
#include "page/words.h"

namespace paceline::page {
namespace {

std::string_view unit_in_words(std::string_view unit) {
  if (unit == "wal") return "log replay";
  if (unit == "store_requests") return "store requests";
  if (unit == "retained_bytes") return "retained bytes";
  if (unit == "client_refresh") return "client refresh";
  return unit;
}

std::string_view next_in_words(std::string_view kind) {
  if (kind == "automation") return "Better automation";
  if (kind == "runbook") return "A fixed runbook";
  if (kind == "architecture") return "Another architecture";
  return "Nothing to change";
}

void put_figure(std::string& out, std::string_view name, std::string_view words,
                std::string_view link, std::string_view under, std::string_view classes = "") {
  out += fmt::format("<div class=\"{}\"><dt>{}</dt><dd>", classes, html(name));
  if (link.empty()) {
    out += words;
  } else {
    out += fmt::format("<a href=\"#{}\">{}</a>", link, words);
  }
  out += fmt::format("</dd><dd class=\"under\">{}</dd></div>\n", html(under));
}

// The row of the table of partitions where the longest gap is told.
std::string longest_gap(const Json& report) {
  std::optional<double> longest;
  size_t place = 0, found = 0;
  for (const Json& partition : list(report, "partitions")) {
    for (const char* name : {"gap_ms", "gap_last_ms"})
      if (const auto gap = number(partition, name); gap && (!longest || *gap > *longest)) {
        longest = gap;
        found = place;
      }
    ++place;
  }
  return longest ? fmt::format("p{}", found) : std::string("partitions");
}

void put_gap(std::string& out, const Json& report, std::string_view name, const Json& gap) {
  const auto samples = number(gap, "samples");
  if (!samples || *samples <= 0) return;
  const auto p99 = number(gap, "p99_ms");
  const std::string n = fmt::format("N = {}", count_words(samples));
  if (p99) {
    put_figure(out, fmt::format("{} p99", name), ms_words(p99), "partitions", n);
    put_figure(out, fmt::format("{} max", name), ms_words(number(gap, "max_ms")),
               longest_gap(report), n);
  } else {
    put_figure(out, fmt::format("{} max", name), ms_words(number(gap, "max_ms")),
               longest_gap(report), n + ", no p99 below 299");
  }
}

void put_figures(std::string& out, const Json& report) {
  out += "<dl class=\"figures\">\n";
  put_gap(out, report, "Client gap", field(report, "gap"));
  const Json& counts = field(report, "counts");
  const auto lost = number(counts, "lost"), acked = number(counts, "acked");
  // Zero of N bounds the rate below 3/N, with 95 % certainty.
  std::string bound = "of acknowledged records";
  if (lost && *lost == 0 && acked && *acked > 0)
    bound = *acked > 3 ? fmt::format("below 1 in {} (95 %)", count_words(std::floor(*acked / 3)))
                       : std::string("of too few to say more");
  const auto bad = [](std::optional<double> count) {
    return count && *count > 0 ? std::string_view("bad") : std::string_view();
  };
  put_figure(out, "Acknowledged", count_words(acked), "evidence",
             fmt::format("of {} sent", count_words(number(counts, "sent"))));
  put_figure(out, "Lost", count_words(lost), "anomalies", bound, bad(lost));
  const auto doubled = number(counts, "duplicated"), turned = number(counts, "reordered");
  put_figure(out, "Duplicated", count_words(doubled), "anomalies",
             fmt::format("{} reordered", count_words(turned)), bad(doubled));
  const Json& dominant = field(report, "dominant");
  if (dominant.is_object()) {
    const auto share = number(dominant, "share");
    put_figure(out, "Most of it", html(unit_in_words(text(dominant, "unit"))), "steps",
               share ? fmt::format("{}, {:.0f} % of the gap", ms_words(number(dominant, "ms")),
                                   *share * 100)
                     : ms_words(number(dominant, "ms")),
               "word");
  }
  out += "</dl>\n";
}

std::string rollback_words(const Json& rollback) {
  const std::string_view rehearsed = text(rollback, "rehearsed");
  std::string words = html(text(rollback, "point"));
  if (words.empty()) return {};
  if (const std::string_view command = text(rollback, "command"); !command.empty())
    words += fmt::format(" · <code>{}</code>", html(command));
  if (!rehearsed.empty())
    words += fmt::format(" · rehearsed {}{}", html(rehearsed.substr(0, 10)),
                         number(rollback, "rehearsed_ms")
                             ? " in " + ms_words(number(rollback, "rehearsed_ms"))
                             : std::string());
  return words;
}

std::string code(std::string_view words) {
  return words.empty() ? std::string() : fmt::format("<code>{}</code>", html(words));
}

std::string target_words(const Json& target) {
  std::string words = html(text(target, "name"));
  for (const char* name : {"version", "profile"})
    if (const std::string_view more = text(target, name); !more.empty())
      words += fmt::format("{}{}", words.empty() ? "" : " · ", html(more));
  const size_t brokers = list(target, "brokers").size();
  if (brokers != 0) words += fmt::format(" · {} broker{}", brokers, brokers == 1 ? "" : "s");
  return words;
}

void put_facts(std::string& out, const Json& report) {
  const Json& run = field(report, "run");
  const Json& target = field(run, "target");
  const Json& rollback = field(run, "rollback");
  const Json& tool = field(run, "tool");
  out += "<dl class=\"facts\">\n";
  put_fact(out, "Target", target_words(target), "not told");
  put_fact(out, "Config hash", code(text(target, "config_hash")), "not told");
  put_fact(out, "Rollback point", rollback_words(rollback), "none recorded");
  put_fact(out, "Rollback owner", html(text(rollback, "owner")), "none recorded");
  put_fact(out, "Rollback rule", html(text(rollback, "rule")));
  std::string plan = html(text(field(run, "plan"), "name"));
  if (const std::string_view hash = text(field(run, "plan"), "sha256"); !hash.empty())
    plan += fmt::format(" · <code title=\"{}\">{}</code>", html(hash), html(hash.substr(0, 12)));
  put_fact(out, "Plan", plan);
  const Json& seed = field(run, "seed");
  put_fact(out, "Seed", seed.is_number_integer() ? code(seed.dump()) : std::string(), "not told");
  std::string build = html(text(tool, "version"));
  if (const std::string_view id = text(tool, "build"); !id.empty())
    build += fmt::format("{}{}", build.empty() ? "" : " · ", code(id));
  put_fact(out, "Drill build", build);
  const auto bound = number(field(report, "clock"), "bound_ms");
  put_fact(out, "Clock bound", bound ? "<a href=\"#clock\">± " + ms_words(bound) + "</a>" : "",
           "not measured");
  if (const std::string_view previous = text(run, "previous"); !previous.empty())
    put_fact(
        out, "Run before",
        fmt::format("<code title=\"{}\">{}</code>", html(previous), html(previous.substr(0, 12))));
  out += "</dl>\n";
}

}  // namespace

void put_head(std::string& out, const Source& source) {
  const Json& report = source.report;
  const Json& run = field(report, "run");
  const std::string_view verdict = text(report, "verdict");
  out += fmt::format("<header class=\"head {}\">\n<p class=\"eyebrow\">Failover drill", verdict);
  out += fmt::format(" · run {}", html(text(report, "run_id")));
  if (const std::string_view began = text(run, "began"); !began.empty())
    out += fmt::format(" · <time datetime=\"{0}\">{0}</time>", html(began));
  out += fmt::format("</p>\n<h1>{}<span class=\"sentence\">{}</span></h1>\n", state_mark(verdict),
                     html(text(report, "sentence")));
  out += "<p class=\"marks\">";
  if (flag(report, "external_only")) out += "<span class=\"mark\">External evidence only</span> ";
  if (const std::string_view sabotage = text(field(run, "target"), "sabotage"); !sabotage.empty())
    out += fmt::format("<span class=\"mark\">Self-test: the drill itself falsifies {}</span> ",
                       html(sabotage));
  if (const std::string_view reason = text(report, "reason"); !reason.empty())
    out += fmt::format("<span class=\"reason\">{}</span>", html(reason));
  out += "</p>\n";
  put_figures(out, report);
  const Json& next = field(report, "next_step");
  if (next.is_object())
    out += fmt::format("<p class=\"next\"><b>Next step: {}.</b> {}</p>\n",
                       next_in_words(text(next, "kind")), html(text(next, "text")));
  put_facts(out, report);
  out += "</header>\n";
}

}  // namespace paceline::page
