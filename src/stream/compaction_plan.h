#pragma once

#include <unordered_map>
#include <vector>

#include "stream/types.h"

// What compaction should do about the extents of a checkpoint: pure, without a store or a clock.

namespace paceline::stream {

struct CompactionLimits {
  // Of batches in one new object, at most, unless one extent alone is larger.
  uint64_t object_bytes_max = 64ull << 20;
  // So many short neighbours of one stream become one extent, so many small objects one object.
  uint32_t fan_in = 64;

  // Long enough for its reader and for the directory: not merged for its length again.
  uint64_t long_bytes() const { return object_bytes_max / 16; }
  // From here on an object, or one stream's run in a new one, is worth an object of its own.
  uint64_t own_object_bytes() const { return object_bytes_max / 4; }
};

// Neighbours of one stream, in order: they become one extent.
struct CompactionRun {
  StreamId stream;
  std::vector<Extent> extents;
  uint64_t bytes = 0;
};
// One new object. A stream object if it has one run, else a stream-set object.
struct CompactionItem {
  std::vector<CompactionRun> runs;  // by (stream, base)
  uint64_t bytes = 0;
};

struct CompactionInput {
  struct Stream {
    StreamId id;
    std::vector<Extent> extents;
    bool movable = true;  // an offline stream stays where it is: it is the evidence
  };
  std::vector<Stream> streams;  // by id
  // Of batches that an object was made with. What is not here has lost nothing.
  std::unordered_map<ObjectId, uint64_t> made_bytes;
};

// Items that do not touch each other's extents, in any order. Empty where nothing is to be gained;
// carrying all of them out and planning again ends, and each byte is moved a few times in its life:
//  - a stream's short neighbours become one extent once there are `fan_in` of them, or enough for
//    an object; not with one that is more than a quarter of the whole, so that runs grow by factors
//  - what is left in an object that is to lose more than half of its bytes moves out, so that the
//    object goes
//  - so does what is in small objects, once there are many
std::vector<CompactionItem> plan_compaction(const CompactionInput& input,
                                            const CompactionLimits& limits);

}  // namespace paceline::stream
