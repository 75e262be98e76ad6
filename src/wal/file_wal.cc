#include <fmt/format.h>

#include <deque>
#include <utility>

#include "base/log.h"
#include "env/pieces.h"
#include "wal/lane_log.h"
#include "wal/lane_scan.h"
#include "wal/seal.h"
#include "wal/wal.h"

namespace paceline::wal {
namespace {

// Entries are read and decoded this far ahead of the caller.
constexpr uint64_t kReadAheadBytes = 1u << 20;

class FileReader final : public Reader {
 public:
  FileReader(env::Shard& shard, std::shared_ptr<LaneScan> scan, Position from)
      : shard_(shard), scan_(std::move(scan)), from_(from) {}

  Task<Result<std::optional<Group>>> next() override {
    if (ready_.empty() && !over_) {
      Ahead ahead = co_await env::offload(
          shard_, [scan = scan_, from = from_] { return read_ahead(*scan, from); });
      ready_ = std::move(ahead.groups);
      over_ = std::move(ahead.over);
    }
    if (ready_.empty()) {
      // The end, or the error, is told again and again.
      if (!*over_) co_return fail(over_->error());
      co_return std::optional<Group>();
    }
    std::optional<Group> group(std::move(ready_.front()));
    ready_.pop_front();
    co_return group;
  }

 private:
  struct Ahead {
    std::deque<Group> groups;
    std::optional<Result<void>> over;  // success at the end of the lane
  };
  static Ahead read_ahead(LaneScan& scan, Position from) {
    Ahead ahead;
    const Position start = scan.position();
    while (ahead.groups.empty() || scan.position() - start < kReadAheadBytes) {
      auto group = scan.next();
      if (!group) {
        ahead.over.emplace(fail(std::move(group).error()));
        break;
      }
      if (!*group) {
        ahead.over.emplace();
        break;
      }
      if ((*group)->end > from || !(*group)->before.empty())
        ahead.groups.push_back(std::move(**group));
    }
    return ahead;
  }

  env::Shard& shard_;
  const std::shared_ptr<LaneScan> scan_;
  const Position from_;
  std::deque<Group> ready_;
  std::optional<Result<void>> over_;
};

// Of groups that are here already.
class KeptReader final : public Reader {
 public:
  explicit KeptReader(std::deque<Group> groups) : groups_(std::move(groups)) {}
  Task<Result<std::optional<Group>>> next() override {
    if (groups_.empty()) co_return std::optional<Group>();
    std::optional<Group> group(std::move(groups_.front()));
    groups_.pop_front();
    co_return group;
  }

 private:
  std::deque<Group> groups_;
};

// When whoever has sealed the lane has had the time to serve what is in it.
constexpr env::Duration kReleaseAfter = std::chrono::seconds(2);

Task<void> release_later(env::Shard* shard, LaneFiles files, Position end) {
  co_await env::sleep_for(*shard, kReleaseAfter);
  const auto released =
      co_await env::in_pieces(*shard, [files, end] { return release_reserved(files, end); });
  // Not found: its last successor has removed it.
  if (!released && released.error().code != Code::not_found)
    log_warn("lane {} keeps the space it had reserved: {}", files.owner.lane.to_string(),
             released.error().message);
}

class FileWal final : public Wal {
 public:
  FileWal(env::Disk& disk, FileWalOptions options) : disk_(disk), options_(std::move(options)) {}

  Task<Result<std::unique_ptr<Writer>>> create(env::Shard& owner, Lane lane) override {
    LaneFiles files = files_of(lane);
    CO_TRY_VOID(co_await env::offload(owner, [files] { return files.claim(); }));
    auto log = std::make_shared<LaneLog>(owner, std::move(files), options_);
    log->start();
    co_return std::make_unique<LaneWriter<LaneLog>>(std::move(log));
  }

  Task<Result<Position>> seal(env::Shard& shard, Lane lane, Position trimmed) override {
    const uint64_t unique = shard.random();
    CO_TRY(Sealed sealed, co_await env::offload(shard, [files = files_of(lane), trimmed, unique] {
             return seal_lane(files, trimmed, unique);
           }));
    shard.spawn(release_later(&shard, files_of(lane), sealed.end));
    kept_.erase(lane);
    // Whoever does not come for it within a few seals reads it from the disk.
    constexpr size_t kKeptMax = 8;
    if (sealed.groups && kept_.size() < kKeptMax)
      kept_.emplace(lane, Kept{trimmed, sealed.end, std::move(*sealed.groups)});
    co_return sealed.end;
  }

  // Where a lane ends stands in its own folder.
  Task<Result<std::unique_ptr<Reader>>> read(env::Shard& shard, Lane lane, Position from,
                                             std::optional<Position> end) override {
    if (auto kept = kept_.extract(lane);
        kept && end && kept.mapped().from == from && kept.mapped().end == *end)
      co_return std::make_unique<KeptReader>(std::move(kept.mapped().groups));
    auto scan = std::make_shared<LaneScan>(files_of(lane));
    CO_TRY_VOID(
        co_await env::offload(shard, [scan, files = files_of(lane), from]() -> Result<void> {
          TRY(const auto end, files.read_end());
          return scan->open(from, end);
        }));
    co_return std::make_unique<FileReader>(shard, std::move(scan), from);
  }

  Task<Result<void>> remove(env::Shard& shard, Lane lane) override {
    co_return co_await env::offload(shard, [files = files_of(lane)] { return remove_lane(files); });
  }

 private:
  LaneFiles files_of(Lane lane) const {
    return {.disk = &disk_,
            .owner = {.cluster_id = options_.cluster_id, .lane = lane},
            .folder = fmt::format("{}/{}", options_.folder, lane.to_string())};
  }

  // Read when the lane was sealed, and not by anybody else yet.
  struct Kept {
    Position from;
    Position end;
    std::deque<Group> groups;
  };

  env::Disk& disk_;
  const FileWalOptions options_;
  std::map<Lane, Kept> kept_;
};

}  // namespace

std::unique_ptr<Wal> make_file_wal(env::Disk& disk, FileWalOptions options) {
  return std::make_unique<FileWal>(disk, std::move(options));
}

}  // namespace paceline::wal
