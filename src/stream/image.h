#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "meta/records.h"
#include "stream/directory.h"
#include "stream/stream.h"
#include "wal/wal.h"

// What recovery makes of directories and WAL entries: pure, without a store or a clock.

namespace paceline::stream {

struct StreamImage {
  Offset start;
  Offset uploaded_end;
  Offset end;
  Epoch epoch{-1};
  Offset snapshot_end;
  std::string snapshot;
  std::string offline;          // not empty: damaged, not to be served
  std::vector<Extent> extents;  // what is not wholly below start and snapshot_end
  std::vector<Batch> tail;      // [uploaded_end, end), from WALs
  bool inherited = false;       // from another broker's lane, and nothing was added since
  bool left_too = false;        // another broker's lane, left to us, knows the same
  bool newly_offline = false;   // by what was read now
};

// How far somebody's knowledge of a stream goes. A batch of a higher epoch was appended by whoever
// led the stream later; what is known up to the same place is the same.
struct Version {
  Epoch epoch;
  Offset end;
  bool offline = false;
};
// Whether `other`, of a lane that was left to us, is to be believed rather than our own: the stream
// may have left us by a move, and come back with what its later leader has left. Damage is never
// passed over for something shorter.
bool supersedes(const Version& other, const Version& own);

struct Image {
  std::unordered_map<StreamId, StreamImage> streams;
  std::unordered_set<StreamId> erased;  // what is found of them behind that means nothing
  size_t skipped_count = 0;             // entries that directories cover already
  size_t stale_count = 0;               // entries of a lower epoch
  size_t new_offline_count = 0;         // streams that an entry or a delta did not fit
};

// What is offline so far is so for good.
void forget_new_offline(Image& image);
// Directories of one lane in the order of their numbers, a checkpoint first (it replaces all).
void apply_directory(Image& image, Directory directory, const ObjectId& from);
// What a lane that was left to this one knows of a stream.
void apply_inherited(Image& image, const StreamId& id, StreamImage left);
// Entries of one lane in the order of the log, lanes in order. REQUIRES: an adoption counts.
void apply_entry(Image& image, wal::Entry entry, Lane from);
// REQUIRES: damage.known. Streams that do not come up to what the marks say go offline, with the
// reason; a lost trim is made good.
void apply_damage(Image& image, const wal::Damage& damage);
// An adoption counts, and its entry is not there.
void apply_lost_adoption(Image& image, const meta::Adopted& adopted, Lane from);

}  // namespace paceline::stream
