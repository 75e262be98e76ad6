#include <fmt/format.h>

#include <algorithm>

#include "history/checker.h"

namespace paceline::history {
namespace {

double seconds(Time time) {
  return std::chrono::duration<double>(time).count();
}
const char* word(Outcome outcome) {
  switch (outcome) {
    case Outcome::ok:
      return "acknowledged";
    case Outcome::fail:
      return "refused";
    case Outcome::unknown:
      return "never answered";
  }
  return "";
}

struct About {
  std::optional<Value> value;
  int64_t offset;

  // True if the run holds the value or the offset, even with another value there.
  bool touches(const Run& run) const {
    return (value && *value >= run.value && *value < run.value_end()) ||
           (offset >= 0 && offset >= run.offset && offset < run.end());
  }
};

std::string told_by(const History& history, Teller by) {
  return by == 0 ? std::string() : " by " + history.name_of(by);
}

std::string line_of(const Send& send, const History& history) {
  std::string line = fmt::format("producer {} sent values {} to {}, {}", send.producer, send.first,
                                 send.first + send.count - 1, word(send.outcome)) +
                     told_by(history, send.by);
  if (send.base >= 0) line += fmt::format(" at offset {}", send.base);
  for (int64_t base : send.repeated_bases) line += fmt::format(", again at {}", base);
  if (send.epoch >= 0) line += fmt::format(", knowing epoch {}", send.epoch);
  return line;
}

std::string line_of(const Poll& poll, const About& about, const History& history) {
  std::string line =
      fmt::format("reader {}{} asked from {}", poll.reader, poll.last ? " (final)" : "", poll.from);
  for (const Run& run : poll.seen)
    if (about.touches(run))
      line += fmt::format(", got offsets {} to {} with values {} to {}", run.offset, run.end() - 1,
                          run.value, run.value_end() - 1) +
              (run.epoch < 0 ? std::string() : fmt::format(" of epoch {}", run.epoch));
  line += fmt::format(", high watermark {}", poll.high_watermark);
  if (poll.epoch >= 0) line += fmt::format(" in epoch {}", poll.epoch);
  return line + told_by(history, poll.by);
}

// Empty if the event has nothing to do with it.
std::string line_of(const Event& event, const History& history, Key key, const About& about) {
  switch (event.kind) {
    case Event::Kind::send: {
      const Send& send = history.send(event);
      if (send.key != key || !about.touches({send.base, send.first, send.count})) return {};
      return line_of(send, history);
    }
    case Event::Kind::poll: {
      const Poll& poll = history.poll(event);
      const bool touched =
          std::ranges::any_of(poll.seen, [&](const Run& run) { return about.touches(run); });
      if (poll.key != key || !touched) return {};
      return line_of(poll, about, history);
    }
    default:
      return {};
  }
}

std::string group_line_of(const Event& event, const History& history, Key key) {
  if (event.kind == Event::Kind::commit) {
    const Commit& commit = history.commit(event);
    if (commit.key != key) return {};
    return fmt::format("group {} commits {}, {}", commit.group, commit.offset,
                       word(commit.outcome)) +
           told_by(history, commit.by);
  }
  if (event.kind == Event::Kind::committed_read) {
    const CommittedRead& read = history.committed_read(event);
    if (read.key != key) return {};
    return fmt::format("group {} is told that {} is committed", read.group, read.offset) +
           told_by(history, read.by);
  }
  return {};
}

}  // namespace

std::vector<std::string> story_of(const Anomaly& anomaly, const History& history, size_t max) {
  const About about{anomaly.value, anomaly.offset};
  const bool of_group = anomaly.name == "commit-regress";
  std::vector<std::pair<Time, std::string>> lines;
  for (const Event& event : history.events()) {
    std::string line = of_group ? group_line_of(event, history, anomaly.key)
                                : line_of(event, history, anomaly.key, about);
    if (!line.empty())
      lines.emplace_back(event.told, fmt::format("{:.4f} to {:.4f} s: {}", seconds(event.invoked),
                                                 seconds(event.told), line));
  }
  std::ranges::stable_sort(lines, {}, [](const auto& line) { return line.first; });
  // The end of a long story tells more than its beginning.
  std::vector<std::string> told;
  const size_t skipped = lines.size() > max ? lines.size() - max : 0;
  if (skipped > 0) told.push_back(fmt::format("({} lines before)", skipped));
  for (size_t i = skipped; i < lines.size(); ++i) told.push_back(std::move(lines[i].second));
  return told;
}

}  // namespace paceline::history
