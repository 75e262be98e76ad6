#pragma once

#include <span>
#include <unordered_map>

#include "wal/wal.h"

namespace paceline::wal {

// Keeps each stream's batches in one row: what is accepted starts where the last accepted one
// ended. So when one append of a stream is refused, those its owner sent behind it are refused as
// well, and no hole is ever acknowledged. A higher epoch is a new term of the stream, which may
// start anywhere (it was led elsewhere in between); a lower one is refused. Pure.
class StreamOrder {
 public:
  // Accepts all entries of one append or none.
  Result<void> accept(std::span<const Entry> entries);
  // Takes back what was accepted but not written. Appends are undone last first.
  void undo(std::span<const Entry> entries);

 private:
  struct Row {
    Epoch epoch;
    Offset next;
  };
  std::unordered_map<StreamId, Row> rows_;
};

}  // namespace paceline::wal
