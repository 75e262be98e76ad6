#include "stream/recover.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "stream/get_checked.h"
#include "stream/retry.h"

namespace paceline::stream {
namespace {

// The newest lane with a checkpoint: what is older is covered by it. lanes.size() if there is none.
size_t find_base(const std::vector<LaneFacts>& lanes, size_t first, const Lane& end) {
  for (size_t i = lanes.size(); i > first; --i)
    if (lanes[i - 1].record.checkpoint != 0 && lanes[i - 1].lane < end) return i - 1;
  return lanes.size();
}

bool names(const meta::LaneRecord& record, const Lane& lane) {
  return std::ranges::any_of(record.successors,
                             [&](const meta::Successor& one) { return one.lane == lane; });
}

// The first lane of the chain that ends before `own`: each names the next one.
size_t find_first(const std::vector<LaneFacts>& lanes, const RecoverOptions& options) {
  size_t first = lanes.size();
  while (first > 0 && !(lanes[first - 1].lane < options.own)) --first;
  if (first == 0) return 0;
  const size_t behind = first;
  if (options.of_another) --first;
  while (first > 0) {
    const Lane& next = first == behind ? options.own : lanes[first].lane;
    if (!names(lanes[first - 1].record, next)) break;
    --first;
  }
  return first;
}

Task<Result<void>> take_in(Sources sources, Recovery& recovery, Lane heir,
                           const RecoverOptions& options, const EventSink& events);

// A directory that is wanted, and what came of it.
struct Wanted {
  uint64_t number;
  meta::ObjectRecord record;
  std::optional<Result<Directory>> directory = {};
};

// Side by side: each is a round trip, and somebody waits to be served.
Task<std::vector<Wanted>> fetch_directories(Sources sources, const LaneFacts& base) {
  constexpr size_t kAtOnce = 16;
  std::vector<Wanted> all;
  for (const auto& [number, record] : base.objects)
    if (number >= base.record.checkpoint && number < base.record.next_object)
      all.push_back({number, record});
  auto fetch = [](Sources from, Lane lane, std::vector<Wanted>* wanted, size_t* next,
                  env::Gate::Pass) -> Task<void> {
    while (*next < wanted->size()) {
      Wanted& one = (*wanted)[(*next)++];
      one.directory.emplace(co_await load_directory(from, ObjectId{lane, one.number}, one.record));
    }
  };
  size_t next = 0;
  env::Gate fetching(*sources.shard);
  for (size_t i = 0; i < std::min(kAtOnce, all.size()); ++i)
    sources.shard->spawn(fetch(sources, base.lane, &all, &next, fetching.enter()));
  co_await fetching.wait_empty();
  co_return all;
}

// The checkpoint of a lane, what it inherited and had not taken into one, then its deltas.
Task<Result<void>> load_directories(Sources sources, Recovery& recovery, const LaneFacts& base,
                                    const RecoverOptions& options, const EventSink& events) {
  bool first = true;
  std::vector<Wanted> all = co_await fetch_directories(sources, base);
  for (Wanted& wanted : all) {
    const ObjectId id{base.lane, wanted.number};
    CO_TRY(Directory directory, *std::move(wanted.directory));
    const bool checkpoint = wanted.number == base.record.checkpoint;
    if (directory.checkpoint != checkpoint)
      co_return fail(Code::corrupt,
                     fmt::format("object {} has another kind of directory than its lane says",
                                 id.to_string()));
    if (checkpoint) recovery.checkpoint_bytes = wanted.record.directory_bytes;
    recovery.read.directories += 1;
    recovery.read.directory_bytes += wanted.record.directory_bytes;
    apply_directory(recovery.image, std::move(directory), id);
    if (std::exchange(first, false))
      CO_TRY_VOID(co_await take_in(sources, recovery, base.lane, options, events));
  }
  if (!base.objects.contains(base.record.checkpoint))
    co_return fail(Code::corrupt, fmt::format("lane {} has no record of its checkpoint, object {}",
                                              base.lane.to_string(), base.record.checkpoint));
  co_return Result<void>{};
}

// Notes what could not be read. An error, if it cannot be said whose it was.
Result<void> apply_damages(Recovery& recovery, Lane lane, const std::vector<wal::Damage>& damages,
                           const EventSink& events) {
  for (const wal::Damage& damage : damages) {
    if (!damage.known) return fail(Code::corrupt, damage.why);
    log_error("storage: {}", damage.why);
    events(Event(Event::Plane::storage, "lane.damaged")
               .caused_by(recovery.cause)
               .about(lane)
               .with("reason", damage.why));
    apply_damage(recovery.image, damage);
    recovery.damages.push_back(damage.why);
  }
  return {};
}

// Adoptions of one lane: which entries count, and whether they were there.
class AdoptionRoll {
 public:
  explicit AdoptionRoll(const LaneFacts& lane) : lane_(lane) {
    // The last one of a stream makes up for those before it.
    for (const meta::Adopted& one : lane.record.adopted) last_[one.stream] = one;
  }
  // False: the entry belongs to a move that was given up.
  bool counts(const StreamId& stream, Position group_end) {
#ifdef PACELINE_PLANT_every_adoption_counts
    return true;
#endif
    const auto found = last_.find(stream);
    if (found == last_.end()) return false;
    const meta::Adopted& one = found->second;
    if (group_end <= one.after || group_end > one.at) return false;
    seen_.insert(stream);
    return true;
  }
  // Of the streams that the log tells of.
  void apply_lost(Image& image, const SealedLog& log) const {
    for (const auto& [stream, one] : last_)
      if (!seen_.contains(stream) && log.tells_of(stream))
        apply_lost_adoption(image, one, lane_.lane);
  }

 private:
  const LaneFacts& lane_;
  std::map<StreamId, meta::Adopted> last_;
  std::set<StreamId> seen_;
};

// Takes one lane's log into the image. A failure that is not corruption is returned.
Result<void> replay_lane(Recovery& recovery, const LaneFacts& lane, const SealedLogs::Found& found,
                         const EventSink& events) {
  const SealedLog& log = *found.log;
  TRY_VOID(log.end);
  AdoptionRoll roll(lane);
  for (const wal::Group& group : log.groups) {
    ++recovery.group_count;
    if (!found.given) ++recovery.read.log_groups;
    TRY_VOID(apply_damages(recovery, lane.lane, group.before, events));
    for (const wal::Entry& entry : group.entries) {
      (found.given ? recovery.read.told_bytes : recovery.read.log_bytes) += entry.payload.size();
      if (entry.header.kind == wal::EntryKind::adopt &&
          !roll.counts(entry.header.stream, group.end))
        continue;
      apply_entry(recovery.image, entry, lane.lane);
    }
  }
  if (log.broken) return fail(*log.broken);
  roll.apply_lost(recovery.image, log);
  return {};
}

Event tell_sealed(const std::string& cause, Lane lane, Position uploaded, const SealedLog& log) {
  Event event = Event(Event::Plane::storage, "lane.sealed")
                    .caused_by(cause)
                    .about(lane)
                    .took(log.took)
                    .with("end_position", log.end->value)
                    .with("uploaded_position", uploaded.value);
  if (log.teller) event.add("told_by", log.teller->value);
  return event;
}

void note_inherited(Recovery& recovery, std::pair<Lane, Lane> one) {
  if (std::ranges::find(recovery.inherited, one) == recovery.inherited.end())
    recovery.inherited.push_back(one);
}

// What `heir` inherited from lanes of other brokers, where no mark says that it had everything of
// it in its own objects. Streams that it did have there stay as they are.
Task<Result<void>> take_in(Sources sources, Recovery& recovery, Lane heir,
                           const RecoverOptions& options, const EventSink& events) {
  if (!options.left_to) co_return Result<void>{};
  for (const Lane left : options.left_to(heir)) {
    auto asking = [&] { return sources.meta->get(*sources.shard, meta::done_key(left, heir)); };
    CO_TRY(const auto mark, co_await retry_transient(*sources.shard, asking));
    if (mark) continue;
    std::shared_ptr<const Recovery>& theirs = (*options.known)[left];
    if (!theirs) {
      CO_TRY(Recovery read, co_await recover(sources,
                                             {.own = {left.broker, left.incarnation + 1},
                                              .inspect = options.inspect,
                                              .of_another = true,
                                              .left_to = options.left_to,
                                              .cause = recovery.cause,
                                              .ask_for_log = options.ask_for_log,
                                              .known = options.known},
                                             events));
      theirs = std::make_shared<const Recovery>(std::move(read));
      recovery.group_count += theirs->group_count;
      recovery.read.directories += theirs->read.directories;
      recovery.read.directory_bytes += theirs->read.directory_bytes;
      recovery.read.log_groups += theirs->read.log_groups;
      recovery.read.log_bytes += theirs->read.log_bytes;
      recovery.read.told_bytes += theirs->read.told_bytes;
    }
    const std::string& damaged = theirs->damaged.empty() ? theirs->estate_damaged : theirs->damaged;
    if (recovery.estate_damaged.empty()) recovery.estate_damaged = damaged;
    for (const auto& [id, known] : theirs->image.streams) {
      StreamImage image = known;
      if (!theirs->damaged.empty() && image.offline.empty()) image.offline = theirs->damaged;
      apply_inherited(recovery.image, id, std::move(image));
    }
    // Of a lane that took a stream offline, the WAL is the evidence: it never gets our mark.
    if (theirs->image.new_offline_count > 0 || !damaged.empty()) continue;
    note_inherited(recovery, {left, heir});
    for (const auto& one : theirs->inherited) note_inherited(recovery, one);
  }
  co_return Result<void>{};
}

}  // namespace

Task<Result<std::vector<LaneFacts>>> read_lanes(Sources sources, std::optional<BrokerId> broker) {
  const std::string prefix = broker ? meta::lanes_prefix(*broker) : meta::lanes_prefix();
  auto reading = [&] { return meta::range_prefix(*sources.meta, *sources.shard, prefix); };
  CO_TRY(meta::Range range, co_await retry_transient(*sources.shard, reading));
  std::map<Lane, LaneFacts> lanes;
  for (const meta::Entry& entry : range.entries) {
    const auto key = meta::parse_lane_key(entry.key);
    if (!key) continue;
    LaneFacts& lane = lanes[key->lane];
    switch (key->kind) {
      case meta::LaneKey::Kind::lane: {
        CO_TRY(lane.record, meta::decode<meta::LaneRecord>(entry.value));
        lane.lane = key->lane;
        lane.modified = entry.modified;
        break;
      }
      case meta::LaneKey::Kind::object: {
        CO_TRY(lane.objects[key->number], meta::decode<meta::ObjectRecord>(entry.value));
        break;
      }
      case meta::LaneKey::Kind::done:
        lane.marks.insert(key->successor);
        break;
    }
  }
  std::vector<LaneFacts> sorted;
  for (auto& [lane, facts] : lanes)
    if (facts.lane == lane) sorted.push_back(std::move(facts));
  co_return sorted;
}

bool same_lanes(const std::vector<LaneFacts>& one, const std::vector<LaneFacts>& other) {
  return std::ranges::equal(one, other, [](const LaneFacts& a, const LaneFacts& b) {
    return a.lane == b.lane && a.modified == b.modified;
  });
}

namespace {

// As of one moment: long ranges are read in pages, and a broker may commit between two of them.
// Each commit and each fence changes a lane's record, and no record goes before such a change.
Task<Result<std::vector<LaneFacts>>> read_lanes_at_once(Sources sources, BrokerId broker) {
  constexpr int kAttempts = 20;
  CO_TRY(auto lanes, co_await read_lanes(sources, broker));
  for (int attempt = 1;; ++attempt) {
    CO_TRY(auto again, co_await read_lanes(sources, broker));
    if (same_lanes(lanes, again) || attempt == kAttempts) co_return again;
    lanes = std::move(again);
  }
}

}  // namespace

Task<Result<Directory>> load_directory(Sources sources, ObjectId id, meta::ObjectRecord record) {
  auto decode = [id](const Slice& bytes) { return decode_directory(id, bytes.bytes()); };
  auto loading = [&] {
    return get_checked(*sources.shard, *sources.objects, id, record.directory_position,
                       record.directory_bytes, decode, object::Looks::kForGood);
  };
  auto got = co_await retry_transient(*sources.shard, loading);
  if (!got && (got.error().code == Code::not_found || got.error().code == Code::out_of_range))
    co_return fail(Code::corrupt,
                   fmt::format("object {} is committed, but its directory is not there: {}",
                               id.to_string(), got.error().message));
  co_return got;
}

namespace {

Task<Result<Recovery>> recover_with(Sources sources, RecoverOptions options, EventSink events,
                                    SealedLogs& logs) {
  Recovery recovery;
  if (!options.known)
    options.known = std::make_shared<std::map<Lane, std::shared_ptr<const Recovery>>>();
  const env::Instant began = sources.shard->now();
  // Our own former lanes are sealed and change no more.
  auto reading = options.inspect ? read_lanes_at_once(sources, options.own.broker)
                                 : read_lanes(sources, options.own.broker);
  CO_TRY(recovery.lanes, co_await std::move(reading));
  // Of our own, an inspection looks at all there are; else at what a chain of lanes comes to.
  const bool bounded = !options.inspect || options.of_another;
  if (bounded) recovery.first = find_first(recovery.lanes, options);
  recovery.cause = options.cause;
  for (size_t i = recovery.first; i < recovery.lanes.size() && options.cause.empty(); ++i)
    if (recovery.lanes[i].lane < options.own) recovery.cause = recovery.lanes[i].lane.to_string();
  const Lane last{options.own.broker, options.own.incarnation - 1};
  if (!recovery.cause.empty())
    events(Event(Event::Plane::storage, "lane.listed")
               .caused_by(recovery.cause)
               .about(last)
               .took(sources.shard->now() - began)
               .with("lanes", recovery.lanes.size() - recovery.first));
  const size_t base = find_base(recovery.lanes, recovery.first, options.own);
  size_t from = base < recovery.lanes.size() ? base : recovery.first;
  bool inspect = options.inspect;
#ifdef PACELINE_PLANT_fenced_without_seal
  inspect = true;
#endif
  for (size_t i = from; i < recovery.lanes.size() && !inspect; ++i) {
    const LaneFacts& lane = recovery.lanes[i];
    if (!(lane.lane < options.own)) continue;
    SealedLogs::Order order{.lane = lane.lane, .uploaded = lane.record.uploaded, .on_sealed = {}};
    order.on_sealed = [events, cause = recovery.cause, lane = lane.lane,
                       uploaded = lane.record.uploaded](const SealedLog& log) {
      events(tell_sealed(cause, lane, uploaded, log));
    };
    if (lane.lane == last) {
      order.ask = options.ask_for_log;
      order.on_log = options.on_log;
    }
    logs.start(std::move(order));
  }
  if (base < recovery.lanes.size()) {
    const env::Instant listed = sources.shard->now();
    CO_TRY_VOID(
        co_await load_directories(sources, recovery, recovery.lanes[base], options, events));
    events(Event(Event::Plane::storage, "lane.directories_read")
               .caused_by(recovery.cause)
               .about(last)
               .took(sources.shard->now() - listed)
               .with("bytes", recovery.read.directory_bytes)
               .with("requests", recovery.read.directories));
  }
  forget_new_offline(recovery.image);  // those that a checkpoint tells of are not new
  for (size_t i = from; i < recovery.lanes.size() && recovery.damaged.empty(); ++i) {
    const LaneFacts& lane = recovery.lanes[i];
    if (bounded && !(lane.lane < options.own)) continue;
    if (i != base) CO_TRY_VOID(co_await take_in(sources, recovery, lane.lane, options, events));
    recovery.replayed.push_back(lane.lane);
    SealedLogs::Found found;
    if (inspect)
      found.log = std::make_shared<const SealedLog>(
          co_await look_at_log(*sources.shard, *sources.wal, lane.lane, lane.record.uploaded));
    else
      found = co_await logs.of(lane.lane);
    const auto replayed = replay_lane(recovery, lane, found, events);
    if (replayed) continue;
    if (replayed.error().code != Code::corrupt) co_return fail(replayed.error());
    // What stood behind the damage is unknown, for every stream: nothing may be served as whole.
    recovery.damaged = fmt::format("the WAL of lane {} is damaged: {}", lane.lane.to_string(),
                                   replayed.error().message);
    events(Event(Event::Plane::storage, "lane.damaged")
               .caused_by(recovery.cause)
               .about(lane.lane)
               .with("reason", recovery.damaged));
  }
  co_return recovery;
}

}  // namespace

Task<Result<Recovery>> recover(Sources sources, RecoverOptions options, EventSink events) {
  const auto logs = std::make_shared<SealedLogs>(*sources.shard, *sources.wal);
  auto recovery = co_await recover_with(sources, std::move(options), std::move(events), *logs);
  co_await logs->ended();  // they use the sources
  co_return recovery;
}

Event tell_recovered(const Recovery& recovery, env::Duration took) {
  const Recovery::Read& read = recovery.read;
  Event event(Event::Plane::storage, "lane.recovered");
  event.cause = recovery.cause;
  if (!recovery.replayed.empty()) event.lane = recovery.replayed.back();
  event.add("lanes", recovery.replayed.size());
  event.add("streams", recovery.image.streams.size());
  event.add("bytes", read.directory_bytes + read.log_bytes);
  event.add("requests", read.directories + read.log_groups);
  event.add("directory_bytes", read.directory_bytes);
  event.add("log_bytes", read.log_bytes);
  event.add("log_groups", read.log_groups);
  if (read.told_bytes > 0) event.add("told_bytes", read.told_bytes);
  event.add("damages", recovery.damages.size());
  return std::move(event).took(took);
}

}  // namespace paceline::stream
