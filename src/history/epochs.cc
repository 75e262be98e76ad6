#include "history/epochs.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace paceline::history {
namespace {

std::string told_by(const History& history, Teller by) {
  return by == 0 ? std::string() : " by " + history.name_of(by);
}

// Offsets and epochs grow together: each record under the epoch of the one before it, or a later
// one.
void judge_order(Key key, const Written& written, const Report& report) {
  const Run* reach = nullptr;  // the run so far that goes on the longest
  for (const Run& run : written.runs()) {
    if (reach && run.offset < reach->end() && run.epoch != reach->epoch) {
      report({"epoch-order", key,
              fmt::format("offset {} was written under epoch {} and under epoch {}", run.offset,
                          reach->epoch, run.epoch),
              run.value, run.offset});
    } else if (reach && run.epoch < reach->epoch) {
      report({"epoch-order", key,
              fmt::format("offset {} was written under epoch {}, above offset {} of epoch {}",
                          run.offset, run.epoch, reach->end() - 1, reach->epoch),
              run.value, run.offset});
    }
    if (!reach || run.end() > reach->end()) reach = &run;
  }
}

void judge_end(const History& history, const EpochEnd& told, const Written& written,
               const Report& report) {
  const bool closed = told.epoch < told.current;
  for (const Run& run : written.runs()) {
    const bool later = run.epoch > told.epoch && run.offset < told.end;
    const bool beyond = closed && run.epoch <= told.epoch && run.end() > told.end;
    if (!later && !beyond) continue;
    const int64_t offset = later ? run.offset : std::max(run.offset, told.end);
    report(
        {"epoch-end",
         told.key,
         fmt::format("epoch {} was told to end at {}{}, but offset {} was written under epoch {}",
                     told.epoch, told.end, told_by(history, told.by), offset, run.epoch),
         {},
         offset});
    return;
  }
}

void judge_acknowledged(const History& history, const Send& send, const Written& written,
                        const Report& report) {
  if (send.outcome != Outcome::ok || send.base < 0 || send.epoch < 0) return;
  const Run* other = written.taken_over(send.base, send.first, send.count, send.epoch);
  if (!other) return;
  const int64_t offset = std::max(send.base, other->offset);
  report({"ack-after-fence", send.key,
          fmt::format("value {} was acknowledged at offset {}{} to a client that knew epoch {}, "
                      "but value {} of epoch {} is there",
                      send.first + static_cast<Value>(offset - send.base), offset,
                      told_by(history, send.by), send.epoch,
                      other->value + static_cast<Value>(offset - other->offset), other->epoch),
          send.first, offset});
}

}  // namespace

void Written::add(const Run& run) {
  if (run.epoch >= 0) runs_.push_back(run);
}

void Written::settle() {
  // Runs of one line have one difference; unsigned, so that it is exact.
  auto line = [](const Run& run) {
    return std::tuple(run.epoch, run.value - static_cast<uint64_t>(run.offset));
  };
  std::ranges::sort(runs_, [&](const Run& a, const Run& b) {
    return std::tuple(line(a), a.offset) < std::tuple(line(b), b.offset);
  });
  std::vector<Run> kept;
  for (const Run& run : runs_) {
    if (!kept.empty() && line(kept.back()) == line(run) && run.offset <= kept.back().end()) {
      Run& last = kept.back();
      last.count = static_cast<uint64_t>(std::max(last.end(), run.end()) - last.offset);
    } else {
      kept.push_back(run);
    }
  }
  runs_ = std::move(kept);
  std::ranges::sort(runs_, {}, [](const Run& run) { return std::tuple(run.offset, run.epoch); });
  for (const Run& run : runs_) count_max_ = std::max(count_max_, run.count);
}

std::vector<Run>::const_iterator Written::reaching(int64_t offset) const {
  const int64_t from = offset - static_cast<int64_t>(count_max_) + 1;
  return std::ranges::lower_bound(runs_, from, {}, &Run::offset);
}

std::optional<int32_t> Written::epoch_of(int64_t offset, Value value) const {
  for (auto run = reaching(offset); run != runs_.end() && run->offset <= offset; ++run)
    if (offset < run->end() && run->value + static_cast<Value>(offset - run->offset) == value)
      return run->epoch;
  return std::nullopt;
}

int32_t Written::epoch_at(int64_t offset) const {
  int32_t latest = -1;
  for (auto run = reaching(offset); run != runs_.end() && run->offset <= offset; ++run)
    if (offset < run->end()) latest = std::max(latest, run->epoch);
  return latest;
}

const Run* Written::taken_over(int64_t offset, Value value, uint64_t count, int32_t epoch) const {
  const int64_t end = offset + static_cast<int64_t>(count);
  for (auto run = reaching(offset); run != runs_.end() && run->offset < end; ++run) {
    if (run->end() <= offset || run->epoch <= epoch) continue;
    if (run->value - static_cast<uint64_t>(run->offset) != value - static_cast<uint64_t>(offset))
      return &*run;
  }
  return nullptr;
}

void Rising::told(Time when, int32_t epoch, int64_t number) {
  auto& steps = steps_[epoch];
  if (steps.empty() || number > steps.back().number) steps.push_back({when, number});
}

int64_t Rising::before(Time when, int32_t epoch) const {
  int64_t greatest = -1;
  for (const auto& [told_under, steps] : steps_) {
    if (epoch >= 0 && told_under > epoch) break;
    const auto after = std::ranges::lower_bound(steps, when, {}, &Step::when);
    if (after != steps.begin()) greatest = std::max(greatest, std::prev(after)->number);
  }
  return greatest;
}

void judge_epochs(const History& history, const std::vector<const Event*>& by_time,
                  const std::map<Key, Written>& written, const Report& report) {
  std::map<std::pair<Key, int32_t>, const EpochSeen*> leaders;
  for (const Event* event : by_time) {
    if (event->kind == Event::Kind::epoch) {
      const EpochSeen& seen = history.epoch(*event);
      if (seen.leader < 0) continue;
      const auto [first, fresh] = leaders.try_emplace({seen.key, seen.epoch}, &seen);
      if (first->second->leader != seen.leader)
        report({"epoch-reuse", seen.key,
                fmt::format("epoch {} is led by broker {} as told{}, and by broker {} as told{}",
                            seen.epoch, first->second->leader, told_by(history, first->second->by),
                            seen.leader, told_by(history, seen.by))});
    } else if (event->kind == Event::Kind::epoch_end) {
      const EpochEnd& told = history.epoch_end(*event);
      if (const auto log = written.find(told.key); log != written.end())
        judge_end(history, told, log->second, report);
    }
  }
  for (const auto& [key, log] : written) judge_order(key, log, report);
  for (const Send& send : history.sends())
    if (const auto log = written.find(send.key); log != written.end())
      judge_acknowledged(history, send, log->second, report);
}

void judge_rising(const History& history, const std::vector<const Event*>& by_time,
                  const std::map<Key, Written>& written, const Report& report) {
  std::map<Key, Rising> high, start;
  std::map<std::pair<Key, Teller>, Rising> epochs;
  auto rise = [&](Rising& line, const Event& event, Key key, int32_t epoch, int64_t number,
                  const char* name, const char* what, Teller by) {
    const int64_t before = line.before(event.invoked, epoch);
    if (number >= 0 && number < before)
      report(
          {name, key, fmt::format("{} {} after {}{}", what, number, before, told_by(history, by))});
    line.told(event.told, epoch, number);
  };
  for (const Event* event : by_time) {
    if (event->kind == Event::Kind::send) {
      // Whoever asks after a record was acknowledged must see it, if he asks who acknowledged it or
      // a later leader. That one may have found it written already, under an earlier epoch.
      const Send& send = history.send(*event);
      if (send.outcome != Outcome::ok || send.base < 0) continue;
      const auto log = written.find(send.key);
      const auto epoch = send.epoch < 0 || log == written.end()
                             ? std::optional(send.epoch)
                             : log->second.epoch_of(send.base, send.first);
      if (epoch)
        high[send.key].told(event->told, std::max(*epoch, send.epoch), send.base + send.count);
    } else if (event->kind == Event::Kind::poll) {
      const Poll& poll = history.poll(*event);
      // Whoever was asked may lead under a later epoch than the reader knew: the record below
      // tells.
      const auto log = written.find(poll.key);
      const int32_t wrote = poll.epoch < 0 || log == written.end()
                                ? -1
                                : log->second.epoch_at(poll.high_watermark - 1);
      rise(high[poll.key], *event, poll.key, std::max(poll.epoch, wrote), poll.high_watermark,
           "offset-regress", "high watermark", poll.by);
      rise(start[poll.key], *event, poll.key, poll.epoch, poll.log_start, "offset-regress",
           "log start", poll.by);
    } else if (event->kind == Event::Kind::epoch) {
      // One broker's word follows the metadata with a delay of its own.
      const EpochSeen& seen = history.epoch(*event);
      rise(epochs[{seen.key, seen.by}], *event, seen.key, -1, seen.epoch, "epoch-regress",
           "leader epoch", seen.by);
    }
  }
}

}  // namespace paceline::history
