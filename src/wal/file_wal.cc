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

// What somebody has read of a lane to seal it. When several die at once, one of them may be an heir
// of another, and the same lane is wanted by whoever takes over from either.
struct Sealing {
  Sealing(env::Shard& on, Position since) : shard(on), trimmed(since), arrived(on) {}
  env::Shard& shard;
  const Position trimmed;
  std::optional<Result<Sealed>> sealed;
  env::Event arrived;
};
using Sealings = std::map<Lane, std::shared_ptr<Sealing>>;

// While those who take over come for it.
constexpr env::Duration kKeptFor = std::chrono::seconds(2);
// Of lanes; whoever comes for another one reads it from the disk.
constexpr size_t kKeptMax = 8;

Task<void> forget_later(env::Shard* shard, std::shared_ptr<Sealings> all, Lane lane,
                        std::weak_ptr<Sealing> one) {
  co_await env::sleep_for(*shard, kKeptFor);
  const auto found = all->find(lane);
  if (found != all->end() && found->second == one.lock()) all->erase(found);
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
    if (const auto other = sealing_of(shard, lane, trimmed)) {
      while (!other->sealed) co_await other->arrived.wait();
      if (*other->sealed) co_return (*other->sealed)->end;
    }
    const auto sealing = std::make_shared<Sealing>(shard, trimmed);
    const bool kept = sealings_->size() < kKeptMax || sealings_->contains(lane);
    if (kept) sealings_->insert_or_assign(lane, sealing);
    const uint64_t unique = shard.random();
    sealing->sealed = co_await env::offload(shard, [files = files_of(lane), trimmed, unique] {
      return seal_lane(files, trimmed, unique);
    });
    sealing->arrived.notify_all();
    if (kept) shard.spawn(forget_later(&shard, sealings_, lane, sealing));
    if (!*sealing->sealed) co_return fail(sealing->sealed->error());
    shard.spawn(release_later(&shard, files_of(lane), (*sealing->sealed)->end));
    co_return (*sealing->sealed)->end;
  }

  // Where a lane ends stands in its own folder.
  Task<Result<std::unique_ptr<Reader>>> read(env::Shard& shard, Lane lane, Position from,
                                             std::optional<Position> end) override {
    const auto kept = sealing_of(shard, lane, from);
    if (kept && end && kept->sealed && *kept->sealed) {
      const Sealed& sealed = **kept->sealed;
      if (sealed.end == *end && sealed.groups)
        co_return std::make_unique<KeptReader>(*sealed.groups);
    }
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
  // Under way, or not forgotten yet; null: nobody on this shard has read it from there on.
  std::shared_ptr<Sealing> sealing_of(const env::Shard& shard, Lane lane, Position trimmed) const {
    const auto found = sealings_->find(lane);
    const bool same = found != sealings_->end() && &found->second->shard == &shard &&
                      found->second->trimmed == trimmed;
    return same ? found->second : nullptr;
  }
  LaneFiles files_of(Lane lane) const {
    return {.disk = &disk_,
            .owner = {.cluster_id = options_.cluster_id, .lane = lane},
            .folder = fmt::format("{}/{}", options_.folder, lane.to_string())};
  }

  env::Disk& disk_;
  const FileWalOptions options_;
  const std::shared_ptr<Sealings> sealings_ = std::make_shared<Sealings>();
};

}  // namespace

std::unique_ptr<Wal> make_file_wal(env::Disk& disk, FileWalOptions options) {
  return std::make_unique<FileWal>(disk, std::move(options));
}

}  // namespace paceline::wal
