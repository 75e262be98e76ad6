#include "history/checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "history/epochs.h"
#include "history/lines.h"

namespace paceline::history {
namespace {

// An unanswered commit may still be on its way: for this long after its client gave up.
constexpr Time kUnknownLives = std::chrono::seconds(10);

// What is known of one key from everybody.
struct Log {
  Lines told;                      // read or acknowledged there
  Lines read;                      // by anybody
  Lines early;                     // of them, before the last of the final polls was asked
  Ranges covered;                  // offsets that hold a record, as read or as acknowledged
  Ranges last;                     // values in the final polls
  Ranges sent;                     // values whose send did not fail
  Ranges sent_ever;                // values
  std::vector<const Send*> sends;  // by first value
  int64_t start = 0;               // the highest log start seen
};

std::string values(Value start, Value end) {
  return end == start + 1 ? fmt::format("value {}", start)
                          : fmt::format("values {} to {}", start, end - 1);
}
std::string offsets(int64_t start, uint64_t count) {
  if (start < 0) return "an offset that nobody was told";
  return count == 1
             ? fmt::format("offset {}", start)
             : fmt::format("offsets {} to {}", start, start + static_cast<int64_t>(count) - 1);
}
uint64_t at(int64_t offset) {
  return static_cast<uint64_t>(std::max<int64_t>(0, offset));
}

class Judge {
 public:
  Judge(const History& history, size_t max) : history_(history), max_(max) {
    // Several files of one history are read one after the other.
    for (const Event& event : history.events()) by_time_.push_back(&event);
    std::ranges::stable_sort(by_time_, {}, [](const Event* event) { return event->told; });
  }

  std::vector<Anomaly> verdict() {
    collect();
    for (const auto& [key, log] : logs_) {
      judge_places(key, log);
      judge_presence(key, log);
      judge_send_order(key, log);
    }
    for (const Poll& poll : history_.polls()) judge_poll(poll);
    judge_leaders();
    judge_commits();
    judge_groups();
    return std::move(found_);
  }

 private:
  void report(Anomaly anomaly) {
    if (counts_[anomaly.name]++ < max_) found_.push_back(std::move(anomaly));
  }

  void collect() {
    for (const Send& send : history_.sends()) {
      Log& log = logs_[send.key];
      log.sends.push_back(&send);
      log.sent_ever.add(send.first, send.first + send.count);
      if (send.outcome != Outcome::fail) log.sent.add(send.first, send.first + send.count);
      if (send.outcome != Outcome::ok || send.base < 0) continue;
      log.told.add({send.base, send.first, send.count});
      log.covered.add(at(send.base), at(send.base) + send.count);
      for (int64_t base : send.repeated_bases) {
        if (base != send.base)
          report({"wrong-base", send.key,
                  fmt::format("the batch of value {} was acknowledged at {} and then at {}",
                              send.first, send.base, base),
                  send.first, send.base});
      }
    }
    for (const Poll& poll : history_.polls()) {
      Log& log = logs_[poll.key];
      log.start = std::max(log.start, poll.log_start);
      for (const Run& run : poll.seen) {
        log.told.add(run);
        log.read.add(run);
        log.covered.add(at(run.offset), at(run.end()));
        if (poll.last) log.last.add(run.value, run.value_end());
        if (run.epoch >= 0) written_[poll.key].add(run);
      }
    }
    for (auto& [key, written] : written_) written.settle();
    collect_early();
    for (auto& [key, log] : logs_) {
      log.told.settle();
      log.read.settle();
      log.early.settle();
      for (Ranges* ranges : {&log.covered, &log.last, &log.sent, &log.sent_ever}) ranges->settle();
      std::ranges::sort(log.sends, {}, [](const Send* send) { return send->first; });
    }
  }

  // What was read before the last of the final polls was asked. What comes later may be a send that
  // nobody waits for any more, and that takes effect only now.
  void collect_early() {
    std::map<Key, Time> asked;
    for (const Event* event : by_time_) {
      if (event->kind != Event::Kind::poll || !history_.poll(*event).last) continue;
      Time& latest = asked.try_emplace(history_.poll(*event).key, event->invoked).first->second;
      latest = std::max(latest, event->invoked);
    }
    for (const Event* event : by_time_) {
      if (event->kind != Event::Kind::poll) continue;
      const Poll& poll = history_.poll(*event);
      const auto latest = asked.find(poll.key);
      if (latest != asked.end() && event->told > latest->second) continue;
      for (const Run& run : poll.seen) logs_[poll.key].early.add(run);
    }
  }

  void judge_places(Key key, const Log& log) {
    const Run* reach = nullptr;  // the run so far that goes on the longest
    for (const Run& run : log.told.by_offset()) {
      if (reach && run.offset < reach->end())
        report(
            {"inconsistent-offsets", key,
             fmt::format("offset {} held value {} and value {}", run.offset,
                         reach->value + static_cast<Value>(run.offset - reach->offset), run.value),
             run.value, run.offset});
      if (!reach || run.end() > reach->end()) reach = &run;
    }
    judge_doubles(key, log.read, "duplicate", "value {} is at offset {} and at offset {}");
    if (counts_["duplicate"] == 0)
      judge_doubles(key, log.told, "wrong-base", "value {} was told to be at offset {} and at {}");
    for (const Run& run : log.read.by_value()) {
      for (const auto& part : log.sent.missing(run.value, run.value_end())) {
        const auto offset = run.offset + static_cast<int64_t>(part.start - run.value);
        const bool failed = log.sent_ever.missing(part.start, part.start + 1).empty();
        report({"phantom-read", key,
                fmt::format("{} read at {}, but {}", values(part.start, part.end),
                            offsets(offset, part.end - part.start),
                            failed ? "the send had failed" : "nobody sent that"),
                part.start, offset});
      }
    }
  }
  void judge_doubles(Key key, const Lines& lines, const char* name, const char* sentence) {
    const Run* reach = nullptr;
    for (const Run& run : lines.by_value()) {
      if (reach && run.value < reach->value_end()) {
        const auto other = reach->offset + static_cast<int64_t>(run.value - reach->value);
        report({name, key,
                fmt::format(fmt::runtime(sentence), run.value, std::min(other, run.offset),
                            std::max(other, run.offset)),
                run.value, run.offset});
      }
      if (!reach || run.value_end() > reach->value_end()) reach = &run;
    }
  }

  void judge_presence(Key key, const Log& log) {
    for (const Send* send : log.sends) {
      if (send->outcome != Outcome::ok) continue;
      const uint64_t deleted =
          send->base < 0 ? 0 : std::min<uint64_t>(at(log.start - send->base), send->count);
      for (const auto& part : log.last.missing(send->first + deleted, send->first + send->count)) {
        const int64_t offset =
            send->base < 0 ? -1 : send->base + static_cast<int64_t>(part.start - send->first);
        report({"lost-write", key,
                fmt::format("{} acknowledged at {}, and gone", values(part.start, part.end),
                            offsets(offset, part.end - part.start)),
                part.start, offset});
      }
    }
    for (const Run& run : log.early.by_value()) {
      const uint64_t deleted = std::min<uint64_t>(at(log.start - run.offset), run.count);
      for (const auto& part : log.last.missing(run.value + deleted, run.value_end())) {
        const auto offset = run.offset + static_cast<int64_t>(part.start - run.value);
        report({"read-beyond-durable", key,
                fmt::format("{} read at {}, and gone", values(part.start, part.end),
                            offsets(offset, part.end - part.start)),
                part.start, offset});
      }
    }
  }

  // Of an unanswered idempotent send, what was read of it counts; of a plain one nothing does.
  void judge_send_order(Key key, const Log& log) {
    std::map<uint32_t, std::vector<const Send*>> by_producer;
    for (const Send* send : log.sends) by_producer[send->producer].push_back(send);
    for (auto& [producer, sends] : by_producer) {
      std::ranges::sort(sends, {}, [](const Send* send) { return send->order; });
      int64_t last = -1;
      for (const Send* send : sends) {
        std::vector<Run> places;
        if (send->outcome == Outcome::ok && send->base >= 0) {
          places.push_back({send->base, send->first, send->count});
        } else if (send->idempotent) {
          places = log.read.of_values(send->first, send->first + send->count);
        }
        for (const Run& place : places) {
          if (place.offset <= last)
            report({"nonmonotonic-send", key,
                    fmt::format("producer {}: {} at {}, below offset {} of what it sent before",
                                producer, values(place.value, place.value_end()),
                                offsets(place.offset, place.count), last),
                    place.value, place.offset});
          last = std::max(last, place.end() - 1);
        }
      }
    }
  }

  void judge_poll(const Poll& poll) {
    const Log& log = logs_.at(poll.key);
    int64_t next = std::max(poll.from, poll.log_start);
    for (const Run& run : poll.seen) {
      if (run.offset < next)
        report({"nonmonotonic-poll", poll.key,
                fmt::format("reader {}: offset {} where {} or more was due", poll.reader,
                            run.offset, next),
                run.value, run.offset});
      const auto skipped = static_cast<int64_t>(log.covered.next(at(next), at(run.offset)));
      if (skipped < run.offset)
        report({"poll-skip",
                poll.key,
                fmt::format("reader {}: asked from {}, offset {} was left out before {}",
                            poll.reader, poll.from, skipped, run.offset),
                {},
                skipped});
      next = run.end();
    }
  }

  void judge_leaders() {
    const Report to = [this](Anomaly anomaly) { report(std::move(anomaly)); };
    judge_rising(history_, by_time_, written_, to);
    judge_epochs(history_, by_time_, written_, to);
    for (const Event* event : by_time_) {
      if (event->kind != Event::Kind::violation) continue;
      const Violation& seen = history_.violation(*event);
      report({"violation", seen.key, seen.what});
    }
  }

  void judge_commits() {
    std::map<std::pair<uint32_t, Key>, std::vector<const Event*>> commits;
    for (const Event* event : by_time_) {
      if (event->kind == Event::Kind::commit) {
        const Commit& commit = history_.commit(*event);
        if (commit.outcome != Outcome::fail) commits[{commit.group, commit.key}].push_back(event);
      } else if (event->kind == Event::Kind::committed_read) {
        const CommittedRead& read = history_.committed_read(*event);
        judge_committed(*event, read, commits[{read.group, read.key}]);
      }
    }
  }

  // Allowed is the last acknowledged commit, and whatever may have taken effect after it.
  void judge_committed(const Event& event, const CommittedRead& read,
                       const std::vector<const Event*>& commits) {
    const Event* latest = nullptr;
    for (const Event* commit : commits) {
      if (history_.commit(*commit).outcome == Outcome::ok && commit->told < event.invoked &&
          (!latest || commit->invoked > latest->invoked))
        latest = commit;
    }
    if (!latest) return;
    int64_t least = history_.commit(*latest).offset;
    for (const Event* commit : commits) {
      const bool known = history_.commit(*commit).outcome == Outcome::ok;
      const Time end = known ? commit->told : commit->told + kUnknownLives;
      if (end >= latest->invoked) least = std::min(least, history_.commit(*commit).offset);
    }
    if (read.offset < least)
      report({"commit-regress", read.key,
              fmt::format("group {}: offset {} where {} had been committed", read.group,
                          read.offset, least)});
  }

  void judge_groups() {
    std::map<std::pair<uint32_t, Key>, std::pair<Ranges, int64_t>> groups;  // given, committed
    for (const Poll& poll : history_.polls())
      if (poll.group != 0)
        for (const Run& run : poll.seen)
          groups[{poll.group, poll.key}].first.add(at(run.offset), at(run.end()));
    for (const Event& event : history_.events()) {
      if (event.kind != Event::Kind::commit) continue;
      const Commit& commit = history_.commit(event);
      auto group = groups.find({commit.group, commit.key});
      if (commit.outcome == Outcome::ok && group != groups.end())
        group->second.second = std::max(group->second.second, commit.offset);
    }
    for (auto& [whose, group] : groups) {
      auto& [given, committed] = group;
      given.settle();
      const Log& log = logs_.at(whose.second);
      for (const auto& part : given.missing(at(log.start), at(committed))) {
        const uint64_t skipped = log.covered.next(part.start, part.end);
        if (skipped < part.end)
          report({"group-skip",
                  whose.second,
                  fmt::format("group {} has committed {}, but no member was given offset {}",
                              whose.first, committed, skipped),
                  {},
                  static_cast<int64_t>(skipped)});
      }
    }
  }

  const History& history_;
  const size_t max_;
  std::vector<const Event*> by_time_;
  std::map<Key, Log> logs_;
  std::map<Key, Written> written_;  // of keys whose records tell their epochs
  std::map<std::string, size_t> counts_;
  std::vector<Anomaly> found_;
};

}  // namespace

Result<void> judgeable(const History& history) {
  std::map<Key, std::vector<const Send*>> sends;
  std::map<Key, bool> polled;
  for (const Send& send : history.sends()) sends[send.key].push_back(&send);
  for (const Poll& poll : history.polls()) polled[poll.key] |= poll.last;
  if (sends.empty()) return fail(Code::invalid_argument, "nobody has sent anything");
  for (auto& [key, list] : sends) {
    if (!polled[key])
      return fail(Code::invalid_argument,
                  fmt::format("key {} was sent to and has no final poll", key));
    std::ranges::sort(list, {}, [](const Send* send) { return send->first; });
    for (size_t i = 1; i < list.size(); ++i)
      if (list[i]->first < list[i - 1]->first + list[i - 1]->count)
        return fail(Code::invalid_argument,
                    fmt::format("value {} of key {} was sent twice", list[i]->first, key));
  }
  return {};
}

std::vector<Anomaly> check(const History& history, size_t max) {
  return Judge(history, max).verdict();
}

Counts count(const History& history) {
  Counts counts;
  std::map<Key, bool> keys;
  for (const Send& send : history.sends()) {
    keys[send.key] = true;
    counts.sends[static_cast<size_t>(send.outcome)] += 1;
    if (send.outcome == Outcome::ok) counts.records_acked += send.count;
  }
  for (const Poll& poll : history.polls()) {
    keys[poll.key] = true;
    counts.polls += 1;
    counts.final_polls += poll.last;
    for (const Run& run : poll.seen) {
      counts.records_polled += run.count;
      if (poll.last) counts.final_records += run.count;
    }
  }
  counts.keys = keys.size();
  for (const Event& event : history.events()) {
    if (event.kind == Event::Kind::commit && history.commit(event).outcome == Outcome::ok)
      counts.commits_acked += 1;
    if (event.kind == Event::Kind::committed_read) counts.committed_reads += 1;
  }
  return counts;
}

}  // namespace paceline::history
