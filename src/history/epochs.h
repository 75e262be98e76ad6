#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "history/checker.h"
#include "history/history.h"

// What leaders that follow each other may not do, in the order of their epochs and of time.

namespace paceline::history {

using Report = std::function<void(Anomaly)>;

// Which epoch wrote which record, as the records of all answers say. Filled first, settled once,
// asked then.
class Written {
 public:
  void add(const Run& run);  // one that tells no epoch is left out
  void settle();
  // By offset. Two that share an offset tell different epochs, or values, of it.
  const std::vector<Run>& runs() const { return runs_; }
  // Of the record with this value; nothing if nobody has read it there.
  std::optional<int32_t> epoch_of(int64_t offset, Value value) const;
  // Of whatever anybody has read at this offset, the latest; -1: nobody has.
  int32_t epoch_at(int64_t offset) const;
  // A record with another value at one of these offsets, written under a later epoch.
  const Run* taken_over(int64_t offset, Value value, uint64_t count, int32_t epoch) const;

 private:
  // The first run that may reach `offset`.
  std::vector<Run>::const_iterator reaching(int64_t offset) const;

  std::vector<Run> runs_;
  uint64_t count_max_ = 0;
};

// The greatest number told before an instant: what a later operation must not fall below. Numbers
// of an earlier epoch bind later ones, not the other way round: who led before may not know yet.
class Rising {
 public:
  void told(Time when, int32_t epoch, int64_t number);
  int64_t before(Time when, int32_t epoch) const;

 private:
  struct Step {
    Time when;
    int64_t number;
  };
  std::map<int32_t, std::vector<Step>> steps_;  // by epoch; in each both grow
};

// Reports epoch-reuse, epoch-order, epoch-end and ack-after-fence. `by_time`: the history's events
// in the order in which they were told.
void judge_epochs(const History& history, const std::vector<const Event*>& by_time,
                  const std::map<Key, Written>& written, const Report& report);

// Reports offset-regress and epoch-regress.
void judge_rising(const History& history, const std::vector<const Event*>& by_time,
                  const std::map<Key, Written>& written, const Report& report);

}  // namespace paceline::history
