#pragma once

#include <deque>
#include <optional>

#include "wal/lane_files.h"
#include "wal/wal.h"

namespace paceline::wal {

struct Sealed {
  Position end;
  // What the sealer has read, which is what a reader from `trimmed` to `end` would get; nothing if
  // it was too much, or damaged, or somebody else was faster.
  std::optional<std::deque<Group>> groups = {};
};
// Ends the lane and returns its durable end (Wal::seal). Blocks. `unique` differs between callers.
Result<Sealed> seal_lane(const LaneFiles& files, Position trimmed, uint64_t unique);
// Gives back a piece of the space that its writer had reserved behind the end. False: there is
// more. Nobody who waits to be served waits for this. Blocks.
Result<bool> release_reserved(const LaneFiles& files, Position end);
// The writer's own way to end a lane whose disk failed: at what it knows to be durable.
Result<Position> seal_lane_at(const LaneFiles& files, Position end, uint64_t unique);
// Deletes the segments of a sealed lane; its claim, seal and end stay (Wal::remove). Blocks.
Result<void> remove_lane(const LaneFiles& files);

}  // namespace paceline::wal
