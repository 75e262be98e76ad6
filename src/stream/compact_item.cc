#include <fmt/format.h>

#include <algorithm>

#include "base/crc32c.h"
#include "object/looks.h"
#include "stream/compactor.h"
#include "stream/object_fetch.h"
#include "stream/put_object.h"

namespace paceline::stream {
namespace {

constexpr uint64_t kFetchBytesMax = 8 << 20;

using Blocks = std::vector<std::vector<Batch>>;

Result<Blocks> decode_blocks(const std::vector<BlockRef>& refs, const Slice& bytes) {
  Blocks blocks;
  for (const BlockRef& ref : refs) {
    const uint64_t from = ref.position - refs.front().position;
    TRY(auto batches, decode_block(ref, bytes.subslice(from, ref.bytes)));
    blocks.push_back(std::move(batches));
  }
  return blocks;
}

}  // namespace

// One new object out of the runs of `item`, put and not committed. not_found: a source is collected
// already, so nobody needs the item any more.
Task<Result<Compacted>> Compactor::compact(CompactionItem item) {
  auto gathering = std::make_shared<Gathering>(core_.owner());
  CO_TRY(auto blocks, co_await find_blocks(item, *gathering));
  CO_TRY_VOID(co_await gather(gathering));
  std::vector<StreamPart> parts;
  for (size_t i = 0; i < item.runs.size(); ++i) {
    const CompactionRun& run = item.runs[i];
    StreamPart part;
    part.record.stream = run.stream;
    Offset next = run.extents.front().base;
    for (const BlockKey& key : blocks[i])
      for (Batch& batch : gathering->blocks.at(key)) {
        if (batch.base != next) break;
        next = batch.end();
        part.batches.push_back(std::move(batch));
      }
    if (next != run.extents.back().end)
      co_return fail(Code::corrupt,
                     fmt::format("objects hold stream {} up to {}, not {}", run.stream.to_string(),
                                 next.value, run.extents.back().end.value));
#ifdef PACELINE_PLANT_compaction_drops_the_last
    if (run.extents.size() > 1)
      std::erase_if(part.batches,
                    [&](const Batch& b) { return b.base >= run.extents.back().base; });
#endif
    parts.push_back(std::move(part));
  }
  gathering.reset();
  auto shared = std::make_shared<const std::vector<StreamPart>>(std::move(parts));
  CO_TRY(BuiltObject built, co_await put(shared));
  Compacted compacted{.id = built.header.id,
                      .record = record_of(built, false, core_.owner().wall_ms()),
                      .replacements = {}};
  for (size_t i = 0; i < item.runs.size(); ++i) {
    Extent by = built.extents[i];
#ifdef PACELINE_PLANT_compaction_drops_the_last
    by.end = item.runs[i].extents.back().end;
#endif
    compacted.replacements.push_back({item.runs[i].stream, std::move(item.runs[i].extents), by});
  }
  co_return compacted;
}

// Looks the blocks up and joins those that stand side by side to fetches.
Task<Result<std::vector<std::vector<Compactor::BlockKey>>>> Compactor::find_blocks(
    const CompactionItem& item, Gathering& gathering) {
  std::map<BlockKey, BlockRef> wanted;
  std::vector<std::vector<BlockKey>> of_runs;
  for (const CompactionRun& run : item.runs) {
    std::vector<BlockKey>& keys = of_runs.emplace_back();
    for (const Extent& extent : run.extents) {
      CO_TRY(auto index, co_await this->index(extent.object));
      for (const BlockRef& ref : index->of_stream(run.stream)) {
        if (ref.base < extent.base || ref.end > extent.end) continue;
        keys.emplace_back(extent.object, ref.position);
        wanted.emplace(keys.back(), ref);
      }
    }
  }
  for (const auto& [key, ref] : wanted) {
    Fetch* last = gathering.fetches.empty() ? nullptr : &gathering.fetches.back();
    const bool joins = last && last->object == key.first &&
                       last->position + last->bytes == ref.position &&
                       last->bytes + ref.bytes <= kFetchBytesMax;
    if (!joins) {
      gathering.fetches.push_back(
          {.object = key.first, .position = ref.position, .bytes = 0, .blocks = {}});
      last = &gathering.fetches.back();
    }
    last->bytes += ref.bytes;
    last->blocks.push_back(ref);
  }
  co_return of_runs;
}

Task<Result<std::shared_ptr<const Index>>> Compactor::index(ObjectId object) {
  Backoff backoff;
  for (;;) {
    auto load = [this, object] {
      return fetch_index(core_.owner(), core_.objects.compaction, core_.options.cluster_id, object);
    };
    auto loaded = co_await indexes_.get(IndexKey{object}, load);
    if (loaded || !is_transient(loaded.error().code)) co_return loaded;
    CO_TRY_VOID(co_await pause(backoff, loaded.error()));
  }
}

// Runs the fetches, a few at a time.
Task<Result<void>> Compactor::gather(std::shared_ptr<Gathering> gathering) {
  const size_t share = std::max<size_t>(core_.options.compaction_requests / worker_count(), 1);
  const size_t count = std::min(share, gathering->fetches.size());
  for (size_t i = 0; i < count; ++i) {
    ++gathering->running;
    core_.owner().spawn(fetch_some(core_.shared_from_this(), gathering));
  }
  while (gathering->running > 0) co_await gathering->over.wait();
  if (gathering->error) co_return fail(*gathering->error);
  co_return Result<void>{};
}

Task<void> Compactor::fetch_some(std::shared_ptr<Core> core, std::shared_ptr<Gathering> gathering) {
  while (!gathering->error && gathering->next < gathering->fetches.size()) {
    const Fetch& wanted = gathering->fetches[gathering->next++];
    auto done = co_await core->compactor->fetch(*gathering, wanted);
    if (!done) gathering->error = done.error();
  }
  --gathering->running;
  gathering->over.notify_all();
}

Task<Result<void>> Compactor::fetch(Gathering& gathering, const Fetch& fetch) {
  Backoff backoff;
  object::Looks looks(object::Looks::kForReader);
  for (;;) {
    auto bytes = co_await core_.objects.compaction.get(core_.owner(), body_key(fetch.object),
                                                       fetch.position, fetch.bytes);
    if (!bytes && is_transient(bytes.error().code)) {
      CO_TRY_VOID(co_await pause(backoff, bytes.error()));
      continue;
    }
    if (!bytes) co_return fail(bytes.error());
    auto decoding = [refs = fetch.blocks, body = *bytes] { return decode_blocks(refs, body); };
    Result<Blocks> blocks = co_await env::offload(core_.owner(), decoding);
    if (!blocks) {
      if (looks.settle(crc32c(bytes->bytes())))
        co_return fail(Code::corrupt, fmt::format("object {}: {}", fetch.object.to_string(),
                                                  blocks.error().message));
      co_await env::sleep_for(core_.owner(), looks.pause(core_.owner().random()));
      continue;
    }
    for (size_t i = 0; i < fetch.blocks.size(); ++i)
      gathering.blocks.emplace(BlockKey{fetch.object, fetch.blocks[i].position},
                               std::move((*blocks)[i]));
    co_return Result<void>{};
  }
}

Task<Result<BuiltObject>> Compactor::put(std::shared_ptr<const std::vector<StreamPart>> parts) {
  ObjectPlan plan;
  plan.with_directory = false;
  auto pausing = [this](Backoff& backoff, Error error) { return pause(backoff, std::move(error)); };
  co_return co_await put_object(core_, core_.objects.compaction, plan, std::move(parts), pausing);
}

}  // namespace paceline::stream
