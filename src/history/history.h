#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// What clients asked and what they were told. Clients write it, the checker reads it; neither knows
// the broker. One thread.

namespace paceline::history {

// Since some moment that is the same for the whole history; of a clock that never goes back.
using Time = std::chrono::nanoseconds;
// Where records go: a small number for (topic, partition), given by whoever runs the clients.
using Key = uint32_t;
// Unique per key for the whole history: nobody sends the same one twice on purpose. Below 2^63.
using Value = uint64_t;

// Who answered: one life of one broker process, by a name that the history keeps. 0: not said.
using Teller = uint32_t;

// fail: certainly not in the log. unknown: it may be there, now or later. README.md tells which
// answers are which.
enum class Outcome : uint8_t { ok, fail, unknown };

// The values first, first+1, ...: one batch, or several that were told the same, one behind the
// other.
struct Send {
  uint32_t producer = 0;   // one session: never shared by two clients
  bool idempotent = true;  // retried until told; a plain one is sent once
  Key key = 0;
  Value first = 0;
  uint32_t count = 0;
  uint64_t order = 0;  // of this producer's sends to this key, as it first sent them
  Outcome outcome = Outcome::unknown;
  int64_t base = -1;  // the offset of `first`; -1 if it was not told
  // Answers after the first one to the same batch, e.g. to a retry: each must be `base`.
  std::vector<int64_t> repeated_bases;
  // The leader epoch that its client knew when it sent it for the last time; -1: none. What
  // acknowledged it led in that epoch or in a later one.
  int32_t epoch = -1;
  Teller by = 0;  // who acknowledged it
};

// Records in a row: value+i is at offset+i.
struct Run {
  int64_t offset = 0;
  Value value = 0;
  uint64_t count = 1;
  int32_t epoch =
      -1;  // the leader epoch that the records say they were written under; -1: not told

  int64_t end() const { return offset + static_cast<int64_t>(count); }
  Value value_end() const { return value + count; }
};

// What one reader got of one key, asking once or several times in a row.
struct Poll {
  uint32_t reader = 0;
  uint32_t group = 0;  // that it reads for; 0: for none
  Key key = 0;
  int64_t from = 0;
  std::vector<Run> seen;  // records at or after `from`, in the order of the answer
  int64_t high_watermark = -1;
  int64_t log_start = -1;
  bool last = false;  // of the final polls, after all faults have ended
  // Its client named this leader epoch and was not refused: whoever answered led in it, or thought
  // so. -1: it named none.
  int32_t epoch = -1;
  Teller by = 0;

  void add(int64_t offset, Value value, int32_t written_under = -1);  // one record more
};

// A group's offset of one key.
struct Commit {
  uint32_t group = 0;
  Key key = 0;
  int64_t offset = 0;
  Outcome outcome = Outcome::unknown;
  Teller by = 0;
};
struct CommittedRead {
  uint32_t group = 0;
  Key key = 0;
  int64_t offset = -1;  // -1: none
  Teller by = 0;
};

// A leader epoch that a broker gave for a key.
struct EpochSeen {
  Key key = 0;
  int32_t epoch = -1;
  int32_t leader = -1;  // the broker that leads in it, if that was told
  Teller by = 0;
};

// Where an epoch ends, as a leader answered who asks for it.
struct EpochEnd {
  Key key = 0;
  int32_t epoch = -1;    // asked for
  int64_t end = -1;      // everything written under it, or before it, lies below
  int32_t current = -1;  // the epoch in which the one who answered led
  Teller by = 0;
};

// Something that no client may ever see, found by the client itself, e.g. a checksum.
struct Violation {
  Key key = 0;
  std::string what;
};

struct Event {
  enum class Kind : uint8_t { send, poll, commit, committed_read, epoch, epoch_end, violation };
  Kind kind;
  size_t index = 0;  // in the list of that kind
  Time invoked{};
  Time told{};
};

class History {
 public:
  void add(Send send, Time invoked, Time told);
  void add(Poll poll, Time invoked, Time told);
  void add(Commit commit, Time invoked, Time told);
  void add(CommittedRead read, Time invoked, Time told);
  void add(EpochSeen seen, Time invoked, Time told);
  void add(EpochEnd end, Time invoked, Time told);
  void add(Violation violation, Time told);
  // The number of a name; a new one for a new name.
  Teller teller(std::string_view name);
  // Empty for 0.
  const std::string& name_of(Teller teller) const { return tellers_[teller]; }

  // In the order in which they were added.
  const std::vector<Event>& events() const { return events_; }
  const Send& send(const Event& event) const { return sends_[event.index]; }
  const Poll& poll(const Event& event) const { return polls_[event.index]; }
  const Commit& commit(const Event& event) const { return commits_[event.index]; }
  const CommittedRead& committed_read(const Event& event) const { return reads_[event.index]; }
  const EpochSeen& epoch(const Event& event) const { return epochs_[event.index]; }
  const EpochEnd& epoch_end(const Event& event) const { return epoch_ends_[event.index]; }
  const Violation& violation(const Event& event) const { return violations_[event.index]; }
  const std::vector<Send>& sends() const { return sends_; }
  const std::vector<Poll>& polls() const { return polls_; }

 private:
  std::vector<Event> events_;
  std::vector<Send> sends_;
  std::vector<Poll> polls_;
  std::vector<Commit> commits_;
  std::vector<CommittedRead> reads_;
  std::vector<EpochSeen> epochs_;
  std::vector<EpochEnd> epoch_ends_;
  std::vector<Violation> violations_;
  std::vector<std::string> tellers_{""};
};

}  // namespace paceline::history
