#pragma once

#include <string>
#include <vector>

#include "sim/history.h"

namespace paceline::sim {

// Kafka's promises, each by the name of its breach.
//
//   inconsistent-offsets   one offset of a key held two values, as read or as acknowledged
//   duplicate              one value at two offsets
//   wrong-base             a retry of an acknowledged batch was told another offset
//   lost-write             an acknowledged value is not in the final polls
//   read-beyond-durable    a value that was read is not in the final polls
//   phantom-read           a value was read that nobody sent, or whose send certainly failed
//   poll-skip              an answer left out an offset that holds a record
//   nonmonotonic-poll      offsets of one answer do not grow, or lie below what was asked
//   nonmonotonic-send      batches of one idempotent producer landed out of its order
//   offset-regress         a high watermark or a log start fell
//   epoch-regress          a leader epoch fell
//   commit-regress         a group's offset went back behind an acknowledged commit
//   violation              found by the client itself
struct Anomaly {
  std::string name;
  Key key = 0;
  std::string what;  // one sentence with the offsets and values concerned
};

// Judges on what clients were told alone; at most `max` of each name, so that one bug does not fill
// a screen. What was deleted on purpose (below the last log start) is not missed.
// REQUIRES: final polls (Poll::last) cover every key from its log start to its end.
std::vector<Anomaly> check(const History& history, size_t max = 5);

}  // namespace paceline::sim
