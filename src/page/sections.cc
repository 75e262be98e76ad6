#include "page/sections.h"

#include <fmt/format.h>

#include "page/escape.h"

namespace paceline::page {

std::string linked(std::string_view words, const Json& events, const EventPlaces& places) {
  std::string shown;
  std::string_view hidden;
  std::optional<size_t> first;
  size_t count = 0;
  const auto add = [&](const Json& event) {
    if (!event.is_string()) return;
    const std::string_view id = event.get_ref<const std::string&>();
    const auto place = places.find(id);
    if (!place) {
      if (hidden.empty()) hidden = id;
      return;
    }
    if (!first) first = place;
    shown += fmt::format("{}{}", count++ == 0 ? "" : " ", *place);
  };
  if (events.is_array()) {
    for (const Json& event : events) add(event);
  } else {
    add(events);
  }
  if (!first && hidden.empty()) return std::string(words);
  if (!first)
    return fmt::format(R"(<span title="event {}, in timeline.ndjson">{}</span>)", html(hidden),
                       words);
  if (count == 1) return fmt::format("<a href=#e{}>{}</a>", *first, words);
  return fmt::format(R"(<a href=#e{} data-e="{}" title="{} events">{}</a>)", *first, shown, count,
                     words);
}

std::string sourced(std::string_view words, const Json& events, const Json& files,
                    const EventPlaces& places) {
  std::string link = linked(words, events, places);
  if (link != words || !files.is_array()) return link;
  std::string names;
  std::string_view first;
  for (const Json& file : files) {
    if (!file.is_string()) continue;
    const std::string_view name = file.get_ref<const std::string&>();
    if (first.empty()) first = name;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", html(name));
  }
  if (first.empty()) return link;
  return fmt::format(R"(<a href="#f-{}" title="of {}">{}</a>)", html(first), names, words);
}

void open_table(std::string& out, std::string_view label, std::span<const Column> columns,
                std::string_view classes) {
  out += fmt::format(
      R"(<div class="scroll" tabindex="0" role="region" aria-label="{}"><table class="{}"><thead><tr>)",
      html(label), classes);
  for (const Column& column : columns)
    out += fmt::format("<th scope=\"col\"{}>{}</th>", column.is_number ? " class=\"n\"" : "",
                       html(column.head));
  out += "</tr></thead><tbody>\n";
}

void close_table(std::string& out) {
  out += "</tbody></table></div>\n";
}

void open_section(std::string& out, std::string_view id, std::string_view title,
                  std::string_view note) {
  out += fmt::format("<section id=\"{0}\" aria-labelledby=\"h-{0}\"><h2 id=\"h-{0}\">{1}</h2>\n",
                     id, html(title));
  if (!note.empty()) out += fmt::format("<p class=\"note\">{}</p>\n", html(note));
}

void put_fact(std::string& out, std::string_view name, std::string_view markup,
              std::string_view if_empty) {
  if (markup.empty() && if_empty.empty()) return;
  out += fmt::format("<div><dt>{}</dt><dd>", html(name));
  if (markup.empty()) {
    out += fmt::format("<em>{}</em>", html(if_empty));
  } else {
    out += markup;
  }
  out += "</dd></div>\n";
}

}  // namespace paceline::page
