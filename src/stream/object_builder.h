#pragma once

#include <vector>

#include "stream/directory.h"
#include "stream/object_format.h"

namespace paceline::stream {

// One stream's share of an object: what its directory says and the batches it adds.
struct StreamPart {
  DirectoryRecord record;
  std::vector<Batch> batches;  // consecutive, up to record.end; may be empty
};

struct ObjectPlan {
  Uuid cluster_id;
  ObjectId id;
  uint64_t nonce = 0;
  int64_t created_ms = 0;
  bool checkpoint = false;
  bool with_directory = true;  // else an empty one: what the parts' records say is not kept
  uint64_t block_bytes = 1ull << 20;
  bool compress = false;  // blocks that get smaller by it
};

struct BuiltObject {
  Header header;
  std::vector<Slice> body;      // batches are slices of where they were, never copied
  std::vector<Extent> extents;  // one a part; empty (base == end) where it adds no batches
};

// Lays an object out and computes its checksums: heavy, for a thread that may block.
// REQUIRES: parts sorted by stream (and base, where there is no directory). The new extents are
// added to the directory's records.
BuiltObject build_object(const ObjectPlan& plan, const std::vector<StreamPart>& parts);

}  // namespace paceline::stream
