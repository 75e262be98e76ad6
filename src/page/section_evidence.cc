#include <fmt/format.h>

#include "page/escape.h"
#include "page/sections.h"
#include "page/words.h"

namespace paceline::page {

void put_anomalies(std::string& out, const Source& source) {
  const Json& anomalies = list(source.report, "anomalies");
  open_section(out, "anomalies", "Anomalies in what clients saw");
  out += "<p class=\"counts\">";
  std::string_view separator;
  for (const auto& [name, count] : field(source.report, "counts").items()) {
    if (!count.is_number()) continue;
    out += fmt::format("{}<span><b>{}</b> {}</span>", separator, count_words(count.get<double>()),
                       html(name_words(name)));
    separator = " ";
  }
  out += "</p>\n";
  if (anomalies.empty()) {
    out += "<p>None.</p></section>\n";
    return;
  }
  constexpr Column kColumns[] = {
      {"Anomaly"}, {"Partition"}, {"Record", true}, {"Offset", true}, {"What was seen"}};
  open_table(out, "Anomalies", kColumns);
  for (const Json& anomaly : anomalies) {
    const std::string topic = html(text(anomaly, "topic"));
    out += fmt::format(
        "<tr><th scope=\"row\" class=\"bad\">{}</th><td>{}</td><td class=\"n\">{}</td><td "
        "class=\"n\">{}</td><td class=\"wide\">{}</td></tr>\n",
        html(text(anomaly, "name")),
        topic.empty() ? "–" : topic + "-" + id_words(number(anomaly, "partition")),
        linked(id_words(number(anomaly, "seq")), field(anomaly, "events"), source.places),
        id_words(number(anomaly, "offset")), html(text(anomaly, "what")));
  }
  close_table(out);
  out += "</section>\n";
}

void put_recovery(std::string& out, const Source& source) {
  const Json& recovery = field(source.report, "recovery");
  const Json& requests = field(recovery, "requests");
  const Json& usd = field(recovery, "usd");
  open_section(out, "recovery", "What the recovery cost");
  out += "<dl class=\"facts\">\n";
  constexpr std::string_view kUnknown = "not observable";
  // N is how many events told of it.
  const auto fact = [&](std::string_view name, const std::string& words, const char* key) {
    const Json& events = field(field(recovery, "events"), key);
    if (words.empty() || !events.is_array()) return put_fact(out, name, words, kUnknown);
    put_fact(out, name,
             fmt::format("<span data-figure=\"{}\">{} <small>N = {}</small></span>", key,
                         linked(words, events, source.places), count_words(events.size())));
  };
  const auto bytes = [&](std::string_view name, const char* key) {
    const auto value = number(recovery, key);
    fact(name, value ? bytes_words(value) : "", key);
  };
  bytes("Not uploaded at the fault", "unuploaded_bytes");
  bytes("Read", "bytes_read");
  bytes("Written", "bytes_written");
  bytes("Historical bytes copied", "historical_bytes_copied");
  for (const auto& [name, key] : {std::pair<std::string_view, const char*>("GET requests", "get"),
                                  {"PUT requests", "put"},
                                  {"LIST requests", "list"}}) {
    const auto count = number(requests, key);
    fact(name, count ? count_words(count) : "", fmt::format("requests_{}", key).c_str());
  }
  const auto left_over = number(recovery, "left_over_ms"), orphans = number(recovery, "orphans");
  fact("Left-over work for", left_over ? ms_words(left_over) : "", "left_over_ms");
  fact("Orphans", orphans ? count_words(orphans) : "", "orphans");
  std::string money;
  if (const auto value = number(usd, "value"))
    money = fmt::format("${:.6f} <small>{}</small>", *value, html(text(usd, "prices")));
  fact("Estimated money", money, "usd");
  out += "</dl></section>\n";
}

void put_clock(std::string& out, const Source& source) {
  const Json& clock = field(source.report, "clock");
  open_section(out, "clock", "Clocks",
               "Two events whose error bounds overlap, and that no cause orders, are concurrent.");
  constexpr Column kColumns[] = {{"Source"}, {"Offset, ms", true}, {"±, ms", true}};
  open_table(out, "Clocks", kColumns);
  for (const Json& one : list(clock, "sources"))
    out += fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
        html(text(one, "source")), count_words(number(one, "offset_ms")),
        count_words(number(one, "err_ms")));
  close_table(out);
  const Json& contradictions = list(clock, "contradictions");
  if (!contradictions.empty()) out += "<h3>Where clocks contradict causes</h3><ul>\n";
  for (const Json& one : contradictions)
    out += fmt::format("<li>{}</li>\n",
                       linked(html(text(one, "what")), field(one, "events"), source.places));
  if (!contradictions.empty()) out += "</ul>\n";
  out += "</section>\n";
}

void put_evidence(std::string& out, const Source& source) {
  const Json& evidence = field(source.report, "evidence");
  open_section(out, "evidence", "Evidence");
  constexpr Column kColumns[] = {{"File"}, {"Bytes", true}, {"SHA-256"}};
  open_table(out, "Files of evidence", kColumns);
  for (const Json& file : list(evidence, "files"))
    out += fmt::format(
        "<tr id=\"f-{0}\"><th scope=\"row\"><code>{0}</code></th><td class=\"n\">{1}</td><td><code "
        "class=\"hash\">{2}</code></td></tr>\n",
        html(text(file, "name")), count_words(number(file, "bytes")), html(text(file, "sha256")));
  close_table(out);
  out += "<ul>\n";
  for (const Json& hole : list(evidence, "holes"))
    out += fmt::format("<li class=\"bad\">{} events of {} are missing.</li>\n",
                       count_words(number(hole, "missing")), html(text(hole, "source")));
  for (const auto& [key, what] :
       {std::pair<const char*, std::string_view>("damaged_lines", "lines of the timeline"),
        {"damaged_rows", "rows of the ledger"}}) {
    const Json& value = field(evidence, key);
    const auto count =
        value.is_array() ? std::optional<double>(value.size()) : number(evidence, key);
    if (count && *count > 0)
      out += fmt::format("<li class=\"bad\">{} {} are damaged.</li>\n", count_words(count), what);
  }
  if (flag(evidence, "cut")) out += "<li class=\"bad\">The ledger ends within a row.</li>\n";
  out += "</ul>\n";
  if (const std::string_view command = text(source.report, "reproduce"); !command.empty())
    out += fmt::format(
        "<h3>Run it again</h3><pre class=\"command\" tabindex=\"0\"><code>{}</code></pre>\n",
        html(command));
  out += "</section>\n";
}

void put_events(std::string& out, const Source& source) {
  const auto left_out = number(source.report, "events_left_out").value_or(0);
  const Json& events = list(source.report, "events");
  std::string note = "Milliseconds since the first fault.";
  if (left_out > 0) note += fmt::format(" {} more are in timeline.ndjson.", count_words(left_out));
  open_section(out, "events", fmt::format("Events ({})", count_words(events.size())), note);
  constexpr Column kColumns[] = {{"ms", true}, {"±", true},   {"Plane"}, {"Source"}, {"Type"},
                                 {"What"},     {"Partition"}, {"Cause"}, {"Id"}};
  open_table(out, "Events", kColumns, "events");
  size_t place = 0;
  for (const Json& event : events) {
    const std::string topic = html(text(event, "topic"));
    const auto partition = number(event, "partition");
    const std::string_view cause = text(event, "cause");
    out += fmt::format(
        "<tr id=e{}><td class=n>{}<td class=n>{}<td>{}<td>{}<td>{}<td class=wide>{}<td>{}<td>{}"
        "<td>{}\n",
        place++, ms_cell(number(event, "ms")),
        number(event, "err_ms") ? count_words(number(event, "err_ms")) : "–",
        html(text(event, "plane")), html(text(event, "source")), html(text(event, "type")),
        html(text(event, "text")),
        topic.empty() ? "" : topic + (partition ? "-" + id_words(partition) : ""),
        linked(html(cause), field(event, "cause"), source.places), html(text(event, "event")));
  }
  close_table(out);
  out += "</section>\n";
}

}  // namespace paceline::page
