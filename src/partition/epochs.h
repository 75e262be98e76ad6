#pragma once

#include <vector>

#include "base/codec.h"
#include "base/ids.h"
#include "partition/partition.h"

namespace paceline::partition {

// Which leader epoch wrote which offsets. Pure. An epoch without records is kept only while it is
// the last: it says nothing that its successor does not.
class EpochHistory {
 public:
  struct Entry {
    Epoch epoch;
    Offset start;
    bool operator==(const Entry&) const = default;
  };

  // From `start` on, `epoch` writes. No effect unless it is above the last one.
  void begin(Epoch epoch, Offset start);
  // Nothing below `log_start` is asked for any more, except by epochs that reach above it.
  void prune(Offset log_start);
  // Kafka's answer: the largest epoch at or below `asked`, and where it ends. An epoch above all
  // known is unknown (-1, -1); one below all known ends where the first known starts.
  EpochEnd end_of(Epoch asked, Offset log_end) const;
  Epoch at(Offset offset) const;  // -1: none
  Epoch last() const { return entries_.empty() ? Epoch{-1} : entries_.back().epoch; }
  const std::vector<Entry>& entries() const { return entries_; }

  // The part that records below `end` made.
  void encode(Encoder& encoder, Offset end) const;
  static EpochHistory decode(Decoder& decoder);

 private:
  std::vector<Entry> entries_;  // both members grow strictly
};

}  // namespace paceline::partition
