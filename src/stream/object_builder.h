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
  bool checkpoint = false;
  uint64_t block_bytes = 1ull << 20;
};

struct BuiltObject {
  Header header;
  std::vector<Slice> body;      // batches are slices of where they were, never copied
  std::vector<Extent> extents;  // one a part; empty (base == end) where it adds no batches
};

// Lays an object out and computes its checksums: heavy, for a thread that may block.
// REQUIRES: parts sorted by stream. The new extents are added to the directory's records.
BuiltObject build_object(const ObjectPlan& plan, const std::vector<StreamPart>& parts);

}  // namespace paceline::stream
