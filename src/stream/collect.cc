#include <fmt/format.h>

#include <algorithm>

#include "stream/collector.h"
#include "stream/retry.h"

namespace paceline::stream {
namespace {

// Two writes an object, and etcd takes 128 of them.
constexpr size_t kObjectsAtOnce = 60;
constexpr size_t kListedAtOnce = 1000;

// The object of a key in `deleted/`.
std::optional<ObjectId> parse_deleted_key(std::string_view key) {
  std::string_view prefix = "deleted/";
  if (!key.starts_with(prefix)) return std::nullopt;
  return parse_body_key("objects/" + std::string(key.substr(prefix.size())));
}

}  // namespace

Collector::Collector(Core& core) : core_(core), wake_(core.owner()) {}

void Collector::retain(const std::vector<StreamPart>& checkpoint, ObjectId object) {
  std::set<ObjectId> live{object};
  for (const StreamPart& part : checkpoint)
    for (const Extent& extent : part.record.extents) live.insert(extent.object);
  for (const ObjectId& id : known_)
    if (!live.contains(id)) unmarked_.push_back(id);
  std::erase_if(known_, [&](const ObjectId& id) { return !live.contains(id); });
  if (!unmarked_.empty()) wake_.notify_all();
}

void Collector::doom(ObjectId id, bool orphan) {
  if (!pending_.insert(id).second) return;
  const env::Duration grace = std::chrono::milliseconds(core_.options.delete_grace_ms);
  doomed_.push_back({id, orphan, core_.owner().now() + grace});
}

Task<void> Collector::run(std::shared_ptr<Core> core) {
  Collector& self = *core->collector;
  Backoff backoff;
  bool loaded = false;
  bool searched = false;
  while (!self.stopping_ && !core->lost) {
    Result<void> done;
    if (!loaded) {
      done = co_await self.load_marks();
      loaded = done.has_value();
    } else if (!searched) {
      done = co_await self.find_orphans();
      searched = done.has_value();
    } else {
      done = co_await self.mark();
      if (done) done = co_await self.remove_due();
    }
    if (self.stopping_) break;
    env::Instant next = env::Instant::never();
    if (!done) {
      next = core->owner().now() + backoff.next(core->owner().random());
    } else {
      backoff = Backoff();
      if (!searched || !self.unmarked_.empty()) continue;
      if (!self.doomed_.empty()) next = self.doomed_.front().due;
    }
    if (next > core->owner().now()) co_await self.wake_.wait_until(next);
  }
  self.ended_ = true;
  self.wake_.notify_all();
}

// Marks with our lane still ours: a successor's view is then at least as new as ours.
Task<Result<void>> Collector::mark() {
  while (!unmarked_.empty()) {
    const size_t count = std::min(unmarked_.size(), kObjectsAtOnce);
    const std::vector<ObjectId> some(unmarked_.end() - static_cast<ptrdiff_t>(count),
                                     unmarked_.end());
    meta::Transaction transaction;
    const std::string value = meta::encode(meta::DeletedRecord{.at_ms = core_.owner().wall_ms()});
    const std::string own = meta::lane_key(core_.options.lane);
    CO_TRY(auto lane, co_await core_.meta.get(core_.owner(), own));
    if (!lane) co_return fail(Code::fenced, "our lane is gone");
    CO_TRY(auto record, meta::decode<meta::LaneRecord>(lane->value));
    if (record.sealed) co_return fail(Code::fenced, "our lane is sealed");
    transaction.if_modified_at(own, lane->modified);
    for (const ObjectId& id : some)
      transaction.remove(meta::object_key(id.lane, id.number))
          .put(meta::deleted_key(id.lane, id.number), value);
    // Marking twice is fine, so an unknown outcome is simply tried again.
    CO_TRY(Revision at, co_await core_.meta.commit(core_.owner(), transaction));
    (void)at;
    for (const ObjectId& id : some) {
      std::erase(unmarked_, id);
      doom(id, false);
    }
    core_.events("object.marked", fmt::format("count={}", some.size()));
  }
  co_return Result<void>{};
}

Task<Result<void>> Collector::remove_due() {
  while (!stopping_ && !doomed_.empty() && doomed_.front().due <= core_.owner().now()) {
    const Doomed doomed = doomed_.front();
    CO_TRY_VOID(co_await core_.objects.collection.remove(core_.owner(), {body_key(doomed.id)}));
    if (!doomed.orphan) {
      meta::Transaction transaction;
      transaction.remove(meta::deleted_key(doomed.id.lane, doomed.id.number));
      CO_TRY(Revision at, co_await core_.meta.commit(core_.owner(), transaction));
      (void)at;
    }
    core_.events("object.deleted",
                 fmt::format("object={} orphan={}", doomed.id.to_string(), doomed.orphan));
    pending_.erase(doomed.id);
    doomed_.pop_front();
  }
  co_return Result<void>{};
}

Task<Result<void>> Collector::load_marks() {
  CO_TRY(meta::Range marks,
         co_await meta::range_prefix(core_.meta, core_.owner(), meta::deleted_prefix()));
  for (const meta::Entry& entry : marks.entries)
    if (const auto id = parse_deleted_key(entry.key);
        id && id->lane.broker == core_.options.lane.broker)
      doom(*id, false);
  co_return Result<void>{};
}

// Bodies of sealed lanes that were put but never committed: a crash came between.
Task<Result<void>> Collector::find_orphans() {
  CO_TRY(std::vector<LaneFacts> lanes,
         co_await read_lanes(core_.sources(), core_.options.lane.broker));
  for (const LaneFacts& lane : lanes) {
    if (!lane.record.sealed || !(lane.lane < core_.options.lane)) continue;
    std::string after;
    for (bool more = true; more && !stopping_;) {
      CO_TRY(object::ListPage page,
             co_await core_.objects.collection.list(core_.owner(), bodies_prefix(lane.lane), after,
                                                    kListedAtOnce));
      for (const object::Listed& listed : page.objects) {
        after = listed.key;
        const auto id = parse_body_key(listed.key);
        if (id && id->lane == lane.lane && !lane.objects.contains(id->number)) doom(*id, true);
      }
      more = page.more && !page.objects.empty();
    }
  }
  co_return Result<void>{};
}

Task<void> Collector::stop(env::Instant deadline) {
  if (!core_.damaged.empty()) co_return;
  stopping_ = true;
  wake_.notify_all();
  const env::Instant patience = std::max(deadline, core_.owner().now()) + std::chrono::seconds(1);
  bool in_time = true;
  while (!ended_ && in_time) in_time = co_await wake_.wait_until(patience);
}

}  // namespace paceline::stream
