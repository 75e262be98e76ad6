#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "env/shard.h"
#include "wal/lane_files.h"

namespace paceline::wal {

// The segments of an open lane: the one that is written, the next one, whose space is reserved in
// the background before it is needed, the old ones until they are trimmed, and a few trimmed ones
// kept as spares: a disk syncs what overwrites old bytes in half the time of what fills reserved
// space, because the file system has nothing to write down. Owned by one shard.
class SegmentSet : public std::enable_shared_from_this<SegmentSet> {
 public:
  SegmentSet(env::Shard& shard, LaneFiles files, uint64_t segment_bytes)
      : shard_(shard), files_(std::move(files)), segment_bytes_(round_to_page(segment_bytes)) {}

  // Where a commit goes. A new segment begins with its header, in the same write.
  struct Place {
    std::shared_ptr<env::File> file;
    uint64_t offset = 0;
    std::optional<uint64_t> new_segment;  // its number
  };
  // Room for `bytes` at `position`; nothing if it must be prepared first. What it returns is used
  // up.
  std::optional<Place> take(uint64_t bytes, Position position);
  // Reserves the next segment, with room for one commit of `bytes`. `done` runs later, on the
  // shard; it replaces the one of a preparation that still runs.
  using Done = std::move_only_function<void(Result<void>)>;
  void prepare(uint64_t bytes, Done done);
  bool preparing() const { return preparing_; }

  // Zeros to write, and sync, behind what was taken: so that the syncs of small commits need not
  // write down that reserved space is now in use, which takes them as long again. Nothing while the
  // file is written far enough ahead, or after a commit of so many `bytes` that it hardly matters.
  // REQUIRES: written before the next commit in this segment. What it returns counts as written.
  struct Fill {
    std::shared_ptr<env::File> file;
    uint64_t offset = 0;
    uint64_t bytes = 0;
  };
  std::optional<Fill> fill_ahead(uint64_t commit_bytes);

  struct Trimmed {
    uint64_t number = 0;
    bool spare = false;  // retired for reuse, instead of deleted
  };
  // The old segments that end at or below `up_to`, and are no longer needed to find the end of the
  // lane, which is durable up to `durable_end`. They are forgotten here.
  std::deque<Trimmed> take_trimmed(Position up_to, Position durable_end);
  // What became of them: `done` were, `left` could not be.
  void trimmed(const std::deque<Trimmed>& done, const std::deque<Trimmed>& left);

 private:
  struct Open {
    uint64_t number = 0;
    std::shared_ptr<env::File> file;
    uint64_t bytes = 0;
    uint64_t used = 0;
    uint64_t written = 0;  // up to here, by commits, zeros or a former life
  };
  struct Old {
    uint64_t number = 0;
    Position end;
    uint64_t bytes = 0;  // of the file
  };
  void prepared(uint64_t bytes, Result<LaneFiles::Prepared> file);

  env::Shard& shard_;
  const LaneFiles files_;
  const uint64_t segment_bytes_;
  Open current_;
  Open next_;
  uint64_t next_number_ = 1;
  std::deque<Old> old_;
  std::deque<uint64_t> spares_;  // numbers they had
  bool preparing_ = false;
  Done done_;
};

}  // namespace paceline::wal
