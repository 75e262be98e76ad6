#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "history/history.h"

namespace paceline::history {

// Kafka's promises, each by the name of its breach.
//
//   inconsistent-offsets   one offset of a key held two values, as read or as acknowledged
//   duplicate              one value at two offsets
//   wrong-base             a batch was told two offsets, or is not where it was told to be
//   lost-write             an acknowledged value is not in the final polls
//   read-beyond-durable    a value that was read is not in the final polls
//   phantom-read           a value was read that nobody sent, or whose send certainly failed
//   poll-skip              an answer left out an offset that holds a record
//   nonmonotonic-poll      offsets of one answer do not grow, or lie below what was asked
//   nonmonotonic-send      records of one idempotent producer landed out of its order
//   offset-regress         a high watermark fell, or lay below what had been acknowledged; or a log
//                          start fell; along the epochs of the leaders that told them
//   epoch-regress          a leader epoch fell, as one broker told it
//   epoch-reuse            two brokers led in one epoch
//   epoch-order            a record was written under an earlier epoch than one before it, or under
//                          two
//   epoch-end              an epoch does not end where a leader said that it does
//   ack-after-fence        a batch was acknowledged where a later leader has put another one
//   commit-regress         a group's offset went back behind an acknowledged commit
//   group-skip             a group has committed past a record that no member was given
//   violation              found by the client itself
struct Anomaly {
  std::string name;
  Key key = 0;
  std::string what;  // one sentence with the offsets and values concerned
  // The first of them, where there is one.
  std::optional<Value> value = {};
  int64_t offset = -1;
};

// An error if a verdict on this history would prove nothing, with the reason: a key that was sent
// to has no final polls, or two sends have a value in common.
Result<void> judgeable(const History& history);

// Judges on what clients were told alone; at most `max` of each name, so that one bug does not fill
// a screen; records in a row that share a fate are one. What was deleted on purpose (below the last
// log start) is not missed.
// REQUIRES: final polls (Poll::last) cover every key from its log start to its end.
std::vector<Anomaly> check(const History& history, size_t max = 5);

// Who sent, was told, read or committed what an anomaly is about, and when: a line each, in the
// order of time, at most `max`.
std::vector<std::string> story_of(const Anomaly& anomaly, const History& history, size_t max = 20);

// What a verdict rests on.
struct Counts {
  uint64_t keys = 0;
  uint64_t sends[3] = {};  // by outcome
  uint64_t records_acked = 0;
  uint64_t polls = 0;
  uint64_t records_polled = 0;
  uint64_t final_polls = 0;
  uint64_t final_records = 0;
  uint64_t commits_acked = 0;
  uint64_t committed_reads = 0;
};
Counts count(const History& history);

}  // namespace paceline::history
