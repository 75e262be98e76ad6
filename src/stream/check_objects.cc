#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "stream/inspect.h"
#include "stream/object_fetch.h"
#include "stream/references.h"
#include "stream/retry.h"

namespace paceline::stream {
namespace {

constexpr size_t kListedAtOnce = 1000;

// Header, trailer, directory and index of a committed object.
Task<Result<Index>> check_frame(Inspected inspected, ObjectId id, uint64_t object_bytes) {
  Slice front;
  auto to_header = [&](const Slice& bytes) {
    front = bytes;
    return decode_header(id, bytes.bytes());
  };
  CO_TRY(Header header, co_await fetch_checked(inspected, id, 0, kHeaderBytes, to_header));
  if (header.object_bytes != object_bytes || object_bytes < kHeaderBytes + kTrailerBytes)
    co_return fail(Code::corrupt,
                   fmt::format("object {} has another size than its record", id.to_string()));
  CO_TRY(uint64_t size, co_await inspected.objects->size(*inspected.shard, body_key(id)));
  if (size != object_bytes)
    co_return fail(Code::corrupt, fmt::format("the body of object {} has {} bytes instead of {}",
                                              id.to_string(), size, object_bytes));
  auto fits = [&](const Slice& back) -> Result<void> {
    if (trailer_fits(front.bytes(), back.bytes())) return {};
    return fail(Code::corrupt, fmt::format("object {} does not end as it should", id.to_string()));
  };
  CO_TRY_VOID(
      co_await fetch_checked(inspected, id, object_bytes - kTrailerBytes, kTrailerBytes, fits));
  auto to_directory = [id](const Slice& bytes) { return decode_directory(id, bytes.bytes()); };
  CO_TRY(Directory ignored, co_await fetch_checked(inspected, id, header.directory_position,
                                                   header.directory_bytes, to_directory));
  (void)ignored;
  auto to_index = [id](const Slice& bytes) { return decode_index(id, bytes.bytes()); };
  co_return co_await fetch_checked(inspected, id, header.index_position, header.index_bytes,
                                   to_index);
}

Task<Result<Index>> check_body(Inspected inspected, ObjectId id, uint64_t object_bytes,
                               CheckReport& report) {
  CO_TRY(Index index, co_await check_frame(inspected, id, object_bytes));
  for (const BlockRef& ref : index.blocks) {
    auto to_batches = [ref](const Slice& bytes) { return decode_block(ref, bytes); };
    auto batches = co_await fetch_checked(inspected, id, ref.position, ref.bytes, to_batches);
    if (!batches && batches.error().code != Code::corrupt) co_return fail(batches.error());
    if (!batches)
      co_return fail(Code::corrupt,
                     fmt::format("object {}: {}", id.to_string(), batches.error().message));
    ++report.block_count;
  }
  co_return index;
}

// Whether the metadata knows the object, as committed or as marked for deletion, right now.
Task<Result<bool>> is_known(Inspected inspected, ObjectId id, bool marked_too) {
  auto asking = [&](std::string key) { return inspected.meta->get(*inspected.shard, key); };
  CO_TRY(auto record, co_await asking(meta::object_key(id.lane, id.number)));
  if (record || !marked_too) co_return record.has_value();
  CO_TRY(auto mark, co_await asking(meta::deleted_key(id.lane, id.number)));
  co_return mark.has_value();
}

// A body that was in a listing and in no record.
Task<Result<void>> judge_unknown(Inspected inspected, ObjectId id, CheckReport& report) {
  // Committed since, or collected since.
  CO_TRY(bool known, co_await is_known(inspected, id, true));
  if (known) co_return Result<void>{};
  auto to_header = [id](const Slice& bytes) { return decode_header(id, bytes.bytes()); };
  auto header = co_await fetch_checked(inspected, id, 0, kHeaderBytes, to_header);
  if (!header && header.error().code == Code::not_found) co_return Result<void>{};
  if (!header && header.error().code != Code::out_of_range && header.error().code != Code::corrupt)
    co_return fail(header.error());
  const std::string key = body_key(id);
  report.orphans.push_back(key);
  if (!header || header->created_s == 0) co_return Result<void>{};
  const int64_t age_ms = inspected.shard->wall_ms() - int64_t{header->created_s} * 1000;
  if (age_ms > inspected.leftover_grace_ms)
    report.problems.push_back(
        fmt::format("object {} was never committed and is {} minutes old: nobody collects it",
                    id.to_string(), age_ms / 60'000));
  co_return Result<void>{};
}

// What streams and recovery need, of whomever.
std::set<ObjectId> referenced(const Looked& looked) {
  std::set<ObjectId> live;
  for (const auto& [broker, recovery] : looked.brokers)
    for (const auto& [id, image] : recovery.image.streams)
      for (const Extent& extent : image.extents) live.insert(extent.object);
  for (const LaneFacts* lane : lanes_in_force(looked.lanes))
    if (lane->record.checkpoint != 0)
      for (const auto& [number, record] : lane->objects)
        if (number >= lane->record.checkpoint) live.insert({lane->lane, number});
  return live;
}

bool looks_at(const Inspected& inspected, BrokerId broker) {
  return !inspected.broker || *inspected.broker == broker;
}

}  // namespace

Task<void> check_objects(Inspected inspected, const Looked& looked, Verified& verified,
                         CheckReport& report) {
  const std::set<ObjectId> live = referenced(looked);
  for (const LaneFacts& lane : looked.lanes)
    for (const auto& [number, record] : lane.objects) {
      const ObjectId id{lane.lane, number};
      if (verified.contains(id)) continue;
      if (!looks_at(inspected, lane.lane.broker) && !live.contains(id)) continue;
      auto index = co_await check_body(inspected, id, record.bytes, report);
      if (!index) {
        // Collected while we looked: its record went first.
        auto known = co_await is_known(inspected, id, false);
        if (known && !*known) continue;
        report.problems.push_back(absence_is_damage(id, index.error()).message);
        continue;
      }
      ++report.object_count;
      verified.emplace(id, std::make_shared<const Index>(std::move(*index)));
    }
}

Task<Result<void>> find_leftovers(Inspected inspected, const Looked& looked, CheckReport& report) {
  CO_TRY(meta::Range marks,
         co_await meta::range_prefix(*inspected.meta, *inspected.shard, meta::deleted_prefix()));
  std::set<std::string> marked;
  for (const meta::Entry& entry : marks.entries) marked.insert(entry.key);
  std::set<ObjectId> committed;
  const std::set<ObjectId> live = referenced(looked);
  for (const LaneFacts& lane : looked.lanes)
    for (const auto& [number, record] : lane.objects) {
      committed.insert({lane.lane, number});
      if (looks_at(inspected, lane.lane.broker) && !live.contains({lane.lane, number}))
        ++report.unreferenced_count;
    }
  const std::string bodies = inspected.broker ? bodies_prefix(*inspected.broker) : bodies_prefix();
  std::string after;
  for (bool more = true; more;) {
    auto listing = [&] {
      return inspected.objects->list(*inspected.shard, bodies, after, kListedAtOnce);
    };
    CO_TRY(object::ListPage page, co_await retry_transient(*inspected.shard, listing));
    for (const object::Listed& listed : page.objects) {
      after = listed.key;
      const auto id = parse_body_key(listed.key);
      if (!id) {
        report.orphans.push_back(listed.key);  // not ours at all
        continue;
      }
      if (committed.contains(*id) || marked.contains(meta::deleted_key(id->lane, id->number)))
        continue;
      CO_TRY_VOID(co_await judge_unknown(inspected, *id, report));
    }
    more = page.more && !page.objects.empty();
  }
  co_return Result<void>{};
}

}  // namespace paceline::stream
