#include "wal/seal.h"

#include <fmt/format.h>

#include <optional>

#include "env/block_pool.h"
#include "env/pieces.h"
#include "wal/lane_scan.h"

namespace paceline::wal {
namespace {

// A writer that does not know of the seal yet may trim while the segments are read.
constexpr int kScansMax = 16;

// What is read of a tail for its seal need not be read again; more than a broker that uploads in
// time leaves behind is not kept.
constexpr uint64_t kKeptBytesMax = 128u << 20;

struct Scanned {
  Position end;
  std::string marks;
  std::optional<std::deque<Group>> groups;
};

Result<Scanned> scan_end(const LaneFiles& files, Position trimmed) {
  LaneScan scan(files);
  TRY_VOID(scan.open(trimmed > Position(0) ? std::optional(trimmed) : std::nullopt, std::nullopt));
  std::optional<std::deque<Group>> groups(std::in_place);
  const Position start = scan.position();
  for (;;) {
    TRY(auto group, scan.next());
    if (!group) break;
    if (!group->before.empty() || scan.position() - start > kKeptBytesMax) groups.reset();
    if (groups && group->end > trimmed) groups->push_back(std::move(*group));
  }
  // What was read may have been written but not yet durable. It is now, before anyone learns of it.
  TRY_VOID(scan.settle());
  return Scanned{scan.position(), scan.last_marks(), std::move(groups)};
}

// A segment that proves by itself that nothing was acknowledged in it: reserved space only, or what
// a trimmed segment has left. Zeros that were written ahead look like neither; they stay.
Result<bool> never_used(const std::optional<SegmentHeader>& header, env::File& file,
                        uint64_t number) {
  if (header) return header->number < number;
  TRY(const auto data, file.next_data(0));
  return !data.has_value();
}

// One more piece of a file goes. True: it has `keep` bytes, or with none is gone.
Result<bool> shrink(const LaneFiles& files, const std::string& path, env::File& file,
                    uint64_t keep) {
  TRY(const bool last, env::shrink(file, keep));
  if (!last) return false;
  if (keep == 0) {
    TRY_VOID(files.disk->remove(path));
  } else {
    TRY(const uint64_t bytes, file.size());
    if (bytes > keep) TRY_VOID(file.truncate(keep));
  }
  return true;
}

}  // namespace

Result<Sealed> seal_lane(const LaneFiles& files, Position trimmed, uint64_t unique) {
  TRY_VOID(files.create_seal());
  for (int scans = 1;; ++scans) {
    TRY(const auto decided, files.read_end());
    // Another sealer's END may not be durable yet; create_seal() synced the folder before it was
    // seen.
    if (decided) {
      TRY_VOID(files.disk->sync_dir(files.folder));
      return Sealed{decided->end};
    }
    Result<Scanned> end = scan_end(files, trimmed);
    if (end) {
      TRY(const Position agreed, files.decide_end(end->end, std::move(end->marks), unique));
      if (agreed != end->end) end->groups.reset();
      return Sealed{agreed, std::move(end->groups)};
    }
    // Whoever decided first may have removed the segments under this scan.
    TRY(const auto decided_meanwhile, files.read_end());
    if (!decided_meanwhile && (end.error().code != Code::not_found || scans >= kScansMax))
      return fail(end.error());
  }
}

// A broker that dies again and again would fill the disk with the space that each of its lives has
// reserved. Idempotent; a writer that does not know of the seal yet is not disturbed: what it
// writes does not count.
Result<bool> release_reserved(const LaneFiles& files, Position end) {
  const env::OpenMode mode{.writable = true, .direct = true};
  TRY(const auto names, files.disk->list(files.folder));
  for (const std::string& name : names) {
    if (!name.ends_with(".spare.tmp")) continue;
    const std::string path = files.folder + "/" + name;
    TRY(const auto file, files.disk->open(path, mode));
    TRY(const bool gone, shrink(files, path, *file, 0));
    if (!gone) return false;
  }
  TRY(const auto numbers, files.segments());
  const Buffer page = env::allocate_pages(kPageBytes, false);
  bool keeps = false;  // a segment that may have been used: those below it stay too, without a gap
  for (size_t i = numbers.size(); i-- > 0;) {
    const std::string path = files.segment_path(numbers[i]);
    TRY(const auto file, files.disk->open(path, mode));
    TRY(const size_t count, file->read_at(0, page.writable()));
    const auto header = decode_segment_header(page.bytes().first(count));
    if (header && header->owner != files.owner) return true;
    if (header && header->number == numbers[i] && header->first_position < end)
      return shrink(files, path, *file, kPageBytes + (end - header->first_position));
    TRY(const bool unused, never_used(header, *file, numbers[i]));
    keeps = keeps || !unused;
    if (keeps) continue;
    TRY(const bool gone, shrink(files, path, *file, 0));
    if (!gone) return false;
  }
  return true;
}

Result<Position> seal_lane_at(const LaneFiles& files, Position end, uint64_t unique) {
  TRY_VOID(files.create_seal());
  return files.decide_end(end, std::string(), unique);
}

Result<void> remove_lane(const LaneFiles& files) {
  TRY(const bool there, files.disk->exists(files.folder));
  if (!there) return {};
  TRY(const auto end, files.read_end());
  if (!end)
    return fail(Code::conflict, fmt::format("lane {} is not sealed", files.owner.lane.to_string()));
  TRY(const auto names, files.disk->list(files.folder));
  for (const std::string& name : names) {
    if (!name.ends_with(".wal") && !name.ends_with(".tmp")) continue;
    Result<void> removed = files.disk->remove(files.folder + "/" + name);
    if (!removed && removed.error().code != Code::not_found) return removed;
  }
  return files.disk->sync_dir(files.folder);
}

}  // namespace paceline::wal
