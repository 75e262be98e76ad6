#include "base/event.h"

#include <fmt/format.h>

namespace paceline {

std::string to_text(const Event& event) {
  std::string text(event.type);
  if (!event.topic.empty()) text += fmt::format(" partition={}-{}", event.topic, *event.partition);
  if (event.lane) text += fmt::format(" lane={}", event.lane->to_string());
  if (event.epoch) text += fmt::format(" epoch={}", event.epoch->value);
  if (event.offset) text += fmt::format(" offset={}", event.offset->value);
  if (event.took_ns) text += fmt::format(" took_us={}", *event.took_ns / 1000);
  for (const Event::Figure& figure : event.figures)
    std::visit([&](const auto& value) { text += fmt::format(" {}={}", figure.name, value); },
               figure.value);
  return text;
}

}  // namespace paceline
