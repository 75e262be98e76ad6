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
  while (more && at < result.end) {
    if (cached_.find(at) < cached_.size()) {
      more = read_cached(request, result, at, bytes);
      continue;
    }
    auto done = co_await read_block(request, result, at, bytes);
    // What was found before a failure is whole and consecutive: the reader comes back for the rest.
    if (!done && !result.batches.empty()) break;
    CO_TRY(more, std::move(done));
  }
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
                                            Offset& at, size_t& bytes) {
  const Extent* extent = find_extent(at);
  if (!extent) {
    // The start moved on while we read: nothing is lost.
    if (at < start_) co_return false;
    co_return fail(Code::corrupt,
                   fmt::format("stream {}: no object holds offset {}", id_.to_string(), at.value));
  }
  const ObjectId object = extent->object;
  CO_TRY(auto index, co_await part_->reader.index(object));
  const BlockRef* ref = index->find(id_, at);
  if (!ref)
    co_return fail(Code::corrupt, fmt::format("object {} should hold offset {} of stream {}",
                                              object.to_string(), at.value, id_.to_string()));
  // A block that would not fit in the answer any more is not worth a fetch.
  if (!result.batches.empty() && bytes >= request.bytes_max) co_return false;
  CO_TRY(auto block, co_await part_->reader.block(object, *ref));
  read_ahead(object, *index, *ref);
  auto batch = std::ranges::upper_bound(block->batches, at, {}, &Batch::base);
  CHECK(batch != block->batches.begin());
  for (--batch; batch != block->batches.end() && at < result.end; ++batch)
    if (!take(*batch, request, result, at, bytes)) co_return false;
  co_return true;
}

// Fetches the block after the one just read, in the background: readers go on in order.
void StoredStream::read_ahead(const ObjectId& object, const Index& index, const BlockRef& block) {
  const BlockRef* next = index.find(id_, block.end);
  if (!next || part_->reader.has_block(object, *next)) return;
  auto fetch = [](std::shared_ptr<Core> core, Part* part, ObjectId from,
                  BlockRef ref) -> Task<void> {
    auto ignored =
        co_await part->reader.block(from, ref);  // who needs it will be told what is wrong
    (void)ignored;
    (void)core;
  };
  part_->shard.spawn(fetch(core_->shared_from_this(), part_, object, *next));
}

}  // namespace paceline::stream
