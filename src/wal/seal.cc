#include "wal/seal.h"

#include <fmt/format.h>

#include "wal/lane_scan.h"

namespace paceline::wal {
namespace {

// A writer that does not know of the seal yet may trim while the segments are read.
constexpr int kScansMax = 16;

Result<Position> scan_end(const LaneFiles& files) {
  LaneScan scan(files);
  TRY_VOID(scan.open(std::nullopt, std::nullopt));
  for (;;) {
    TRY(const auto group, scan.next());
    if (!group) break;
  }
  // What was read may have been written but not yet durable. It is now, before anyone learns of it.
  TRY_VOID(scan.settle());
  return scan.position();
}

}  // namespace

Result<Position> seal_lane(const LaneFiles& files, uint64_t unique) {
  TRY_VOID(files.create_seal());
  for (int scans = 1;; ++scans) {
    TRY(const auto decided, files.read_end());
    // Another sealer's END may not be durable yet; create_seal() synced the folder before it was
    // seen.
    if (decided) {
      TRY_VOID(files.disk->sync_dir(files.folder));
      return *decided;
    }
    const Result<Position> end = scan_end(files);
    if (end) return files.decide_end(*end, unique);
    // Whoever decided first may have removed the segments under this scan.
    TRY(const auto decided_meanwhile, files.read_end());
    if (!decided_meanwhile && (end.error().code != Code::not_found || scans >= kScansMax))
      return fail(end.error());
  }
}

Result<Position> seal_lane_at(const LaneFiles& files, Position end, uint64_t unique) {
  TRY_VOID(files.create_seal());
  return files.decide_end(end, unique);
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
