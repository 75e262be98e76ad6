#include "sim/checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace paceline::sim {
namespace {

// An unanswered commit may still be on its way: for this long after its client gave up.
constexpr env::Duration kUnknownLives = std::chrono::seconds(10);

// What is known of one key from everybody.
struct Log {
  std::map<int64_t, std::set<Value>> at;       // read or acknowledged there
  std::map<Value, std::set<int64_t>> offsets;  // of what was read
  std::set<Value> last;                        // in the final polls
  std::map<Value, const Send*> sends;          // by first value
  int64_t start = 0;                           // the highest log start seen
};

const Send* sender_of(const Log& log, Value value) {
  auto after = log.sends.upper_bound(value);
  if (after == log.sends.begin()) return nullptr;
  const Send* send = std::prev(after)->second;
  return value < send->first + send->count ? send : nullptr;
}

// The greatest value told before an instant: what a later operation must not fall below.
class Rising {
 public:
  void told(env::Instant when, int64_t value) {
    if (!steps_.empty() && value <= steps_.back().second) return;
    steps_.emplace_back(when, value);
  }
  int64_t before(env::Instant when) const {
    auto after = std::ranges::lower_bound(steps_, when, {}, [](const auto& s) { return s.first; });
    return after == steps_.begin() ? -1 : std::prev(after)->second;
  }

 private:
  std::vector<std::pair<env::Instant, int64_t>> steps_;  // both grow
};

class Judge {
 public:
  Judge(const History& history, size_t max) : history_(history), max_(max) {}

  std::vector<Anomaly> verdict() {
    collect();
    for (const auto& [key, log] : logs_) {
      judge_places(key, log);
      judge_presence(key, log);
      judge_send_order(key, log);
    }
    for (const Poll& poll : history_.polls()) judge_poll(poll);
    judge_order_of_time();
    judge_commits();
    return std::move(found_);
  }

 private:
  void report(std::string name, Key key, std::string what) {
    if (counts_[name]++ < max_) found_.push_back({std::move(name), key, std::move(what)});
  }

  void collect() {
    for (const Send& send : history_.sends()) {
      Log& log = logs_[send.key];
      log.sends[send.first] = &send;
      if (send.outcome != Outcome::ok || send.base < 0) continue;
      for (uint32_t i = 0; i < send.count; ++i) log.at[send.base + i].insert(send.first + i);
      for (int64_t base : send.repeated_bases) {
        if (base != send.base)
          report("wrong-base", send.key,
                 fmt::format("the batch of value {} was acknowledged at {} and then at {}",
                             send.first, send.base, base));
      }
    }
    for (const Poll& poll : history_.polls()) {
      Log& log = logs_[poll.key];
      log.start = std::max(log.start, poll.log_start);
      for (const Seen& seen : poll.seen) {
        log.at[seen.offset].insert(seen.value);
        log.offsets[seen.value].insert(seen.offset);
        if (poll.last) log.last.insert(seen.value);
      }
    }
  }

  void judge_places(Key key, const Log& log) {
    for (const auto& [offset, values] : log.at) {
      if (values.size() > 1)
        report("inconsistent-offsets", key,
               fmt::format("offset {} held value {} and value {}", offset, *values.begin(),
                           *values.rbegin()));
    }
    for (const auto& [value, offsets] : log.offsets) {
      if (offsets.size() > 1)
        report("duplicate", key,
               fmt::format("value {} is at offset {} and at offset {}", value, *offsets.begin(),
                           *offsets.rbegin()));
      const Send* send = sender_of(log, value);
      if (!send || send->outcome == Outcome::fail)
        report("phantom-read", key,
               fmt::format("value {} was read at offset {}, but {}", value, *offsets.begin(),
                           send ? "its send had failed" : "nobody sent it"));
    }
  }

  void judge_presence(Key key, const Log& log) {
    for (const auto& [first, send] : log.sends) {
      if (send->outcome != Outcome::ok) continue;
      for (uint32_t i = 0; i < send->count; ++i) {
        const bool deleted = send->base >= 0 && send->base + i < log.start;
        if (!deleted && !log.last.contains(first + i))
          report("lost-write", key,
                 fmt::format("value {} was acknowledged at offset {} and is gone", first + i,
                             send->base < 0 ? -1 : send->base + i));
      }
    }
    for (const auto& [value, offsets] : log.offsets) {
      if (*offsets.rbegin() >= log.start && !log.last.contains(value))
        report("read-beyond-durable", key,
               fmt::format("value {} was read at offset {} and is gone", value, *offsets.begin()));
    }
  }

  void judge_send_order(Key key, const Log& log) {
    std::map<uint32_t, std::map<uint64_t, std::pair<Value, int64_t>>> by_producer;
    for (const auto& [first, send] : log.sends) {
      int64_t base = send->base;
      if (base < 0 || send->outcome != Outcome::ok) {
        auto read = log.offsets.find(first);
        base = read == log.offsets.end() || !send->idempotent ? -1 : *read->second.begin();
      }
      if (base >= 0) by_producer[send->producer][send->order] = {first, base};
    }
    for (const auto& [producer, batches] : by_producer) {
      int64_t last = -1;
      for (const auto& [order, place] : batches) {
        if (place.second < last)
          report("nonmonotonic-send", key,
                 fmt::format("producer {}: the batch of value {} is at offset {}, below {} of an "
                             "earlier one",
                             producer, place.first, place.second, last));
        last = std::max(last, place.second);
      }
    }
  }

  void judge_poll(const Poll& poll) {
    const Log& log = logs_[poll.key];
    int64_t next = std::max(poll.from, poll.log_start);
    for (const Seen& seen : poll.seen) {
      if (seen.offset < next)
        report("nonmonotonic-poll", poll.key,
               fmt::format("reader {}: offset {} where {} or more was due", poll.reader,
                           seen.offset, next));
      auto skipped = log.at.lower_bound(next);
      if (skipped != log.at.end() && skipped->first < seen.offset)
        report("poll-skip", poll.key,
               fmt::format("reader {}: asked from {}, offset {} was left out before {}",
                           poll.reader, poll.from, skipped->first, seen.offset));
      next = seen.offset + 1;
    }
  }

  // What must never fall, in the order of real time.
  void judge_order_of_time() {
    std::map<Key, Rising> high, start, epochs;
    auto rise = [this](Rising& line, const Event& event, Key key, int64_t value, const char* name,
                       const char* what) {
      const int64_t before = line.before(event.invoked);
      if (value >= 0 && value < before)
        report(name, key, fmt::format("{} {} after {}", what, value, before));
      line.told(event.told, value);
    };
    for (const Event& event : history_.events()) {
      if (event.kind == Event::Kind::poll) {
        const Poll& poll = history_.poll(event);
        rise(high[poll.key], event, poll.key, poll.high_watermark, "offset-regress",
             "high watermark");
        rise(start[poll.key], event, poll.key, poll.log_start, "offset-regress", "log start");
      } else if (event.kind == Event::Kind::epoch) {
        const EpochSeen& seen = history_.epoch(event);
        rise(epochs[seen.key], event, seen.key, seen.epoch, "epoch-regress", "leader epoch");
      } else if (event.kind == Event::Kind::violation) {
        const Violation& seen = history_.violation(event);
        report("violation", seen.key, seen.what);
      }
    }
  }

  void judge_commits() {
    std::map<std::pair<uint32_t, Key>, std::vector<const Event*>> commits;
    for (const Event& event : history_.events()) {
      if (event.kind == Event::Kind::commit) {
        const Commit& commit = history_.commit(event);
        if (commit.outcome != Outcome::fail) commits[{commit.group, commit.key}].push_back(&event);
      } else if (event.kind == Event::Kind::committed_read) {
        const CommittedRead& read = history_.committed_read(event);
        judge_committed(event, read, commits[{read.group, read.key}]);
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
      const env::Instant end = known ? commit->told : commit->told + kUnknownLives;
      if (end >= latest->invoked) least = std::min(least, history_.commit(*commit).offset);
    }
    if (read.offset < least)
      report("commit-regress", read.key,
             fmt::format("group {}: offset {} where {} had been committed", read.group, read.offset,
                         least));
  }

  const History& history_;
  const size_t max_;
  std::map<Key, Log> logs_;
  std::map<std::string, size_t> counts_;
  std::vector<Anomaly> found_;
};

}  // namespace

std::vector<Anomaly> check(const History& history, size_t max) {
  return Judge(history, max).verdict();
}

}  // namespace paceline::sim
