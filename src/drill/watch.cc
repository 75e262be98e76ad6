#include <fmt/format.h>

#include <cstdio>

#include "drill/drill.h"
#include "env/disk.h"
#include "evidence/event.h"

namespace paceline::drill {
namespace {

constexpr env::Duration kLook = std::chrono::milliseconds(300);
constexpr size_t kBytesAtOnce = 1u << 20;

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

}  // namespace

Task<int> watch(env::Shard& shard, std::string run_folder) {
  auto file = shard.disk().open(run_folder + "/timeline.ndjson", {});
  if (!file) {
    std::fprintf(stderr, "paceline: %s is no run of a drill\n", run_folder.c_str());
    co_return 3;
  }
  std::string text;
  uint64_t position = 0;
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
    if (*count < kBytesAtOnce) co_await env::sleep_for(shard, kLook);
  }
}

}  // namespace paceline::drill
