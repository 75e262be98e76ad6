#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "wal/lane_files.h"
#include "wal/marks.h"

namespace paceline::wal {

// Reads the groups of a lane in order, checking every byte. All calls block; one thread at a time.
//
// Where a lane has no END, its tail ends at the first group that is not whole, unless something in
// the lane proves that this group was durable once: then it is damage. Behind damage the scan goes
// on with the next whole group; only where none is found, and no END tells where the lane ends, it
// gives up.
class LaneScan {
 public:
  explicit LaneScan(LaneFiles files) : files_(std::move(files)) {}

  // Begins at `from`, which is the end of a group, or at the lowest segment if there is none.
  // `decided` is the decided end. out_of_range if `from` was trimmed away.
  Result<void> open(std::optional<Position> from, const std::optional<LaneEnd>& decided);
  // The next whole group; nothing at the end. Damage is told as wal.h says, but not below `from`,
  // where nobody needs the bytes. not_found if a segment was deleted meanwhile.
  Result<std::optional<Group>> next();
  // Just after the last whole group.
  Position position() const { return position_; }
  // What the last commit that was read did to each stream, encoded; empty if there was none. At
  // most once.
  std::string last_marks() { return read_any_ ? commit_.take(commit_start_) : std::string(); }
  // Makes what was read durable: the groups of the last commit are written again, then every
  // segment is synced. A sync that failed before may have left them readable and no longer to be
  // written; those before them had a good sync, or their writer would have ended. The bytes are the
  // ones that stand there, so a writer that still lives is not disturbed.
  Result<void> settle();

 private:
  struct Segment {
    uint64_t number = 0;
    std::shared_ptr<env::File> file;
    uint64_t bytes = 0;
    std::optional<SegmentHeader> header;
    bool assumed =
        false;  // the header: what stands there is none, but what must stand there is known
  };
  struct Found {
    uint64_t offset = 0;
    GroupHeader header;
  };
  Result<void> open_segments();
  Result<Segment> open_segment(uint64_t number);
  Result<void> enter_segment(size_t index);
  // Passes what nobody needs in the current segment without reading it: groups follow each other
  // without a gap, so a position tells its place. Only if what stands there, or that nothing does,
  // is beyond doubt.
  Result<void> pass_to(Position from);
  Result<bool> nothing_at(Position from);
  // Goes to the segment after the current one, if the lane goes on there.
  Result<bool> enter_next();
  // Where the lane starts whose lowest segment has no valid header.
  Result<void> start_at_first_group(const Segment& segment);
  // Whether a group with this header is the one that is looked for.
  bool follows(const GroupHeader& header) const;
  Result<std::optional<Group>> read_group();
  // Adds what there is to tell of damage before it.
  Group told(Group group);
  std::optional<Group> last_word();
  // Notes that nothing can be read from here to the next whole group, and goes behind that one. If
  // there is none: to the END, or an error.
  Result<std::optional<Group>> pass_damage(const std::string& proof);
  Result<std::optional<Group>> next_whole_group();
  void note_gap(Position from, std::string why);
  // What proves that the group at position_ was durable once: "path at byte n"; empty if nothing.
  Result<std::string> proof_of_damage();
  // The first header at or behind the offset that a group of this lane above position_ would have.
  Result<std::optional<Found>> find_later(const Segment& segment, uint64_t from_offset);
  // The header of what may be a segment's first group; the window stays where it is.
  Result<std::optional<GroupHeader>> first_group(const Segment& segment) const;
  // A view of up to `bytes` at `offset` of a segment, in window_; shorter at its end.
  Result<Bytes> bytes_at(const Segment& segment, uint64_t offset, size_t bytes);
  void move_window(uint64_t offset, size_t kept, size_t bytes);
  // What stands in a file of ours cannot be: corrupt, or not_found if its segment was trimmed while
  // it was read and the file serves another one now.
  std::string describe_damage(const std::string& proof) const;
  std::unexpected<Error> refuse(const Segment& segment, std::string why) const;

  LaneFiles files_;
  std::optional<Position> end_;
  std::optional<Marks> end_marks_;  // of the last commit
  Position needed_;                 // nobody needs what stands below it
  std::vector<Segment> segments_;
  size_t current_ = 0;   // in segments_
  uint64_t offset_ = 0;  // in the current segment
  Position position_;
  uint64_t sequence_ = 1;
  // A whole group as it stands in its segment, padding included.
  struct Placed {
    size_t segment = 0;  // in segments_
    uint64_t offset = 0;
    Position position;
    Slice bytes;
  };
  std::vector<Placed> unproven_;  // those that no later commit has called durable

  GroupHeader last_;                 // of the group that was read last
  std::optional<Marks> last_marks_;  // that stood in it
  bool read_any_ = false;
  MarkCollector commit_;  // of the commit that the last group belongs to
  Position commit_start_;
  std::optional<Damage> gap_;     // not told yet: not all of the damaged commit has been read
  std::optional<Damage> header_;  // a damaged segment header, until it is sure not to be torn

  // Bytes read ahead, of window_file_ from window_start_; the groups that were read are slices of
  // it.
  Buffer window_;
  size_t ahead_bytes_ = 256u << 10;  // how many more the next time
  const env::File* window_file_ = nullptr;
  uint64_t window_start_ = 0;
  size_t window_bytes_ = 0;
};

}  // namespace paceline::wal
