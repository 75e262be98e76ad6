#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "stream/object_format.h"
#include "stream/recover.h"
#include "stream/recovery.h"
#include "stream/retry.h"

namespace paceline::stream {
namespace {

// Above every lane: all of them are read.
Lane last_lane(BrokerId broker) {
  return Lane{broker, Incarnation(UINT64_MAX)};
}

Sources sources_of(const Inspected& inspected) {
  return {inspected.shard, inspected.meta, inspected.objects, inspected.wal};
}

Task<Result<Recovery>> look(Inspected inspected) {
  RecoverOptions options{.own = last_lane(inspected.broker), .inspect = true};
  return recover(sources_of(inspected), options, [](std::string_view, std::string) {});
}

Task<Result<Slice>> fetch(Inspected inspected, ObjectId id, uint64_t from, uint64_t bytes) {
  auto getting = [inspected, id, from, bytes] {
    return inspected.objects->get(*inspected.shard, body_key(id), from, bytes);
  };
  co_return co_await retry_transient(*inspected.shard, getting);
}

Task<Result<Index>> read_index(Inspected inspected, ObjectId id, uint64_t object_bytes) {
  CO_TRY(Slice front, co_await fetch(inspected, id, 0, kHeaderBytes));
  CO_TRY(Header header, decode_header(id, front.bytes()));
  if (object_bytes != 0) {
    if (header.object_bytes != object_bytes || object_bytes < kHeaderBytes + kTrailerBytes)
      co_return fail(Code::corrupt,
                     fmt::format("object {} has another size than its record", id.to_string()));
    CO_TRY(Slice back, co_await fetch(inspected, id, object_bytes - kTrailerBytes, kTrailerBytes));
    if (!trailer_fits(front.bytes(), back.bytes()))
      co_return fail(Code::corrupt,
                     fmt::format("object {} does not end as it should", id.to_string()));
    CO_TRY(Slice directory,
           co_await fetch(inspected, id, header.directory_position, header.directory_bytes));
    CO_TRY(Directory ignored, decode_directory(id, directory.bytes()));
    (void)ignored;
  }
  CO_TRY(Slice bytes, co_await fetch(inspected, id, header.index_position, header.index_bytes));
  co_return decode_index(id, bytes.bytes());
}

Task<Result<std::vector<Batch>>> read_block(Inspected inspected, ObjectId id, BlockRef ref) {
  CO_TRY(Slice bytes, co_await fetch(inspected, id, ref.position, ref.bytes));
  co_return decode_block(ref, bytes);
}

// Every block of a committed object.
Task<void> check_object(Inspected inspected, ObjectId id, meta::ObjectRecord record,
                        CheckReport& report) {
  ++report.object_count;
  auto index = co_await read_index(inspected, id, record.bytes);
  if (!index) {
    report.problems.push_back(index.error().message);
    co_return;
  }
  for (const BlockRef& ref : index->blocks) {
    ++report.block_count;
    auto batches = co_await read_block(inspected, id, ref);
    if (!batches)
      report.problems.push_back(
          fmt::format("object {}: {}", id.to_string(), batches.error().message));
  }
}

// Visits one extent's batches; they have to cover it exactly.
Task<Result<void>> visit_extent(Inspected inspected, StreamId stream, Extent extent,
                                Visitor visitor) {
  CO_TRY(Index index, co_await read_index(inspected, extent.object, 0));
  Offset next = extent.base;
  for (const BlockRef& ref : index.of_stream(stream)) {
    if (ref.base != next)
      co_return fail(Code::corrupt,
                     fmt::format("object {} has a gap in stream {} at {}",
                                 extent.object.to_string(), stream.to_string(), next.value));
    CO_TRY(std::vector<Batch> batches, co_await read_block(inspected, extent.object, ref));
    for (const Batch& batch : batches) CO_TRY_VOID(visitor(batch));
    next = ref.end;
  }
  if (next != extent.end)
    co_return fail(Code::corrupt, fmt::format("object {} holds stream {} up to {}, not {}",
                                              extent.object.to_string(), stream.to_string(),
                                              next.value, extent.end.value));
  co_return Result<void>{};
}

Task<Result<void>> visit_stream(Inspected inspected, StreamId id, const StreamImage& image,
                                Visitor visitor) {
  Offset next = image.start;
  auto in_order = [&](const Batch& batch) -> Result<void> {
    if (batch.end() <= image.start) return {};  // of an extent that the start stands in
    if (batch.base > next || (batch.base < next && next != image.start))
      return fail(Code::corrupt, fmt::format("stream {}: a batch starts at {} where {} is next",
                                             id.to_string(), batch.base.value, next.value));
    next = batch.end();
    return visitor(batch);
  };
  for (const Extent& extent : image.extents)
    CO_TRY_VOID(co_await visit_extent(inspected, id, extent, in_order));
  for (const Batch& batch : image.tail) CO_TRY_VOID(in_order(batch));
  if (next != image.end)
    co_return fail(Code::corrupt, fmt::format("stream {} ends at {}, but its batches at {}",
                                              id.to_string(), image.end.value, next.value));
  co_return Result<void>{};
}

Task<void> check_stream(Inspected inspected, StreamId id, const StreamImage& image,
                        CheckReport& report) {
  StreamReport stream{.id = id, .start = image.start, .end = image.end, .bytes = 0, .problems = {}};
  if (!image.offline.empty()) stream.problems.push_back(image.offline);
  auto count = [&](const Batch& batch) -> Result<void> {
    stream.bytes += batch.bytes.size();
    return {};
  };
  auto visited = co_await visit_stream(inspected, id, image, count);
  if (!visited) stream.problems.push_back(visited.error().message);
  report.streams.push_back(std::move(stream));
}

Task<Result<void>> find_orphans(Inspected inspected, const Recovery& recovery,
                                CheckReport& report) {
  CO_TRY(meta::Range marks,
         co_await meta::range_prefix(*inspected.meta, *inspected.shard, meta::deleted_prefix()));
  std::set<std::string> marked;
  for (const meta::Entry& entry : marks.entries) marked.insert(entry.key);
  for (const LaneFacts& lane : recovery.lanes) {
    std::string after;
    for (bool more = true; more;) {
      CO_TRY(object::ListPage page, co_await inspected.objects->list(
                                        *inspected.shard, bodies_prefix(lane.lane), after, 1000));
      for (const object::Listed& listed : page.objects) {
        after = listed.key;
        const auto id = parse_body_key(listed.key);
        const bool known = id && (lane.objects.contains(id->number) ||
                                  marked.contains(meta::deleted_key(id->lane, id->number)));
        if (!known) report.orphans.push_back(listed.key);
      }
      more = page.more && !page.objects.empty();
    }
  }
  co_return Result<void>{};
}

}  // namespace

bool CheckReport::ok() const {
  return problems.empty() &&
         std::ranges::all_of(streams, [](const StreamReport& s) { return s.problems.empty(); });
}

Task<Result<CheckReport>> check(Inspected inspected) {
  CheckReport report;
  auto looked = co_await look(inspected);
  if (!looked && looked.error().code == Code::corrupt) {
    report.problems.push_back(looked.error().message);
    co_return report;
  }
  if (!looked) co_return fail(looked.error());
  const Recovery& recovery = *looked;
  report.group_count = recovery.group_count;
  report.problems = recovery.damages;
  if (!recovery.damaged.empty()) report.problems.push_back(recovery.damaged);
  for (const LaneFacts& lane : recovery.lanes)
    for (const auto& [number, record] : lane.objects)
      co_await check_object(inspected, {lane.lane, number}, record, report);
  for (const auto& [id, image] : recovery.image.streams)
    co_await check_stream(inspected, id, image, report);
  std::ranges::sort(report.streams, {}, &StreamReport::id);
  CO_TRY_VOID(co_await find_orphans(inspected, recovery, report));
  co_return report;
}

Task<Result<void>> read_all(Inspected inspected, StreamId stream, Visitor visitor) {
  CO_TRY(Recovery recovery, co_await look(inspected));
  if (!recovery.damaged.empty()) co_return fail(Code::corrupt, recovery.damaged);
  const auto found = recovery.image.streams.find(stream);
  if (found == recovery.image.streams.end())
    co_return fail(Code::not_found, fmt::format("stream {} is not known here", stream.to_string()));
  if (!found->second.offline.empty()) co_return fail(Code::corrupt, found->second.offline);
  co_return co_await visit_stream(inspected, stream, found->second, visitor);
}

}  // namespace paceline::stream
