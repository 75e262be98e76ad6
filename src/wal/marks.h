#pragma once

#include <optional>
#include <string>
#include <vector>

#include "wal/wal.h"

namespace paceline::wal {

// What a commit says of the one before it: `from` is where that one began.
struct Marks {
  Position from;
  std::vector<StreamMark> streams;  // by id, each once
};

// Nothing unless the bytes are exactly that.
std::optional<Marks> decode_marks(Bytes bytes);
std::string encode_marks(const Marks& marks);

// Gathers what the entries of one commit do to each stream. Pure.
class MarkCollector {
 public:
  void add(const EntryHeader& header);
  // Everything since the last take() or clear(), encoded for the commit that comes next.
  std::string take(Position from);
  void clear() { streams_.clear(); }

 private:
  std::vector<StreamMark> streams_;  // as they came; a stream may be there more than once
};

}  // namespace paceline::wal
