#include <fmt/format.h>

#include <algorithm>

#include "stream/core.h"

namespace paceline::stream {

Task<Result<ReadResult>> StoredStream::read(ReadRequest request) {
  CO_TRY_VOID(usable());
  if (request.from < start_ || request.from > end_)
    co_return fail(Code::out_of_range,
                   fmt::format("stream {} holds {}..{}; {} was asked for", id_.to_string(),
                               start_.value, end_.value, request.from.value));
  co_return co_await read_from(request);
}

Task<Result<ReadResult>> StoredStream::read_from(ReadRequest request) {
  ReadResult result{.batches = {}, .start = start_, .end = end_};
  Offset at = request.from;
  size_t bytes = 0;
  bool more = true;
  bool from_objects = false;
  bool waited = false;  // for the store
  while (more && at < result.end) {
    if (cached_.find(at) < cached_.size()) {
      more = read_cached(request, result, at, bytes);
      continue;
    }
    fetch_ahead(at, readers_.blocks(request.from), First::left);
    from_objects = true;
    auto done = co_await read_block(request, result, at, bytes, waited);
    // What was found before a failure is whole and consecutive: the reader comes back for the rest.
    if (!done && !result.batches.empty()) break;
    CO_TRY(more, std::move(done));
  }
  if (from_objects) readers_.note(request.from, at, waited);
  co_return result;
}

bool StoredStream::take(const Batch& batch, const ReadRequest& request, ReadResult& result,
                        Offset& at, size_t& bytes) const {
  const bool first = result.batches.empty();
  const bool fits = bytes + batch.bytes.size() <= request.bytes_max;
  if (!fits && !(first && request.at_least_one)) return false;
  if (batch.end() > result.end) return false;
  result.batches.push_back(batch);
  bytes += batch.bytes.size();
  at = batch.end();
  return true;
}

bool StoredStream::read_cached(const ReadRequest& request, ReadResult& result, Offset& at,
                               size_t& bytes) const {
  const size_t before = result.batches.size();
  bool more = true;
  for (size_t i = cached_.find(at); more && i < cached_.size() && at < result.end; ++i)
    more = take(cached_.at(i), request, result, at, bytes);
  core_->counters.cache_hits.fetch_add(result.batches.size() - before, std::memory_order_relaxed);
  return more;
}

const Extent* StoredStream::find_extent(Offset offset) const {
  const auto after = std::ranges::upper_bound(extents_, offset, {}, &Extent::base);
  if (after == extents_.begin() || offset >= std::prev(after)->end) return nullptr;
  return &*std::prev(after);
}

Task<Result<bool>> StoredStream::read_block(const ReadRequest& request, ReadResult& result,
                                            Offset& at, size_t& bytes, bool& waited) {
  const Extent* extent = find_extent(at);
  if (!extent) {
    // The start moved on while we read: nothing is lost.
    if (at < start_) co_return false;
    co_return fail(Code::corrupt,
                   fmt::format("stream {}: no object holds offset {}", id_.to_string(), at.value));
  }
  // A block that would not fit in the answer any more is not worth a fetch.
  if (!result.batches.empty() && bytes >= request.bytes_max) co_return false;
  const Extent wanted = *extent;
  auto block = co_await find_block(wanted.object, request, at, waited);
  if (!block) {
    if (was_moved(wanted, block.error())) co_return true;  // look the extent up again
    co_return fail(block.error());
  }
  auto batch = std::ranges::upper_bound((*block)->batches, at, {}, &Batch::base);
  CHECK(batch != (*block)->batches.begin());
  for (--batch; batch != (*block)->batches.end() && at < result.end; ++batch)
    if (!take(*batch, request, result, at, bytes)) co_return false;
  (*block)->taken_to(at);
  co_return true;
}

Task<Result<std::shared_ptr<const ObjectReader::Block>>> StoredStream::find_block(
    ObjectId object, ReadRequest request, Offset at, bool& waited) {
  const auto why =
      readers_.knows(request.from) ? ObjectReader::Why::catch_up : ObjectReader::Why::read;
  CO_TRY(auto index, co_await part_->reader.index(object, why));
  const BlockRef* ref = index->find(id_, at);
  if (!ref)
    co_return fail(Code::corrupt, fmt::format("object {} should hold offset {} of stream {}",
                                              object.to_string(), at.value, id_.to_string()));
  waited |= !part_->reader.holds(object, *ref);
  co_return co_await part_->reader.block(object, *ref, why);
}

bool Part::fetch_ahead(ObjectId object, const BlockRef& ref) {
  struct Ahead {
    static Task<void> block(std::shared_ptr<Core> core, Part* part, ObjectId object, BlockRef ref,
                            Unread unread) {
      co_await part->reader.fetch_ahead(object, ref, std::move(unread));
      (void)core;
    }
  };
  if (reader.knows(object, ref)) return true;
  auto place = reader.place_ahead(ref);
  if (!place) return false;
  shard.spawn(Ahead::block(core.shared_from_this(), this, object, ref, std::move(*place)));
  return true;
}

// Only of one who goes on: a single read needs no more than it asks for.
void StoredStream::expect(Offset from) {
  if (readers_.knows(from)) fetch_ahead(from, readers_.blocks(from) + 1, First::included);
}

void StoredStream::fetch_ahead(Offset at, size_t count, First which) {
  const auto core = core_->shared_from_this();
  struct Ahead {
    static Task<void> index(std::shared_ptr<Core> core, Part* part, ObjectId object) {
      auto ignored = co_await part->reader.index(object, ObjectReader::Why::catch_up);
      (void)ignored;
      (void)core;
    }
  };
  for (bool skip = which == First::left; at < end_ && cached_.find(at) == cached_.size();
       skip = false) {
    const Extent* extent = find_extent(at);
    if (!extent) return;
    const ObjectId object = extent->object;
    const auto index = part_->reader.known_index(object);
    if (!index) {
      // It says where the blocks are; the next read goes on from here.
      if (!skip) part_->shard.spawn(Ahead::index(core, part_, object));
      return;
    }
    const BlockRef* ref = index->find(id_, at);
    if (!ref) return;
    at = ref->end;
    if (skip) continue;
    if (!part_->fetch_ahead(object, *ref) || --count == 0) return;
  }
}

}  // namespace paceline::stream
