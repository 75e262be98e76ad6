#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "drill/local_process.h"
#include "drill/metrics_lines.h"
#include "drill/paceline_target.h"
#include "env/disk.h"

// What a `paceline dev` tells of its storage, its clocks and its load.

namespace paceline::drill {
namespace {

constexpr int kRounds = 8;
constexpr env::Duration kWatched = std::chrono::seconds(1);

std::optional<uint64_t> kib_after(std::string_view text, std::string_view name) {
  const size_t found = text.find(name);
  if (found == std::string_view::npos) return std::nullopt;
  uint64_t number = 0;
  size_t at = found + name.size();
  while (at < text.size() && text[at] == ' ') ++at;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9')
    number = number * 10 + static_cast<uint64_t>(text[at++] - '0');
  return number;
}

}  // namespace

Task<StorageFigures> PacelineTarget::storage() {
  struct Wanted {
    std::optional<int64_t> StorageFigures::* figure;
    std::string_view name, label;
  };
  constexpr Wanted kWanted[] = {
      {&StorageFigures::requests_put, "paceline_objects_asked_total", "kind=\"put\""},
      {&StorageFigures::requests_get, "paceline_objects_asked_total", "kind=\"get\""},
      {&StorageFigures::requests_list, "paceline_objects_asked_total", "kind=\"list\""},
      {&StorageFigures::bytes_put, "paceline_objects_bytes_total", "direction=\"out\""},
      {&StorageFigures::bytes_got, "paceline_objects_bytes_total", "direction=\"in\""}};
  StorageFigures figures;
  (void)co_await refresh();
  const std::vector<DevFile::Service> services = dev_.services;
  for (const auto& service : services) {
    if (service.role != "broker") continue;
    // Who stands still would not answer, and everybody would wait.
    const auto process = process_of(service);
    if (!process || stopped(*process)) continue;
    const auto text = co_await fetch(service, "/metrics");
    if (!text) continue;
    if (const auto bytes = sum_of(*text, "paceline_unuploaded_bytes", ""))
      figures.unuploaded_bytes =
          figures.unuploaded_bytes.value_or(0) + static_cast<int64_t>(*bytes);
    for (const Wanted& wanted : kWanted) {
      const auto value = sum_of(*text, wanted.name, wanted.label);
      if (!value) continue;
      Counted& counted = counted_[fmt::format("{}/{}/{}", service.name, wanted.name, wanted.label)];
      counted.all += *value >= counted.last ? *value - counted.last : *value;
      counted.last = *value;
    }
  }
  for (const Wanted& wanted : kWanted) {
    const std::string ending = fmt::format("/{}/{}", wanted.name, wanted.label);
    for (const auto& [key, counted] : counted_)
      if (key.ends_with(ending))
        figures.*wanted.figure =
            (figures.*wanted.figure).value_or(0) + static_cast<int64_t>(counted.all);
  }
  figures.memory_bytes = look_at_brokers().second;
  // Whoever lives can read all of it: no replica is ever behind, and none is copied.
  figures.replicas_out_of_sync = 0;
  if (auto count = co_await kafka().reassigning())
    figures.reassigning = static_cast<int64_t>(*count);
  co_return figures;
}

// All of them read one clock of this machine, unless a process has one of its own. What a question
// takes bounds how wrong a time can be that was told in between.
Task<std::vector<ClockBound>> PacelineTarget::clocks() {
  std::vector<ClockBound> bounds;
  (void)co_await refresh();
  const std::vector<DevFile::Service> services = dev_.services;
  for (const auto& service : services) {
    if (service.role != "broker" || service.pid == 0 || !same_clock(::getpid(), service.pid))
      continue;
    env::Duration best = env::Duration::max();
    int rounds = 0;
    for (int round = 0; round < kRounds; ++round) {
      const auto took = co_await kafka().ping(fmt::format("{}:{}", service.host, service.port));
      if (!took) break;
      best = std::min(best, *took);
      ++rounds;
    }
    if (rounds == 0) continue;
    const auto id = static_cast<int32_t>(service.number);
    clock_err_ns_[id] = best.count() / 2;
    bounds.push_back({.of = fmt::format("paceline:{}", id),
                      .offset_ns = 0,
                      .err_ns = best.count() / 2,
                      .rounds = rounds});
  }
  co_return bounds;
}

// Ticks of their processors, and what they have in memory, in bytes.
std::pair<uint64_t, int64_t> PacelineTarget::look_at_brokers() {
  std::pair<uint64_t, int64_t> sum;
  for (const auto& service : dev_.services) {
    if (service.role != "broker") continue;
    const auto look = look_at_process(shard().disk(), service.pid);
    if (!look) continue;
    sum.first += look->cpu_ticks;
    sum.second += look->resident_bytes;
  }
  return sum;
}

// All brokers share this machine: their work stays when one of them goes, and its memory goes.
Task<Headroom> PacelineTarget::headroom() {
  Headroom headroom;
  const auto before = look_at_brokers();
  const env::Instant began = shard().now();
  co_await env::sleep_for(shard(), kWatched);
  const auto after = look_at_brokers();
  const double seconds = std::chrono::duration<double>(shard().now() - began).count();
  const double ticks = seconds * static_cast<double>(::sysconf(_SC_CLK_TCK)) *
                       static_cast<double>(::sysconf(_SC_NPROCESSORS_ONLN));
  if (after.first >= before.first && ticks > 0)
    headroom.cpu_share = static_cast<double>(after.first - before.first) / ticks;
  const auto total =
      kib_after(read_head(shard().disk(), "/proc/meminfo", 4096).value_or(""), "MemTotal:");
  if (total && *total > 0)
    headroom.memory_share =
        static_cast<double>(after.second) / (static_cast<double>(*total) * 1024);
  if (!headroom.cpu_share) headroom.why_not = "/proc tells nothing of the brokers";
  co_return headroom;
}

}  // namespace paceline::drill
