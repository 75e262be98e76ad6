#include "stream/excerpt.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/codec.h"
#include "stream/core.h"
#include "stream/object_format.h"

// Reads of streams that are open elsewhere. What an excerpt names was committed by the lane that
// led the stream then, so it is history whoever leads it now: only that it may have been trimmed,
// and its objects be gone, a grace later.

namespace paceline::stream {
namespace {

constexpr uint32_t kMagic = 0x504c4558;  // "PLEX"
constexpr uint16_t kVersion = 1;
// Blocks that are fetched behind the one that is read.
constexpr size_t kAhead = 8;

std::unexpected<Error> damaged(std::string_view what) {
  return fail(Code::corrupt, fmt::format("an excerpt {}", what));
}

}  // namespace

Slice encode_excerpt(const Excerpt& excerpt) {
  Encoder out;
  out.put(kMagic).put(kVersion).put(excerpt.stream).put(excerpt.start).put(excerpt.end);
  out.varint(excerpt.extents.size());
  for (const Extent& extent : excerpt.extents) put_extent(out, extent);
  return Slice::copy_of(out.bytes());
}

Result<Excerpt> decode_excerpt(const Slice& bytes) {
  Decoder in(bytes.bytes());
  const auto magic = in.get<uint32_t>();
  const auto version = in.get<uint16_t>();
  if (!in.ok() || magic != kMagic || version == 0) return damaged("is something else");
  if (version > kVersion)
    return fail(Code::unsupported, fmt::format("an excerpt has format {}; this build knows up to "
                                               "{}",
                                               version, kVersion));
  Excerpt excerpt;
  excerpt.stream = in.stream_id();
  excerpt.start = in.get<Offset>();
  excerpt.end = in.get<Offset>();
  const size_t count = in.count(kExtentBytes);
  if (count > kExcerptExtentsMax) return damaged("is too long");
  for (size_t i = 0; i < count; ++i) excerpt.extents.push_back(get_extent(in));
  if (!in.done()) return damaged("does not have the fields of its format");
  if (excerpt.start < Offset{} || excerpt.start > excerpt.end) return damaged("has no ends");
  for (size_t i = 0; i < count; ++i) {
    const Extent& extent = excerpt.extents[i];
    if (extent.base < Offset{} || extent.end <= extent.base || extent.end > excerpt.end ||
        (i > 0 && extent.base != excerpt.extents[i - 1].end))
      return damaged("is not in a row");
  }
  return excerpt;
}

Offset StoredStream::settled() const {
  return extents_.empty() ? start_ : std::max(start_, extents_.back().base);
}

Slice StoredStream::excerpt(Offset from) const {
  if (from < start_ || !usable()) return {};
  const Extent* first = find_extent(from);
  if (!first) return {};
  Excerpt excerpt{id_, start_, end_, {}};
  const auto at = extents_.begin() + (first - extents_.data());
  const auto count = std::min<ptrdiff_t>(extents_.end() - at, kExcerptExtentsMax);
  excerpt.extents.assign(at, at + count);
  return encode_excerpt(excerpt);
}

Task<Result<ReadResult>> Core::read_excerpt(env::Shard& home, Slice bytes, ReadRequest request) {
  CO_TRY(const Excerpt excerpt, decode_excerpt(bytes));
  if (request.from < excerpt.start)
    co_return fail(
        Code::out_of_range,
        fmt::format("stream {} begins at {}", excerpt.stream.to_string(), excerpt.start.value));
  Part& part = part_of(home);
  ReadResult result{.batches = {}, .start = excerpt.start, .end = excerpt.end};
  Offset at = request.from;
  size_t taken = 0;
  for (const Extent& extent : excerpt.extents) {
    while (extent.holds(at)) {
      if (taken >= request.bytes_max && !(request.at_least_one && taken == 0)) co_return result;
      auto block = co_await part.excerpt_block(extent.object, excerpt.stream, at);
      // What was found before a failure is whole and consecutive.
      if (!block && !result.batches.empty()) co_return result;
      CO_TRY_VOID(block);
      const auto& batches = (*block)->batches;
      auto batch = std::ranges::upper_bound(batches, at, {}, &Batch::base);
      if (batch == batches.begin() || std::prev(batch)->end() <= at)
        co_return fail(Code::corrupt, fmt::format("object {} lacks offset {} of stream {}",
                                                  extent.object.to_string(), at.value,
                                                  excerpt.stream.to_string()));
      for (--batch; batch != batches.end() && extent.holds(at); ++batch) {
        const bool fits = taken + batch->bytes.size() <= request.bytes_max;
        if (!fits && !(request.at_least_one && taken == 0)) co_return result;
        result.batches.push_back(*batch);
        taken += batch->bytes.size();
        at = batch->end();
      }
      (*block)->taken_to(at);
    }
  }
  co_return result;
}

// The block that holds `at`; those behind it are on their way.
Task<Result<std::shared_ptr<const ObjectReader::Block>>> Part::excerpt_block(ObjectId object,
                                                                             StreamId stream,
                                                                             Offset at) {
  constexpr auto kWhy = ObjectReader::Why::catch_up;
  CO_TRY(auto index, co_await reader.index(object, kWhy));
  const BlockRef* ref = index->find(stream, at);
  if (!ref)
    co_return fail(Code::corrupt, fmt::format("object {} should hold offset {} of stream {}",
                                              object.to_string(), at.value, stream.to_string()));
  const BlockRef wanted = *ref;
  for (size_t i = 0; i < kAhead; ++i) {
    ref = index->find(stream, ref->end);
    if (!ref || !fetch_ahead(object, *ref)) break;
  }
  co_return co_await reader.block(object, wanted, kWhy);
}

}  // namespace paceline::stream
