#include <fmt/format.h>

#include <cstdio>

#include "drill/drill.h"
#include "drill/folder.h"
#include "env/disk.h"
#include "evidence/event.h"

namespace paceline::drill {
namespace {

constexpr env::Duration kLook = std::chrono::milliseconds(300);
constexpr size_t kBytesAtOnce = 1u << 20;
constexpr int kCouldNotJudge = 7;
constexpr int kLooksInSilence = 7;  // before it is asked whether anybody is there

// What happens in a run, in a line; empty: too much of it happens.
std::string in_words(const evidence::Event& event) {
  if (event.source != "drill") return {};
  if (event.type == "phase.began")
    return fmt::format("{} {} {}", event.word("phase"), event.word("name"), event.word("step"));
  if (event.type == "phase.ended" || event.type.ends_with(".snapshot") ||
      event.type == "clock.measured")
    return {};
  std::string words = event.type;
  for (const auto& [name, value] : event.figures) {
    if (const auto* text = std::get_if<std::string>(&value)) {
      if (!text->empty()) words += fmt::format(" {}={}", name, *text);
    } else if (const auto* whole = std::get_if<int64_t>(&value)) {
      words += fmt::format(" {}={}", name, *whole);
    } else if (const auto* real = std::get_if<double>(&value)) {
      words += fmt::format(" {}={:.3f}", name, *real);
    } else if (const auto* flag = std::get_if<bool>(&value)) {
      words += fmt::format(" {}={}", name, *flag);
    }
  }
  if (event.value) words += fmt::format(", {:.0f} {}", *event.value, event.unit);
  return words;
}

// Takes whole lines off the front; true: the run has ended.
bool print_lines(std::string& text) {
  size_t from = 0;
  bool ended = false;
  for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', from)) {
    const auto event = evidence::parse_event(std::string_view(text).substr(from, end - from));
    from = end + 1;
    if (!event) continue;
    if (const std::string words = in_words(*event); !words.empty())
      std::printf("%s  %s\n", event->t_wall.c_str(), words.c_str());
    ended = ended || event->type == "run.ended";
  }
  text.erase(0, from);
  std::fflush(stdout);
  return ended;
}

// A drill holds the lock of the folder of runs for as long as it lives, and its run is the newest.
// Where that cannot be looked at, it is taken to live.
bool drill_is_gone(env::Disk& disk, const std::string& run_folder) {
  const std::string runs = env::parent_dir(run_folder), lock = runs + "/drill.lock";
  const auto there = disk.exists(lock);
  if (!there) return false;
  if (!*there) return true;  // it was brought from elsewhere
  const auto held = disk.lock(lock);
  if (!held && held.error().code != Code::in_use) return false;
  if (held) return true;
  const auto all = runs_in(disk, runs);
  return !all.empty() && all.back() > run_folder.substr(run_folder.rfind('/') + 1);
}

}  // namespace

Task<int> watch(env::Shard& shard, std::string run_folder) {
  while (run_folder.size() > 1 && run_folder.ends_with('/')) run_folder.pop_back();
  auto file = shard.disk().open(run_folder + "/timeline.ndjson", {});
  if (!file) {
    std::fprintf(stderr, "paceline: %s is no run of a drill\n", run_folder.c_str());
    co_return 3;
  }
  std::string text;
  uint64_t position = 0;
  int silent = 0;
  for (;;) {
    std::string more(kBytesAtOnce, '\0');
    const auto count =
        (*file)->read_at(position, std::as_writable_bytes(std::span(more.data(), more.size())));
    if (!count) {
      std::fprintf(stderr, "paceline: %s\n", count.error().message.c_str());
      co_return 1;
    }
    position += *count;
    text.append(more, 0, *count);
    if (print_lines(text)) co_return 0;
    silent = *count > 0 ? 0 : silent + 1;
    // Twice, as its last words may have come in between.
    if (silent > kLooksInSilence && drill_is_gone(shard.disk(), run_folder)) {
      if (silent <= kLooksInSilence + 1) continue;
      std::printf(
          "the drill is gone, and this run has no end: its watchdog heals what it had broken; "
          "`paceline drill report %s` judges what there is\n",
          run_folder.c_str());
      co_return kCouldNotJudge;
    }
    if (*count < kBytesAtOnce) co_await env::sleep_for(shard, kLook);
  }
}

}  // namespace paceline::drill
