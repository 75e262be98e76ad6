#include "evidence/event.h"

namespace paceline::evidence {
namespace {

template <class Kind>
const Kind* figure_of(const Event& event, const std::string& name) {
  const auto found = event.figures.find(name);
  return found == event.figures.end() ? nullptr : std::get_if<Kind>(&found->second);
}

}  // namespace

std::optional<int64_t> Event::integer(const std::string& name) const {
  const auto* figure = figure_of<int64_t>(*this, name);
  return figure ? std::optional(*figure) : std::nullopt;
}

std::optional<double> Event::number(const std::string& name) const {
  if (const auto* figure = figure_of<double>(*this, name)) return *figure;
  const auto whole = integer(name);
  return whole ? std::optional(static_cast<double>(*whole)) : std::nullopt;
}

std::string_view Event::word(const std::string& name) const {
  const auto* figure = figure_of<std::string>(*this, name);
  return figure ? std::string_view(*figure) : std::string_view();
}

std::optional<bool> Event::flag(const std::string& name) const {
  const auto* figure = figure_of<bool>(*this, name);
  return figure ? std::optional(*figure) : std::nullopt;
}

Timeline parse_timeline(std::string_view text) {
  Timeline timeline;
  for (uint64_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (auto event = parse_event(text.substr(0, end))) {
      timeline.events.push_back(std::move(*event));
    } else {
      timeline.damaged_lines.push_back(number);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return timeline;
}

}  // namespace paceline::evidence
