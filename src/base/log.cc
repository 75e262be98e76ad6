#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>

namespace paceline {
namespace {

std::atomic<LogLevel> threshold{LogLevel::info};
std::atomic<LogSink> sink_override{nullptr};

spdlog::logger& logger() {
  static auto instance = [] {
    auto made = spdlog::stderr_color_mt("paceline");
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v", spdlog::pattern_time_type::utc);
    made->set_level(spdlog::level::trace);
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *instance;
}

}  // namespace

void set_log_level(LogLevel level) {
  threshold.store(level, std::memory_order_relaxed);
}
bool log_enabled(LogLevel level) {
  return level >= threshold.load(std::memory_order_relaxed);
}
void set_log_sink(LogSink sink) {
  sink_override.store(sink);
}

void log_line(LogLevel level, std::string_view text) {
  if (LogSink sink = sink_override.load()) {
    sink(level, text);
    return;
  }
  constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                   spdlog::level::warn, spdlog::level::err,
                                                   spdlog::level::off};
  logger().log(kLevels[static_cast<int>(level)], spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace paceline
