#include <fmt/format.h>

#include <algorithm>

#include "stream/collector.h"
#include "stream/retry.h"

namespace paceline::stream {
namespace {

// Two writes an object, and etcd takes 128 of them.
constexpr size_t kObjectsAtOnce = 60;
constexpr size_t kListedAtOnce = 1000;
// Until a failover or a move is over that somebody is about.
constexpr auto kNotNow = std::chrono::seconds(2);

// The object of a key in `deleted/`.
std::optional<ObjectId> parse_deleted_key(std::string_view key) {
  std::string_view prefix = "deleted/";
  if (!key.starts_with(prefix)) return std::nullopt;
  return parse_body_key("objects/" + std::string(key.substr(prefix.size())));
}

}  // namespace

Collector::Collector(Core& core)
    : core_(core),
      round_at_(core.owner().now() + std::chrono::milliseconds(core.options.collection_ms)),
      wake_(core.owner()) {}

void Collector::retain(const std::vector<StreamPart>& checkpoint, ObjectId object) {
  std::set<ObjectId> live{object};
  for (const StreamPart& part : checkpoint)
    for (const Extent& extent : part.record.extents) live.insert(extent.object);
  loose_.clear();
  for (const auto& [id, bytes] : known_)
    if (!live.contains(id)) loose_.push_back(id);
  references_.know(object, std::move(live));
  if (loose_.empty()) return;
  round_at_ = std::min(round_at_, core_.owner().now());
  wake_.notify_all();
}

std::unordered_map<ObjectId, uint64_t> Collector::made_bytes() const {
  std::unordered_map<ObjectId, uint64_t> made;
  for (const auto& [id, bytes] : known_)
    if (bytes > 0) made.emplace(id, bytes);
  return made;
}

void Collector::forget(ObjectId id) {
  doom(id, true);
  wake_.notify_all();
}

void Collector::doom(ObjectId id, bool orphan) {
  if (!pending_.insert(id).second) return;
#ifdef PACELINE_PLANT_delete_without_grace
  const env::Duration grace = {};
#else
  const env::Duration grace = std::chrono::milliseconds(core_.options.delete_grace_ms);
#endif
  doomed_.push_back({id, orphan, core_.owner().now() + grace});
}

Task<void> Collector::run(std::shared_ptr<Core> core) {
  Collector& self = *core->collector;
  Backoff backoff;
  bool loaded = false;
  env::Instant next_search;
  while (!self.stopping_ && !core->lost) {
    Result<void> done;
    if (!loaded) {
      done = co_await self.load_marks();
      loaded = done.has_value();
    } else if (core->owner().now() >= next_search) {
      done = co_await self.search();
      if (done)
        next_search =
            core->owner().now() + std::chrono::milliseconds(core->options.orphan_search_ms);
    } else if (core->owner().now() >= self.round_at_) {
      done = co_await self.judge();
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
      if (!self.unmarked_.empty()) continue;
      if (loaded) next = std::min(next_search, self.round_at_);
      if (!self.doomed_.empty()) next = std::min(next, self.doomed_.front().due);
    }
    if (next > core->owner().now()) co_await self.wake_.wait_until(next);
  }
  self.ended_ = true;
  self.wake_.notify_all();
}

Sources Collector::sources() const {
  return {&core_.owner(), &core_.meta, &core_.objects.collection, &core_.wal};
}

Task<Result<std::set<BrokerId>>> Collector::responsible() {
  CO_TRY(meta::Range range,
         co_await meta::range_prefix(core_.meta, core_.owner(), meta::brokers_prefix()));
  const BrokerId own = core_.options.lane.broker;
  std::set<BrokerId> all{own};
  bool lowest = true;
  alone_ = true;
  for (const meta::Entry& entry : range.entries) {
    const auto id = meta::parse_broker_key(entry.key);
    if (!id || *id == own) continue;
    CO_TRY(const auto broker, meta::decode<meta::BrokerRecord>(entry.value));
    alone_ = false;
#ifdef PACELINE_PLANT_collects_as_if_alone
    alone_ = true;
#endif
    if (!broker.registered) all.insert(*id);
    if (broker.registered && *id < own) lowest = false;
  }
  if (!lowest) all = {own};
  co_return all;
}

// Decides what may go. Our own streams alone do not say it once there are other brokers: a stream
// that has moved takes its objects along, and what a broker has left belongs to many.
Task<Result<void>> Collector::judge() {
  CO_TRY(auto brokers, co_await responsible());
  if (alone_) {
    unmarked_.insert(unmarked_.end(), loose_.begin(), loose_.end());
    loose_.clear();
    round_at_ = env::Instant::never();
    co_return Result<void>{};
  }
  CO_TRY(const bool judged, co_await judge_with_others(std::move(brokers)));
  if (judged) loose_.clear();
  round_at_ = core_.owner().now() +
              (judged ? env::Duration(std::chrono::milliseconds(core_.options.collection_ms))
                      : env::Duration(kNotNow));
  co_return Result<void>{};
}

// False: not now. What is judged was committed before the lanes were looked at, and no reference
// went from one lane to another while they were: what no lane refers to is garbage for ever.
Task<Result<bool>> Collector::judge_with_others(std::set<BrokerId> brokers) {
  std::set<ObjectId> garbage;
  for (const BrokerId broker : brokers) {
    CO_TRY(const auto lanes, co_await read_lanes(sources(), broker));
    for (const LaneFacts& lane : lanes)
      for (const auto& [number, record] : lane.objects) garbage.insert({lane.lane, number});
  }
  CO_TRY(const auto lanes, co_await read_lanes(sources(), std::nullopt));
  CO_TRY(const auto again, co_await read_lanes(sources(), std::nullopt));
  if (!same_hands(lanes, again)) co_return false;
  const std::vector<const LaneFacts*> in_force = lanes_in_force(lanes);
  for (const LaneFacts* lane : in_force)
    if (!lane->record.adopted.empty()) co_return false;  // what it refers to is in its log alone
  auto live = co_await references_.read(sources(), in_force);
  if (!live && live.error().code != Code::corrupt) co_return fail(live.error());
  if (!live) {
    // A checkpoint that was replaced meanwhile, or damage: nobody is robbed for it.
    log_warn("storage: nothing is collected for now: {}", live.error().message);
    co_return true;
  }
  for (const ObjectId& id : *live) garbage.erase(id);
  for (const ObjectId& id : garbage)
    if (!pending_.contains(id)) unmarked_.push_back(id);
  core_.events(Event(Event::Plane::storage, "collection.judged")
                   .as_routine()
                   .with("lanes", in_force.size())
                   .with("live_objects", live->size())
                   .with("garbage_objects", garbage.size()));
  co_return true;
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
    CO_TRY(const Revision lane, co_await core_.still_open());
    transaction.if_modified_at(own, lane);
    for (const ObjectId& id : some)
      transaction.remove(meta::object_key(id.lane, id.number))
          .put(meta::deleted_key(id.lane, id.number), value);
    // Marking twice is fine, so an unknown outcome is simply tried again.
    CO_TRY(Revision at, co_await core_.meta.commit(core_.owner(), transaction));
    (void)at;
    for (const ObjectId& id : some) {
      std::erase(unmarked_, id);
      known_.erase(id);
      doom(id, false);
    }
    core_.events(
        Event(Event::Plane::storage, "object.marked").as_routine().with("objects", some.size()));
  }
  co_return Result<void>{};
}

// The body first: a mark without a body is found again, a body without a mark only by a listing.
Task<Result<void>> Collector::remove_due() {
  while (!stopping_ && !doomed_.empty() && doomed_.front().due <= core_.owner().now()) {
    std::vector<Doomed> some;
    std::vector<std::string> keys;
    meta::Transaction transaction;
    for (const Doomed& doomed : doomed_) {
      if (doomed.due > core_.owner().now() || some.size() == kObjectsAtOnce) break;
      some.push_back(doomed);
      keys.push_back(body_key(doomed.id));
      if (!doomed.orphan) transaction.remove(meta::deleted_key(doomed.id.lane, doomed.id.number));
    }
    CO_TRY_VOID(co_await core_.objects.collection.remove(core_.owner(), std::move(keys)));
    if (!transaction.writes.empty()) {
      CO_TRY(Revision at, co_await core_.meta.commit(core_.owner(), std::move(transaction)));
      (void)at;
    }
    for (const Doomed& doomed : some) {
      core_.events(Event(Event::Plane::storage, "object.deleted")
                       .as_routine()
                       .with("object", doomed.id.to_string())
                       .with("orphan", doomed.orphan));
      core_.counters.deleted_objects += 1;
      pending_.erase(doomed.id);
      doomed_.pop_front();
    }
  }
  co_return Result<void>{};
}

Task<Result<void>> Collector::load_marks() {
  CO_TRY(const auto brokers, co_await responsible());
  CO_TRY(meta::Range marks,
         co_await meta::range_prefix(core_.meta, core_.owner(), meta::deleted_prefix()));
  for (const meta::Entry& entry : marks.entries)
    if (const auto id = parse_deleted_key(entry.key); id && brokers.contains(id->lane.broker))
      doom(*id, false);
  co_return Result<void>{};
}

Task<Result<void>> Collector::search() {
  CO_TRY_VOID(co_await load_marks());
  CO_TRY(const auto brokers, co_await responsible());
  for (const BrokerId broker : brokers) {
    CO_TRY_VOID(co_await find_orphans(broker));
    CO_TRY_VOID(co_await end_unfinished(broker));
  }
  co_return Result<void>{};
}

// Bodies of sealed lanes that were put but never committed: a crash came between, or a writer that
// was frozen woke up late. Nobody can commit them any more. Those of open lanes are on their way.
Task<Result<void>> Collector::find_orphans(BrokerId broker) {
  const bool own = broker == core_.options.lane.broker;
  CO_TRY(std::vector<LaneFacts> lanes, co_await read_lanes(sources(), broker));
  std::map<Lane, const LaneFacts*> known;
  for (const LaneFacts& lane : lanes) known.emplace(lane.lane, &lane);
  std::string after;
  for (bool more = true; more && !stopping_;) {
    CO_TRY(object::ListPage page, co_await core_.objects.collection.list(
                                      core_.owner(), bodies_prefix(broker), after, kListedAtOnce));
    for (const object::Listed& listed : page.objects) {
      after = listed.key;
      const auto id = parse_body_key(listed.key);
      if (!id || (own && !(id->lane < core_.options.lane))) continue;
      const auto lane = known.find(id->lane);
      if (!own && lane == known.end()) continue;  // it has come back since
      const bool committed = lane != known.end() && (!lane->second->record.sealed ||
                                                     lane->second->objects.contains(id->number));
      if (committed || pending_.contains(*id)) continue;
      CO_TRY(bool foreign, co_await is_foreign(*id));
      if (foreign) {
        log_warn("storage: object {} is another cluster's; it is left alone", id->to_string());
        continue;
      }
      doom(*id, true);
    }
    more = page.more && !page.objects.empty();
  }
  co_return Result<void>{};
}

// Two clusters that were given one place by mistake must not eat each other's objects.
Task<Result<bool>> Collector::is_foreign(ObjectId id) {
  auto front = co_await core_.objects.collection.get(core_.owner(), body_key(id), 0, kHeaderBytes);
  if (!front && is_transient(front.error().code)) co_return fail(front.error());
  if (!front) co_return false;
  const auto header = decode_header(id, front->bytes());
  co_return header && header->cluster_id != core_.options.cluster_id;
}

// Uploads in parts that a crash has left: no put takes as long.
Task<Result<void>> Collector::end_unfinished(BrokerId broker) {
  constexpr int64_t kPatienceMs = 3600 * 1000;
  object::Store& store = core_.objects.collection;
  CO_TRY(auto all,
         co_await store.list_unfinished(core_.owner(), bodies_prefix(broker), kListedAtOnce));
  for (object::Unfinished& one : all) {
    if (one.began_ms > core_.owner().wall_ms() - kPatienceMs) continue;
    core_.events(Event(Event::Plane::storage, "upload.ended").as_routine().with("key", one.key));
    CO_TRY_VOID(co_await store.end_unfinished(core_.owner(), std::move(one)));
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
