#include "stream/put_object.h"

#include <fmt/format.h>

namespace paceline::stream {
namespace {

Task<Result<bool>> is_ours(env::Shard& shard, object::Store& store, const BuiltObject& built) {
  const std::string key = body_key(built.header.id);
  CO_TRY(uint64_t bytes, co_await store.size(shard, key));
  if (bytes != built.header.object_bytes) co_return false;
  CO_TRY(Slice front, co_await store.get(shard, key, 0, kHeaderBytes));
  // The nonce is in the header, so equal headers are one attempt's.
  co_return as_text(front.bytes()) == as_text(built.body.front().bytes());
}

// Puts until the outcome is known: true when the body is there, false when another one has its key.
// REQUIRES: what is referred to lives until the task has ended.
Task<Result<bool>> put_body(env::Shard& shard, object::Store& store, const BuiltObject& built,
                            const PutPause& pause) {
  Backoff backoff;
  for (;;) {
    auto done = co_await store.put_if_absent(shard, body_key(built.header.id), built.body);
    if (done) co_return true;
#ifdef PACELINE_PLANT_failed_put_is_committed
    if (done.error().code == Code::unavailable) co_return true;
#endif
#ifdef PACELINE_PLANT_conflict_is_committed
    if (done.error().code == Code::conflict) co_return true;
#endif
    const Code code = done.error().code;
    if (code == Code::already_exists || code == Code::maybe_written) {
      auto ours = co_await is_ours(shard, store, built);
      if (ours) co_return *ours;
      // Not there yet, or nobody knows: the same bytes once more.
    }
    if (code == Code::invalid_argument) co_return fail(done.error());
    CO_TRY_VOID(co_await pause(backoff, done.error()));
  }
}

}  // namespace

Task<Result<void>> pause_until_stopped(Core& core, env::Event& wake, const bool& stopping,
                                       Backoff& backoff) {
  const env::Instant until = core.owner().now() + backoff.next(core.owner().random());
  while (core.owner().now() < until) {
    if (stopping || core.lost) co_return fail(Code::cancelled, "the storage stops");
    co_await wake.wait_until(until);
  }
  co_return Result<void>{};
}

Task<Result<BuiltObject>> put_object(Core& core, object::Store& store, ObjectPlan plan,
                                     std::shared_ptr<const std::vector<StreamPart>> parts,
                                     PutPause pause) {
  plan.cluster_id = core.options.cluster_id;
  plan.block_bytes = core.options.block_bytes;
  plan.compress = core.options.compress_blocks;
  for (;;) {
    plan.id = {core.options.lane, core.next_object++};
    plan.nonce = core.owner().random();
    plan.created_ms = core.owner().wall_ms();
    auto work = [plan, parts] { return build_object(plan, *parts); };
    BuiltObject built = co_await env::offload(core.owner(), work);
    CO_TRY(bool ours, co_await put_body(core.owner(), store, built, pause));
    if (ours) co_return built;
    // Left by an attempt that was given up before: the collector finds it unreferenced.
    core.events(Event(Event::Plane::storage, "object.taken")
                    .as_routine()
                    .with("object", built.header.id.to_string()));
  }
}

meta::ObjectRecord record_of(const BuiltObject& built, bool checkpoint, int64_t created_ms) {
  meta::ObjectRecord record{.bytes = built.header.object_bytes,
                            .directory_position = built.header.directory_position,
                            .directory_bytes = built.header.directory_bytes,
                            .checkpoint = checkpoint,
                            .created_ms = created_ms};
  for (const Extent& extent : built.extents) record.batch_bytes += extent.bytes;
  return record;
}

}  // namespace paceline::stream
