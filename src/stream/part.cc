#include <algorithm>

#include "stream/core.h"

namespace paceline::stream {

StoredStream::StoredStream(StreamId id, Core& core, Part& part, StreamImage image)
    : id_(id),
      core_(&core),
      part_(&part),
      start_(image.start),
      end_(image.end),
      appended_end_(image.end),
      uploaded_start_(image.start),
      uploaded_end_(image.uploaded_end),
      uploaded_snapshot_end_(image.snapshot_end),
      epoch_(image.epoch),
      extents_(std::move(image.extents)),
      snapshot_end_(image.snapshot_end),
      snapshot_(std::move(image.snapshot)),
      offline_(std::move(image.offline)) {
  for (const Extent& extent : extents_) extent_bytes_ += extent.bytes;
}

void StoredStream::attach(StateOwner& owner) {
  owner_ = &owner;
  held_ = false;
  snapshot_ = {};
}

void StoredStream::detach() {
  if (owner_ && !erased_) {
    snapshot_ = owner_->snapshot(end_);
    snapshot_end_ = end_;
  }
  owner_ = nullptr;
}

void StoredStream::move_to(Part& part) {
  part_ = &part;
}

Task<Result<Recovered>> StoredStream::recover_owner() {
  Recovered recovered{.snapshot = snapshot_, .snapshot_end = snapshot_end_, .tail = {}};
  // Trimmed or not: the owner's state is made of all batches.
  Offset at = snapshot_end_;
  while (at < end_) {
    ReadRequest request{.from = at, .bytes_max = 64ull << 20};
    CO_TRY(ReadResult some, co_await read_from(request));
    for (Batch& batch : some.batches) recovered.tail.push_back(std::move(batch));
    CHECK(!recovered.tail.empty());
    at = recovered.tail.back().end();
  }
  co_return recovered;
}

Passport StoredStream::passport() {
  Passport passport{.stream = id_,
                    .start = start_,
                    .uploaded_end = uploaded_end_,
                    .epoch = epoch_,
                    .snapshot_end = end_,
                    .snapshot = owner_->snapshot(end_),
                    .extents = {},
                    .tail = {}};
  // The snapshot covers everything: nobody needs what is below the start.
  for (const Extent& extent : extents_)
    if (extent.end > start_) passport.extents.push_back(extent);
  if (end_ != uploaded_end_) {
    const size_t first = cached_.find(uploaded_end_);
    CHECK(first < cached_.size());
    for (size_t i = first; i < cached_.size(); ++i) passport.tail.push_back(cached_.at(i));
  }
  held_ = true;
  return passport;
}

void StoredStream::raise_start(Offset start) {
  if (start > start_) set_start(std::min(start, end_));
}

StreamPart StoredStream::cut(bool checkpoint) {
  StreamPart part;
  part.record.stream = id_;
  part.record.start = start_;
  part.record.end = end_;
  part.record.epoch = epoch_;
  part.record.offline = offline_;
  part.record.snapshot = owner_ ? owner_->snapshot(end_) : snapshot_;
  part.record.snapshot_end = owner_ ? end_ : snapshot_end_;
  if (checkpoint) part.record.extents = extents_;
  if (end_ == uploaded_end_) return part;
  const size_t first = cached_.find(uploaded_end_);
  CHECK(first < cached_.size());
  part.batches.reserve(cached_.size() - first);
  for (size_t i = first; i < cached_.size(); ++i) part.batches.push_back(cached_.at(i));
  return part;
}

void StoredStream::note_uploaded(const DirectoryRecord& record, const Extent& extent) {
  confirmed_ = replaced_ = false;
  uploaded_start_ = record.start;
  uploaded_snapshot_end_ = record.snapshot_end;
  if (extent.end != extent.base) {
    CHECK(extent.base == uploaded_end_);
    uploaded_end_ = extent.end;
    tail_bytes_ -= extent.bytes;
    extents_.push_back(extent);
    extent_bytes_ += extent.bytes;
  }
  drop_extents();
}

bool StoredStream::replace(const Replacement& replacement) {
  // Extents that were trimmed meanwhile are missing at the front, and only there. The new one
  // covers them again, below the start: a stream's first extent may.
  if (held_) return false;
  const std::vector<Extent>& old = replacement.replaced;
  const auto left = std::ranges::find_if(old, [&](const Extent& extent) {
    return !extents_.empty() && extent.end > extents_.front().base;
  });
  if (left == old.end()) return false;
  const auto from = std::ranges::lower_bound(extents_, left->base, {}, &Extent::base);
  const auto count = old.end() - left;
  if (extents_.end() - from < count || !std::equal(left, old.end(), from)) return false;
  for (auto extent = from; extent != from + count; ++extent) extent_bytes_ -= extent->bytes;
  extent_bytes_ += replacement.by.bytes;
  *from = replacement.by;
  extents_.erase(from + 1, from + count);
  replaced_ = true;
  return true;
}

Part::Part(Core& owner, env::Shard& home)
    : core(owner),
      shard(home),
      reader(home, owner.objects, owner.options.cluster_id,
             {.cache_bytes = owner.options.block_cache_bytes / owner.shards.size(),
              .flight_bytes = owner.options.read_bytes_in_flight / owner.shards.size(),
              .flight_requests = std::max(
                  owner.options.read_requests / static_cast<uint32_t>(owner.shards.size()), 2u)},
             owner.counters),
      order_(static_cast<unsigned>(owner.shards.size())),
      gates_{env::Gate(home), env::Gate(home)} {}

StoredStream* Part::find(const StreamId& id) {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second.get();
}

StoredStream& Part::add(std::unique_ptr<StoredStream> stream) {
  StoredStream& added = *stream;
  added.move_to(*this);
  for (size_t i = 0; i < added.cached_.size(); ++i)
    order_.add(added.id(), added.cached_.at(i).base);
  cache_bytes_ += added.cached_.charge();
  streams_.emplace(added.id(), std::move(stream));
  return added;
}

std::unique_ptr<StoredStream> Part::take(const StreamId& id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return nullptr;
  std::unique_ptr<StoredStream> stream = std::move(found->second);
  streams_.erase(found);
  cache_bytes_ -= stream->cached_.charge();
  return stream;
}

uint64_t Part::bury(const StreamId& id) {
  std::unique_ptr<StoredStream> stream = take(id);
  if (!stream) return 0;
  core.counters.streams -= 1;
  core.counters.log_cache_bytes -= stream->cached_.charge();
  const uint64_t unuploaded = stream->tail_bytes_;
  stream->erased_ = true;
  if (stream->owner_) graves.push_back(std::move(stream));
  return unuploaded;
}

uint64_t Part::drop(const StreamId& id) {
  std::unique_ptr<StoredStream> stream = take(id);
  if (!stream) return 0;
  CHECK(!stream->owner_);
  core.counters.streams -= 1;
  core.counters.log_cache_bytes -= stream->cached_.charge();
  return stream->tail_bytes_;
}

void Part::cache(StoredStream& stream, Batch batch) {
  const uint64_t charge = order_.charge_of(batch.bytes);
  order_.add(stream.id(), batch.base);
  stream.cached_.push(std::move(batch), charge);
  cache_bytes_ += charge;
  core.counters.log_cache_bytes.fetch_add(charge, std::memory_order_relaxed);
}

void Part::uncache(uint64_t charge) {
  cache_bytes_ -= charge;
  core.counters.log_cache_bytes.fetch_sub(charge, std::memory_order_relaxed);
}

void Part::evict() {
  const uint64_t bytes_max = core.options.log_cache_bytes / core.shards.size();
  while (cache_bytes_ > bytes_max && !order_.empty()) {
    StoredStream* stream = find(order_.front().stream);
    const bool stale =
        !stream || stream->cached_.empty() || stream->cached_.front().base != order_.front().base;
    if (!stale) {
      // Un-uploaded bytes have no other copy that can be read.
      if (stream->cached_.front().end() > stream->uploaded_end_) return;
      uncache(stream->cached_.pop_front());
    }
    order_.pop_front();
  }
}

Task<void> Part::flush() {
  env::Gate& before = gates_[gate_];
  gate_ ^= 1;
  co_await before.wait_empty();
}

Task<std::vector<StreamPart>> Part::cut(bool checkpoint, StreamSet left_out) {
  // The structure lock is held: the map stays as it is while others run in between.
  constexpr size_t kStreamsAtOnce = 256;
  std::vector<StreamPart> cuts;
  size_t seen = 0;
  for (auto& [id, stream] : streams_) {
    if ((checkpoint || stream->dirty()) && !left_out->contains(id))
      cuts.push_back(stream->cut(checkpoint));
    if (++seen % kStreamsAtOnce == 0) co_await env::yield(shard);
  }
  co_return cuts;
}

Task<std::vector<size_t>> Part::replace(
    std::shared_ptr<const std::vector<Replacement>> replacements) {
  std::vector<size_t> taken;
  for (size_t i = 0; i < replacements->size(); ++i) {
    StoredStream* stream = find((*replacements)[i].stream);
    if (stream && stream->replace((*replacements)[i])) taken.push_back(i);
  }
  co_return taken;
}

Task<void> Part::note_uploaded(std::shared_ptr<const std::vector<StreamPart>> uploaded,
                               std::shared_ptr<const BuiltObject> built, StreamSet gone) {
  for (size_t i = 0; i < uploaded->size(); ++i) {
    const StreamPart& part = (*uploaded)[i];
    if (gone->contains(part.record.stream)) continue;
    if (StoredStream* stream = find(part.record.stream))
      stream->note_uploaded(part.record, built->extents[i]);
  }
  evict();
  co_return;
}

}  // namespace paceline::stream
