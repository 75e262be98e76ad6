#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "stream/inspect.h"

namespace paceline::stream {
namespace {

// What a working broker replaces while we look is looked at again, so often at most.
constexpr int kPassesMax = 5;

// The index rows of an extent have to cover it exactly; every block of a verified object holds what
// its row says.
Result<void> cover_extent(const Verified& verified, const StreamId& stream, const Extent& extent) {
  const auto found = verified.find(extent.object);
  if (found == verified.end())
    return fail(Code::corrupt,
                fmt::format("stream {}: offsets {}..{} are in object {}, which is not whole or not "
                            "committed",
                            stream.to_string(), extent.base.value, extent.end.value,
                            extent.object.to_string()));
  Offset next = extent.base;
  for (const BlockRef& ref : found->second->of_stream(stream)) {
    if (ref.end <= extent.base || ref.base >= extent.end) continue;
    if (ref.base != next) break;
    next = ref.end;
  }
  if (next == extent.end) return {};
  return fail(Code::corrupt, fmt::format("object {} holds stream {} up to {} instead of {}..{}",
                                         extent.object.to_string(), stream.to_string(), next.value,
                                         extent.base.value, extent.end.value));
}

StreamReport check_stream(const Verified& verified, StreamId id, const StreamImage& image) {
  StreamReport stream{.id = id, .start = image.start, .end = image.end, .bytes = 0, .problems = {}};
  if (!image.offline.empty()) stream.problems.push_back(image.offline);
  auto add = [&](Result<void> done) {
    if (!done) stream.problems.push_back(done.error().message);
  };
  // From the start on, or from below it: the first extent may be trimmed in part.
  Offset next = image.extents.empty() ? image.uploaded_end : image.extents.front().base;
  if (next > std::min(image.start, image.uploaded_end))
    add(fail(Code::corrupt, fmt::format("stream {} starts at {}, but its first object at {}",
                                        id.to_string(), image.start.value, next.value)));
  auto follow = [&](Offset base, Offset end, std::string_view where) {
    if (base != next)
      add(fail(Code::corrupt, fmt::format("stream {}: {} starts at {} where {} is next",
                                          id.to_string(), where, base.value, next.value)));
    next = end;
  };
  for (const Extent& extent : image.extents) {
    follow(extent.base, extent.end, "object " + extent.object.to_string());
    add(cover_extent(verified, id, extent));
    stream.bytes += extent.bytes;
  }
  for (const Batch& batch : image.tail) {
    follow(batch.base, batch.end(), "a batch of the WAL");
    stream.bytes += batch.bytes.size();
  }
  if (next != image.end && image.offline.empty())
    add(fail(Code::corrupt, fmt::format("stream {} ends at {}, but its batches at {}",
                                        id.to_string(), image.end.value, next.value)));
  return stream;
}

// Each stream as that broker has it whom it has to be asked of.
std::map<StreamId, const StreamImage*> streams_of(const Inspected& inspected, const Looked& looked,
                                                  std::set<std::string>& problems) {
  std::map<StreamId, const StreamImage*> furthest;
  std::map<StreamId, BrokerId> at;
  for (const auto& [broker, recovery] : looked.brokers)
    for (const auto& [id, image] : recovery.image.streams) {
      const auto [found, is_new] = furthest.try_emplace(id, &image);
      const Version known{found->second->epoch, found->second->end};
      if (!is_new && !supersedes({image.epoch, image.end}, known)) continue;
      found->second = &image;
      at[id] = broker;
    }
  for (const auto& [id, leader] : inspected.led) {
    const auto found = furthest.find(id);
    if (found == furthest.end()) continue;
    const auto recovery = looked.brokers.find(leader);
    const StreamImage* own = nullptr;
    if (recovery != looked.brokers.end())
      if (const auto image = recovery->second.image.streams.find(id);
          image != recovery->second.image.streams.end())
        own = &image->second;
    if (!own && !inspected.broker && found->second->end > Offset{})
      problems.insert(fmt::format(
          "stream {} is led by broker {}, whose lanes do not know it; broker {} has it up to {}",
          id.to_string(), leader.value, at.at(id).value, found->second->end.value));
    if (own) {
      found->second = own;
    } else {
      furthest.erase(found);
    }
  }
  return furthest;
}

// Visits the batches of one extent that end above `from`.
Task<Result<void>> visit_extent(Inspected inspected, StreamId stream, Extent extent, Offset from,
                                Visitor visitor) {
  auto to_header = [&](const Slice& bytes) { return decode_header(extent.object, bytes.bytes()); };
  CO_TRY(Header header,
         co_await fetch_checked(inspected, extent.object, 0, kHeaderBytes, to_header));
  auto to_index = [&](const Slice& bytes) { return decode_index(extent.object, bytes.bytes()); };
  CO_TRY(Index index, co_await fetch_checked(inspected, extent.object, header.index_position,
                                             header.index_bytes, to_index));
  for (const BlockRef& ref : index.of_stream(stream)) {
    if (ref.end <= std::max(from, extent.base) || ref.base >= extent.end) continue;
    auto to_batches = [&](const Slice& block) { return decode_block(ref, block); };
    CO_TRY(std::vector<Batch> batches,
           co_await fetch_checked(inspected, extent.object, ref.position, ref.bytes, to_batches));
    for (const Batch& batch : batches) CO_TRY_VOID(visitor(batch));
  }
  co_return Result<void>{};
}

// Visits what stands at and above `next`, and moves it along.
Task<Result<void>> visit_stream(Inspected inspected, StreamId id, const StreamImage& image,
                                std::optional<Offset>& next, const Visitor& visitor) {
  auto in_order = [&](const Batch& batch) -> Result<void> {
    if (batch.end() <= image.start || (next && batch.end() <= *next)) return {};
    if (next ? batch.base != *next : batch.base > image.start)
      return fail(Code::corrupt,
                  fmt::format("stream {}: a batch starts at {} where {} is next", id.to_string(),
                              batch.base.value, next.value_or(image.start).value));
    TRY_VOID(visitor(batch));
    next = batch.end();
    return {};
  };
  for (const Extent& extent : image.extents)
    if (!next || extent.end > *next)
      CO_TRY_VOID(co_await visit_extent(
          inspected, id, extent, std::max(image.start, next.value_or(image.start)), in_order));
  for (const Batch& batch : image.tail) CO_TRY_VOID(in_order(batch));
  if (next.value_or(image.start) < image.end)
    co_return fail(Code::corrupt,
                   fmt::format("stream {} ends at {}, but its batches at {}", id.to_string(),
                               image.end.value, next.value_or(image.start).value));
  co_return Result<void>{};
}

}  // namespace

bool CheckReport::ok() const {
  return problems.empty() &&
         std::ranges::all_of(streams, [](const StreamReport& s) { return s.problems.empty(); });
}

Task<Result<CheckReport>> check(Inspected inspected) {
  CheckReport report;
  Verified verified;
  std::map<StreamId, StreamReport> streams;
  for (int pass = 1;; ++pass) {
    auto looked = co_await look_at_all(inspected);
    if (!looked && looked.error().code == Code::corrupt) {
      report.problems.push_back(looked.error().message);
      co_return report;
    }
    if (!looked) co_return fail(looked.error());
    std::set<std::string> problems;  // what was left to several is told once
    uint64_t group_count = 0;
    for (const auto& [broker, recovery] : looked->brokers) {
      problems.insert(recovery.damages.begin(), recovery.damages.end());
      if (!recovery.damaged.empty()) problems.insert(recovery.damaged);
      if (!recovery.estate_damaged.empty()) problems.insert(recovery.estate_damaged);
      group_count += recovery.group_count;
    }
    report.group_count = std::max(report.group_count, group_count);
    const auto images = streams_of(inspected, *looked, problems);
    report.problems.assign(problems.begin(), problems.end());
    co_await check_objects(inspected, *looked, verified, report);
    // Of an earlier pass what was whole stays so: nobody changes what is committed.
    std::erase_if(streams, [](const auto& one) { return !one.second.problems.empty(); });
    for (const auto& [id, image] : images)
      if (!streams.contains(id)) streams.emplace(id, check_stream(verified, id, *image));
    report.streams.clear();
    for (const auto& [id, stream] : streams) report.streams.push_back(stream);
    if (!report.ok() && pass < kPassesMax) {
      CO_TRY(bool moved, co_await has_moved_on(inspected, looked->lanes));
      if (moved) continue;
    }
    CO_TRY_VOID(co_await find_leftovers(inspected, *looked, report));
    co_return report;
  }
}

Task<Result<void>> read_all(Inspected inspected, StreamId stream, Visitor visitor) {
  const auto leader = inspected.led.find(stream);
  if (leader != inspected.led.end()) inspected.broker = leader->second;
  if (!inspected.broker)
    co_return fail(Code::not_found, fmt::format("stream {} has no leader", stream.to_string()));
  std::optional<Offset> next;
  for (int pass = 1;; ++pass) {
    CO_TRY(auto lanes, co_await read_lanes(sources_of(inspected), std::nullopt));
    CO_TRY(Recovery recovery, co_await look(inspected, *inspected.broker));
    if (!recovery.damaged.empty()) co_return fail(Code::corrupt, recovery.damaged);
    const auto found = recovery.image.streams.find(stream);
    if (found == recovery.image.streams.end())
      co_return fail(Code::not_found,
                     fmt::format("stream {} is not known here", stream.to_string()));
    if (!found->second.offline.empty()) co_return fail(Code::corrupt, found->second.offline);
    auto visited = co_await visit_stream(inspected, stream, found->second, next, visitor);
    if (visited || pass == kPassesMax) co_return visited;
    CO_TRY(bool moved, co_await has_moved_on(inspected, lanes));
    if (!moved) co_return visited;
  }
}

}  // namespace paceline::stream
