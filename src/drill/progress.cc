#include "drill/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace paceline::drill {
namespace {

constexpr env::Duration kRedraw = std::chrono::milliseconds(250);
constexpr env::Duration kPlainEach = std::chrono::seconds(5);

double seconds_of(env::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

Progress::Kind progress_kind() {
  return ::isatty(1) ? Progress::Kind::terminal : Progress::Kind::plain;
}

std::string live_line(std::string_view phase, env::Duration left, env::Duration gap,
                      const probe::Glance& glance) {
  const std::string rest =
      left > env::Duration(0) ? fmt::format(" {:.0f} s", seconds_of(left)) : std::string();
  return fmt::format("{}{} | gap {:.0f} ms | acked {} | errors {} | waiting {} | lag {}", phase,
                     rest, seconds_of(gap) * 1e3, glance.acked, glance.failed, glance.unanswered,
                     glance.lag);
}

Progress::Progress(env::Shard& shard, Kind kind)
    : shard_(shard),
      kind_(kind),
      began_(shard.now()),
      phase_ends_(shard.now()),
      said_at_(shard.now()) {}

Progress::~Progress() {
  wipe();
}

void Progress::wipe() {
  if (!std::exchange(drawn_, false)) return;
  std::fputs("\r\x1b[K", stdout);
  std::fflush(stdout);
}

void Progress::phase(std::string_view name, env::Duration lasts) {
  say_figures();
  said_at_ = shard_.now();
  phase_ = name;
  phase_ends_ = shard_.now() + lasts;
  longest_wait_ = {};
  say(lasts > env::Duration(0) ? fmt::format("{}, {:.0f} s", name, seconds_of(lasts))
                               : std::string(name));
}

void Progress::say_figures() {
  if (!unsaid_) return;
  say("   " + live_line(phase_, phase_ends_ - shard_.now(), longest_wait_, *unsaid_));
  unsaid_.reset();
  said_at_ = shard_.now();
}

void Progress::say(std::string_view line) {
  if (kind_ == Kind::quiet) return;
  wipe();
  std::printf("%6.1f s  %.*s\n", seconds_of(shard_.now() - began_), static_cast<int>(line.size()),
              line.data());
  std::fflush(stdout);
}

void Progress::look(const probe::Glance& glance) {
  longest_wait_ = std::max(longest_wait_, glance.longest_wait);
  if (kind_ == Kind::plain) {
    unsaid_ = glance;
    if (shard_.now() - said_at_ >= kPlainEach) say_figures();
    return;
  }
  if (kind_ != Kind::terminal || (drawn_ && shard_.now() - drawn_at_ < kRedraw)) return;
  drawn_ = true;
  drawn_at_ = shard_.now();
  const std::string line = live_line(phase_, phase_ends_ - shard_.now(), longest_wait_, glance);
  std::printf("\r\x1b[K%6.1f s  %.*s", seconds_of(shard_.now() - began_),
              static_cast<int>(std::min<size_t>(line.size(), 110)), line.c_str());
  std::fflush(stdout);
}

}  // namespace paceline::drill
