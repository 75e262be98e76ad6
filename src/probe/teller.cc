#include "probe/teller.h"

#include <fmt/format.h>

#include <chrono>

namespace paceline::probe {

std::string rfc3339(int64_t wall_ms) {
  using namespace std::chrono;
  const sys_time<milliseconds> at{milliseconds(wall_ms)};
  const auto day = floor<days>(at);
  const year_month_day date(day);
  const hh_mm_ss time(at - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     time.hours().count(), time.minutes().count(), time.seconds().count(),
                     time.subseconds().count());
}

evidence::Event Teller::now(std::string source, std::string plane, std::string type) const {
  evidence::Event event;
  event.source = std::move(source);
  event.t_mono_ns = now_ns();
  event.t_wall = rfc3339(shard_.wall_ms());
  event.plane = std::move(plane);
  event.type = std::move(type);
  return event;
}

}  // namespace paceline::probe
