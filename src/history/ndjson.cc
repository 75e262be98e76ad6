#include "history/ndjson.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>

namespace paceline::history {
namespace {

constexpr int64_t kVersion = 1;
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
// Keys, producers, readers, groups and counts.
constexpr int64_t kSmallMost = std::numeric_limits<uint32_t>::max();
constexpr std::string_view kOutcomes[] = {"ok", "fail", "unknown"};

std::string_view word(Outcome outcome) {
  return kOutcomes[static_cast<size_t>(outcome)];
}

// Who answered, if that is known.
std::string by(const History& history, Teller teller) {
  return teller == 0 ? std::string() : R"(,"by":)" + json_text(history.name_of(teller));
}

std::string send_line(const Send& send) {
  std::string line = fmt::format(
      R"("send","producer":{},"key":{},"first":{},"count":{},"order":{},"outcome":"{}")",
      send.producer, send.key, send.first, send.count, send.order, word(send.outcome));
  if (!send.idempotent) line += R"(,"idempotent":false)";
  if (send.base >= 0) line += fmt::format(R"(,"base":{})", send.base);
  if (!send.repeated_bases.empty())
    line += fmt::format(R"(,"repeats":[{}])", fmt::join(send.repeated_bases, ","));
  if (send.epoch >= 0) line += fmt::format(R"(,"epoch":{})", send.epoch);
  return line;
}

std::string poll_line(const Poll& poll) {
  std::string line = fmt::format(R"("poll","reader":{},"key":{},"from":{},"runs":[)", poll.reader,
                                 poll.key, poll.from);
  for (size_t i = 0; i < poll.seen.size(); ++i) {
    const Run& run = poll.seen[i];
    fmt::format_to(std::back_inserter(line), "{}[{},{},{}]", i == 0 ? "" : ",", run.offset,
                   run.value, run.count);
  }
  line += "]";
  if (std::ranges::any_of(poll.seen, [](const Run& run) { return run.epoch >= 0; })) {
    std::vector<int32_t> epochs;
    for (const Run& run : poll.seen) epochs.push_back(run.epoch);
    line += fmt::format(R"(,"written_under":[{}])", fmt::join(epochs, ","));
  }
  if (poll.group != 0) line += fmt::format(R"(,"group":{})", poll.group);
  if (poll.high_watermark >= 0) line += fmt::format(R"(,"high_watermark":{})", poll.high_watermark);
  if (poll.log_start >= 0) line += fmt::format(R"(,"log_start":{})", poll.log_start);
  if (poll.last) line += R"(,"last":true)";
  if (poll.epoch >= 0) line += fmt::format(R"(,"epoch":{})", poll.epoch);
  return line;
}

std::string event_line(const Event& event, const History& history) {
  switch (event.kind) {
    case Event::Kind::send:
      return send_line(history.send(event)) + by(history, history.send(event).by);
    case Event::Kind::poll:
      return poll_line(history.poll(event)) + by(history, history.poll(event).by);
    case Event::Kind::commit: {
      const Commit& commit = history.commit(event);
      return fmt::format(R"("commit","group":{},"key":{},"offset":{},"outcome":"{}")", commit.group,
                         commit.key, commit.offset, word(commit.outcome)) +
             by(history, commit.by);
    }
    case Event::Kind::committed_read: {
      const CommittedRead& read = history.committed_read(event);
      return fmt::format(R"("committed","group":{},"key":{},"offset":{})", read.group, read.key,
                         read.offset) +
             by(history, read.by);
    }
    case Event::Kind::epoch: {
      const EpochSeen& seen = history.epoch(event);
      std::string line = fmt::format(R"("epoch","key":{},"epoch":{})", seen.key, seen.epoch);
      if (seen.leader >= 0) line += fmt::format(R"(,"leader":{})", seen.leader);
      return line + by(history, seen.by);
    }
    case Event::Kind::epoch_end: {
      const EpochEnd& end = history.epoch_end(event);
      return fmt::format(R"("epoch_end","key":{},"epoch":{},"end":{},"current":{})", end.key,
                         end.epoch, end.end, end.current) +
             by(history, end.by);
    }
    case Event::Kind::violation: {
      const Violation& seen = history.violation(event);
      return fmt::format(R"("violation","key":{},"what":{})", seen.key, json_text(seen.what));
    }
  }
  return {};
}

struct Times {
  Time invoked;
  Time told;
};

Result<uint32_t> small(FlatJson& json, std::string_view name, int64_t least = 0) {
  TRY(const int64_t number, json.number(name, least, kSmallMost));
  return static_cast<uint32_t>(number);
}

Result<Outcome> outcome(FlatJson& json) {
  TRY(const std::string given, json.text("outcome"));
  for (size_t i = 0; i < std::size(kOutcomes); ++i)
    if (given == kOutcomes[i]) return static_cast<Outcome>(i);
  return fail(Code::corrupt, fmt::format("'{}' is no outcome", given));
}

Result<Teller> teller(FlatJson& json, History& to) {
  TRY(const std::string name, json.text_or("by", ""));
  return to.teller(name);
}

Result<int32_t> small_or_none(FlatJson& json, std::string_view name) {
  TRY(const int64_t epoch, json.number_or(name, 0, std::numeric_limits<int32_t>::max(), -1));
  return static_cast<int32_t>(epoch);
}

Result<Send> read_send(FlatJson& json, History& to) {
  Send send;
  TRY(send.producer, small(json, "producer"));
  TRY(send.key, small(json, "key"));
  TRY(send.count, small(json, "count", 1));
  TRY(const int64_t first, json.number("first", 0, kMost - send.count));
  send.first = static_cast<Value>(first);
  TRY(const int64_t order, json.number("order", 0, kMost));
  send.order = static_cast<uint64_t>(order);
  TRY(send.outcome, outcome(json));
  TRY(send.idempotent, json.flag_or("idempotent", true));
  TRY(send.base, json.number_or("base", 0, kMost - send.count, -1));
  TRY(send.repeated_bases, json.numbers_or_none("repeats", 0));
  TRY(send.epoch, small_or_none(json, "epoch"));
  TRY(send.by, teller(json, to));
  if (send.base >= 0 && send.outcome != Outcome::ok)
    return fail(Code::corrupt, "a send that was not acknowledged has a 'base'");
  return send;
}

Result<Poll> read_poll(FlatJson& json, History& to) {
  Poll poll;
  TRY(poll.reader, small(json, "reader"));
  TRY(const int64_t group, json.number_or("group", 1, kSmallMost, 0));
  poll.group = static_cast<uint32_t>(group);
  TRY(poll.key, small(json, "key"));
  TRY(poll.from, json.number("from", 0, kMost));
  TRY(poll.high_watermark, json.number_or("high_watermark", 0, kMost, -1));
  TRY(poll.log_start, json.number_or("log_start", 0, kMost, -1));
  TRY(poll.last, json.flag_or("last", false));
  TRY(const std::vector<int64_t> runs, json.numbers_or_none("runs", 3));
  for (size_t i = 0; i + 3 <= runs.size(); i += 3) {
    const int64_t offset = runs[i], value = runs[i + 1], count = runs[i + 2];
    if (offset < 0 || value < 0 || count < 1 || count > kMost - std::max(offset, value))
      return fail(Code::corrupt,
                  fmt::format("[{},{},{}] is no run of records", offset, value, count));
    poll.seen.push_back({offset, static_cast<Value>(value), static_cast<uint64_t>(count)});
  }
  TRY(const std::vector<int64_t> epochs, json.numbers_or_none("written_under", 0));
  if (!epochs.empty() && epochs.size() != poll.seen.size())
    return fail(Code::corrupt, "'written_under' does not tell an epoch for each of the 'runs'");
  for (size_t i = 0; i < epochs.size(); ++i) {
    if (epochs[i] < -1 || epochs[i] > std::numeric_limits<int32_t>::max())
      return fail(Code::corrupt, fmt::format("{} is no epoch", epochs[i]));
    poll.seen[i].epoch = static_cast<int32_t>(epochs[i]);
  }
  TRY(poll.epoch, small_or_none(json, "epoch"));
  TRY(poll.by, teller(json, to));
  return poll;
}

Result<Commit> read_commit(FlatJson& json, History& to) {
  Commit commit;
  TRY(commit.group, small(json, "group"));
  TRY(commit.key, small(json, "key"));
  TRY(commit.offset, json.number("offset", 0, kMost));
  TRY(commit.outcome, outcome(json));
  TRY(commit.by, teller(json, to));
  return commit;
}

Result<CommittedRead> read_committed(FlatJson& json, History& to) {
  CommittedRead read;
  TRY(read.group, small(json, "group"));
  TRY(read.key, small(json, "key"));
  TRY(read.offset, json.number("offset", -1, kMost));
  TRY(read.by, teller(json, to));
  return read;
}

Result<EpochSeen> read_epoch(FlatJson& json, History& to) {
  EpochSeen seen;
  TRY(seen.key, small(json, "key"));
  TRY(const int64_t epoch, json.number("epoch", -1, std::numeric_limits<int32_t>::max()));
  seen.epoch = static_cast<int32_t>(epoch);
  TRY(seen.leader, small_or_none(json, "leader"));
  TRY(seen.by, teller(json, to));
  return seen;
}

Result<EpochEnd> read_epoch_end(FlatJson& json, History& to) {
  EpochEnd end;
  TRY(end.key, small(json, "key"));
  TRY(end.epoch, small_or_none(json, "epoch"));
  TRY(end.end, json.number("end", 0, kMost));
  TRY(end.current, small_or_none(json, "current"));
  TRY(end.by, teller(json, to));
  return end;
}

Result<void> read_header(FlatJson& json) {
  auto version = json.number("paceline-history", 1, kMost);
  if (!version) return fail(Code::corrupt, "the file does not begin as a history");
  if (*version != kVersion)
    return fail(Code::unsupported, fmt::format("this is version {} of the format, and {} is known",
                                               *version, kVersion));
  return json.all_used();
}

Result<void> read_event(FlatJson& json, History& to) {
  TRY(const std::string event, json.text("event"));
  TRY(const int64_t invoked, json.number("invoked", 0, kMost));
  TRY(const int64_t told, json.number("told", invoked, kMost));
  const Times times{Time(invoked), Time(told)};
  auto add = [&](auto what) -> Result<void> {
    if (!what) return fail(what.error());
    TRY_VOID(json.all_used());
    to.add(std::move(*what), times.invoked, times.told);
    return {};
  };
  if (event == "send") return add(read_send(json, to));
  if (event == "poll") return add(read_poll(json, to));
  if (event == "commit") return add(read_commit(json, to));
  if (event == "committed") return add(read_committed(json, to));
  if (event == "epoch_end") return add(read_epoch_end(json, to));
  if (event == "epoch") return add(read_epoch(json, to));
  if (event != "violation") return fail(Code::corrupt, fmt::format("'{}' is no event", event));
  TRY(const uint32_t key, small(json, "key"));
  TRY(std::string what, json.text("what"));
  TRY_VOID(json.all_used());
  to.add(Violation{key, std::move(what)}, times.told);
  return {};
}

}  // namespace

std::string header_line() {
  return fmt::format("{{\"paceline-history\":{}}}\n", kVersion);
}

std::string line_of(const Event& event, const History& history) {
  return fmt::format("{{\"event\":{},\"invoked\":{},\"told\":{}}}\n", event_line(event, history),
                     event.invoked.count(), event.told.count());
}

Result<void> Reader::line(std::string_view text) {
  ++line_number_;
  auto read = [&]() -> Result<void> {
    TRY_VOID(json_.parse(text));
    return line_number_ == 1 ? read_header(json_) : read_event(json_, to_);
  }();
  if (read) return {};
  return fail(read.error().code, fmt::format("line {}: {}", line_number_, read.error().message));
}

}  // namespace paceline::history
