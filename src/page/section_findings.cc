#include <fmt/format.h>

#include "page/escape.h"
#include "page/sections.h"
#include "page/words.h"

namespace paceline::page {
namespace {

std::string cell(const Json& value) {
  return html(value_words(value, ""));
}

std::string limit(const Json& value) {
  return value.is_null() ? "–" : html(limit_words(value));
}

// What an item of evidence is called: a file of the folder, mostly.
std::string evidence_cell(const Json& evidence) {
  return evidence.is_string() ? fmt::format("<code>{}</code>", cell(evidence)) : "–";
}

}  // namespace

void put_negative_tests(std::string& out, const Source& source) {
  open_section(out, "negative", "Negative tests",
               "Each must be able to fail. What did not run is grey and does not count.");
  constexpr Column kColumns[] = {{"Test"}, {""}, {"State"}, {"Measured"}, {"Green"}, {"Red"}};
  open_table(out, "Negative tests", kColumns);
  for (const Json& test : list(source.report, "negative_tests")) {
    out += fmt::format(
        "<tr><th "
        "scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
        html(text(test, "id")), html(text(test, "name")), state_mark(text(test, "state")),
        linked(cell(field(test, "measured")), field(test, "events"), source.places),
        limit(field(test, "green")), limit(field(test, "red")));
  }
  close_table(out);
  out += "</section>\n";
}

void put_readiness(std::string& out, const Source& source) {
  open_section(out, "readiness", "Readiness before the fault");
  constexpr Column kColumns[] = {{"Item"},  {"State"},    {"Measured"},
                                 {"Limit"}, {"Evidence"}, {"Expires"}};
  open_table(out, "Readiness", kColumns);
  for (const Json& item : list(source.report, "readiness")) {
    const std::string expires = html(text(item, "expires"));
    out += fmt::format(
        "<tr><th "
        "scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
        html(name_words(text(item, "item"))), state_mark(text(item, "state")),
        linked(cell(field(item, "measured")), field(item, "event"), source.places),
        limit(field(item, "limit")), evidence_cell(field(item, "evidence")),
        expires.empty() ? "–" : fmt::format("<time datetime=\"{0}\">{0}</time>", expires));
  }
  close_table(out);
  out += "</section>\n";
}

void put_dimensions(std::string& out, const Source& source) {
  open_section(out, "dimensions", "Seven dimensions");
  out += "<div class=\"dimensions\">\n";
  for (const Json& dimension : list(source.report, "dimensions")) {
    out += fmt::format("<article><h3>{}{}</h3>\n<ul>\n", state_mark(text(dimension, "state")),
                       html(name_words(text(dimension, "name"))));
    const Json& findings = list(dimension, "findings");
    for (const Json& finding : findings)
      out +=
          fmt::format("<li>{}<span>{}</span></li>\n", state_dot(text(finding, "state")),
                      linked(html(text(finding, "text")), field(finding, "events"), source.places));
    if (findings.empty()) out += "<li><em>No evidence in this run.</em></li>\n";
    out += "</ul></article>\n";
  }
  out += "</div></section>\n";
}

}  // namespace paceline::page
