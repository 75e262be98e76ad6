#include <fmt/format.h>

#include "page/escape.h"
#include "page/sections.h"
#include "page/words.h"

namespace paceline::page {
namespace {

constexpr Column kFigureColumns[] = {{"Figure"}, {"Measured", true}, {"Limit"}, {"State"}};

void put_figure_row(std::string& out, const Json& figure, const EventPlaces& places) {
  const std::string measured = html(value_words(field(figure, "value"), text(figure, "unit")));
  out += fmt::format("<tr><th scope=\"row\">{}", html(name_words(text(figure, "name"))));
  if (const auto samples = number(figure, "samples"))
    out += fmt::format(" <small>N = {}</small>", count_words(samples));
  if (field(figure, "required") == Json(false)) out += " <small>not required</small>";
  out += fmt::format("</th><td class=\"n\">{}</td><td class=\"limit\">",
                     sourced(measured, field(figure, "events"), field(figure, "evidence"), places));
  const std::string green = html(limit_words(field(figure, "green")));
  const std::string amber = html(limit_words(field(figure, "amber")));
  out += green.empty() ? "–" : green;
  // A limit that leaves no room for amber is told once.
  if (!amber.empty() && amber != green) out += fmt::format("<small>amber {}</small>", amber);
  out += fmt::format("</td><td>{}</td></tr>\n", state_dot(text(figure, "state")));
}

}  // namespace

void put_scorecard(std::string& out, const Json& scorecard, const EventPlaces& places) {
  for (const Json& row : scorecard) {
    out += fmt::format("<article class=\"row {0}\" id=\"s-{1}\"><h3>{2}{3}</h3>\n",
                       text(row, "state"), html(text(row, "id")), state_mark(text(row, "state")),
                       html(text(row, "question")));
    if (const std::string_view why = text(row, "why"); !why.empty())
      out += fmt::format("<p class=\"why\">{}</p>\n", html(why));
    const Json& figures = list(row, "figures");
    if (!figures.empty()) {
      open_table(out, text(row, "question"), kFigureColumns, "figure-rows");
      for (const Json& figure : figures) put_figure_row(out, figure, places);
      close_table(out);
    }
    out += "</article>\n";
  }
}

}  // namespace paceline::page
