#include <fmt/format.h>

#include <algorithm>

#include "stream/collector.h"
#include "stream/compactor.h"
#include "stream/core.h"
#include "stream/uploader.h"

namespace paceline::stream {

Core::Core(std::vector<env::Shard*> all, meta::Store& meta_store, ObjectStores object_stores,
           wal::Wal& log, Options chosen, EventSink sink)
    : shards(std::move(all)),
      meta(meta_store),
      objects(object_stores),
      wal(log),
      options(std::move(chosen)),
      events(sink ? std::move(sink) : EventSink([](Event) {})),
      structure(*shards.front()),
      log_read_(*shards.front()),
      adopting_turn_(*shards.front()) {
  for (env::Shard* shard : shards) parts.push_back(std::make_unique<Part>(*this, *shard));
}
Core::~Core() = default;

Part& Core::part_of(env::Shard& shard) {
  for (auto& part : parts)
    if (&part->shard == &shard) return *part;
  CHECK(false && "a shard that is not of this broker");
  return *parts.front();
}

Task<Result<void>> Core::start() {
  const RecoverOptions recovering{.own = options.lane, .left_to = options.left_to};
  const env::Instant began = owner().now();
  CO_TRY(Recovery recovery, co_await recover(sources(), recovering, events));
  Event told = tell_recovered(recovery, owner().now() - began);
  const LaneFacts* own = nullptr;
  for (const LaneFacts& lane : recovery.lanes)
    if (lane.lane == options.lane) own = &lane;
  if (!own || own->record.sealed)
    co_return fail(Code::fenced, fmt::format("lane {} is not registered, or sealed already",
                                             options.lane.to_string()));
  CO_TRY(writer, co_await wal.create(owner(), options.lane));
  collector = std::make_unique<Collector>(*this);
  compactor = std::make_unique<Compactor>(*this);
  uploader = std::make_unique<Uploader>(*this, recovery);
  damaged = recovery.damaged;
  estate_damaged = recovery.estate_damaged;
  const size_t lane_count = recovery.replayed.size();
  park(std::move(recovery));
  if (lane_count > 0) events(std::move(told));
  auto self = shared_from_this();
  writer->on_lost([this](Error error) { lose(std::move(error)); });
  if (damaged.empty()) {
    owner().spawn(Uploader::run(self));
    owner().spawn(Collector::run(self));
    owner().spawn(Compactor::run(self));
  }
  co_return Result<void>{};
}

void Core::park(Recovery recovery) {
  for (auto& [id, image] : recovery.image.streams)
    if (!options.leads || options.leads(id)) park_one(id, std::move(image));
}

StoredStream& Core::park_one(StreamId id, StreamImage image) {
  Part& part = *parts.front();
  std::vector<Batch> tail = std::move(image.tail);
  const Offset uploaded_end = image.uploaded_end;
  const Offset end = image.end;
  StoredStream& stream =
      part.add(std::make_unique<StoredStream>(id, *this, part, std::move(image)));
  counters.streams += 1;
  // Of an offline stream nothing more is uploaded: its directory says why, its WAL is kept.
  if (!stream.offline().empty()) {
    stream.forget_tail();
    return stream;
  }
  CHECK(tail.empty() ? uploaded_end == end : tail.front().base == uploaded_end);
  uint64_t bytes = 0;
  for (Batch& batch : tail) {
    bytes += batch.bytes.size();
    part.cache(stream, std::move(batch));
  }
  stream.add_tail_bytes(bytes);
  counters.unuploaded_bytes += bytes;
  return stream;
}

Task<Result<Storage::Opened>> Core::open(env::Shard& home, StreamId id, StateOwner& state,
                                         std::optional<Lane> from) {
  Part& part = part_of(home);
  auto bringing = [this, &part, id, from] { return bring(part, id, from); };
  CO_TRY(StoredStream * stream, co_await env::call_on(owner(), home, bringing));
  auto recovered = co_await stream->recover_owner();
  if (!recovered) {
    auto parking = [this, &part, id] { return park_again(part, id); };
    co_await env::call_on(owner(), home, parking);
    co_return fail(recovered.error());
  }
  stream->attach(state);
  co_return Storage::Opened{stream, std::move(*recovered)};
}

// On the owner shard: the stream, new or parked, goes to `part`.
Task<Result<StoredStream*>> Core::bring(Part& part, StreamId id, std::optional<Lane> from) {
  std::shared_ptr<Estate> estate;
  if (from && from->broker != options.lane.broker) {
    CO_TRY(estate, co_await estate_with(*from, id));
  }
  Bringing mine{id, std::move(estate)};
  bringing_[&part].push_back(&mine);
  const Lock::Held held = co_await structure.acquire();
  // Whoever has the lock takes all along that wait for the same way.
  if (mine.outcome) co_return *mine.outcome;
  const std::vector<Bringing*> batch = std::exchange(bringing_[&part], {});
  // Shared: a closure that crosses must be copyable nowhere, but its owner may be destroyed on the
  // way.
  auto moved = std::make_shared<std::vector<std::unique_ptr<StoredStream>>>();
  for (Bringing* one : batch)
    if (auto stream = take_out(part, *one)) moved->push_back(std::move(stream));
  using Moved = decltype(moved);
  auto add = [](Part* to, Moved what) -> Task<void> {
    for (auto& stream : *what) to->add(std::move(stream));
    co_return;
  };
  auto adding = [add, &part, moved] { return add(&part, moved); };
  co_await env::call_on(part.shard, owner(), adding);
  co_return *mine.outcome;
}

std::unique_ptr<StoredStream> Core::take_out(Part& part, Bringing& one) {
  const StreamId& id = one.id;
  const auto refuse = [&](Code code, std::string why) {
    one.outcome = fail(code, std::move(why));
    return nullptr;
  };
  if (!damaged.empty()) return refuse(Code::corrupt, damaged);
  if (open_in.contains(id))
    return refuse(Code::in_use, fmt::format("stream {} is open", id.to_string()));
  Part& parked = *parts.front();
  if (one.estate) take_from(*one.estate, id);
  if (StoredStream* there = parked.find(id); there && !there->offline().empty())
    return refuse(Code::corrupt, there->offline());
  std::unique_ptr<StoredStream> stream = parked.take(id);
  if (!stream) {
    if (!estate_damaged.empty()) return refuse(Code::corrupt, estate_damaged);
    if (one.estate && one.estate->handed_over)
      return refuse(
          Code::corrupt,
          fmt::format("stream {} is asked for after its estate was settled", id.to_string()));
    stream = std::make_unique<StoredStream>(id, *this, part);
    counters.streams += 1;
  }
  open_in.emplace(id, &part);
  one.outcome = stream.get();
  return stream;
}

// A stream that went elsewhere may be here still, as it was: then the estate knows better.
void Core::take_from(Estate& estate, StreamId id) {
  // It comes from its last leader after all, not by the move that was under way.
  if (forget_undecided(id)) drop(id);
  auto& streams = (*estate.recovery)->image.streams;
  const auto left = streams.find(id);
  if (left == streams.end()) return;
  StreamImage image = std::move(left->second);
  streams.erase(left);
  if (StoredStream* there = parts.front()->find(id)) {
    // Of the same the estate's: its directories are in force, ours may have let it go.
    const Version left_version{image.epoch, image.end, !image.offline.empty()};
    if (supersedes(there->version(), left_version)) {
      there->raise_start(image.start);
      return;
    }
    image.start = std::max(image.start, std::min(there->start(), image.end));
    drop(id);
  }
  park_one(id, std::move(image));
}

Task<void> Core::close(env::Shard& home, StreamId id) {
  Part& part = part_of(home);
  if (StoredStream* stream = part.find(id)) stream->detach();
  std::erase_if(part.graves, [&](const auto& grave) { return grave->id() == id; });
  auto parking = [this, &part, id] { return park_again(part, id); };
  co_await env::call_on(owner(), home, parking);
}

Task<void> Core::park_again(Part& part, StreamId id) {
  const Lock::Held held = co_await structure.acquire();
  open_in.erase(id);
  auto take = [](Part* from, StreamId what) -> Task<std::unique_ptr<StoredStream>> {
    co_return from->take(what);
  };
  auto taking = [take, &part, id] { return take(&part, id); };
  std::unique_ptr<StoredStream> stream = co_await env::call_on(part.shard, owner(), taking);
  if (stream) parts.front()->add(std::move(stream));
  if (unwanted_.erase(id) > 0) drop(id);
}

Task<Result<void>> Core::erase(env::Shard& home, StreamId id) {
  Part& part = part_of(home);
  std::vector<wal::Entry> entries;
  entries.push_back(
      {{.stream = id, .kind = wal::EntryKind::trim, .epoch = Epoch(INT32_MAX), .base = kErased},
       Slice()});
  // First, so that no batch comes behind the entry.
  if (StoredStream* stream = part.find(id)) stream->set_erased(true);
  // Inside until the owner shard knows: a cut at or above the entry's position then tells of it.
  const env::Gate::Pass inside = part.enter();
  auto written = co_await writer->append(home, std::move(entries));
  if (!written) {
    if (StoredStream* stream = part.find(id)) stream->set_erased(false);
    co_return fail(written.error());
  }
  auto burying = [this, id] { return bury(id); };
  co_await env::call_on(owner(), home, burying);
  co_return Result<void>{};
}

Task<void> Core::bury(StreamId id) {
  const Lock::Held held = co_await structure.acquire();
  const auto open = open_in.find(id);
  Part& part = open == open_in.end() ? *parts.front() : *open->second;
  auto dig = [](Part* from, StreamId what) -> Task<uint64_t> { co_return from->bury(what); };
  auto digging = [dig, &part, id] { return dig(&part, id); };
  const uint64_t unuploaded = co_await env::call_on(part.shard, owner(), digging);
  forget_undecided(id);
  counters.unuploaded_bytes -= unuploaded;
  erased.push_back(id);
  dropped_extents = true;
  note_unuploaded(0);
}

void Core::note_unuploaded(uint64_t bytes) {
  const uint64_t total =
      counters.unuploaded_bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  const bool first = !dirty_.load(std::memory_order_relaxed) && !dirty_.exchange(true);
  const bool due = total >= options.upload_bytes || slots_due();
  const bool full = due && !full_.load(std::memory_order_relaxed) && !full_.exchange(true);
  if (!first && !full) return;
  owner().post([self = shared_from_this()] { self->uploader->wake(); });
}

void Core::lose(Error error) {
  if (lost.exchange(true)) return;
  log_error("storage: lane {} is lost: {}", options.lane.to_string(), error.to_string());
  events(Event(Event::Plane::storage, "lane.lost")
             .caused_by(options.lane.to_string())
             .about(options.lane)
             .with("reason", error.to_string()));
  uploader->wake();
  compactor->wake();
  if (on_lost) {
    on_lost(std::move(error));
  } else {
    loss = std::move(error);
  }
}

Task<void> Core::stop(env::Instant deadline) {
  // What compaction has put already goes along with the last upload; nothing waits for the rest.
  compactor->cease();
  if (damaged.empty()) co_await uploader->stop(deadline);
  co_await compactor->stop(deadline);
  co_await collector->stop(deadline);
  co_await writer->close(owner());
}

}  // namespace paceline::stream
