#include "stream/object_reader.h"

#include <fmt/format.h>

#include "stream/get_checked.h"
#include "stream/object_fetch.h"

namespace paceline::stream {

Task<Result<std::shared_ptr<const Index>>> ObjectReader::index(ObjectId object, Why why) {
  auto load = [this, object, why] { return load_index(object, why); };
  return indexes_.get(Key{object, 0}, load);
}

Task<Result<std::shared_ptr<const ObjectReader::Block>>> ObjectReader::block(ObjectId object,
                                                                             BlockRef ref,
                                                                             Why why) {
  const Key key{object, ref.position};
  if (auto there = blocks_.peek(key)) {
    counters_.cache_hits += there->batches.size();
    co_return there;
  }
  gate_.hurry(key.hash());
  auto load = [this, object, ref, why] { return load_in_turn(object, ref, why); };
  CO_TRY(auto loaded, co_await blocks_.get(key, load));
  counters_.cache_misses += loaded->batches.size();
  co_return loaded;
}

Task<void> ObjectReader::fetch_ahead(ObjectId object, BlockRef ref, Unread unread) {
  auto load = [this, object, ref, &unread]() -> Task<Result<Block>> {
    return load_ahead(object, ref, unread);
  };
  auto ignored = co_await blocks_.get({object, ref.position}, load);
  (void)ignored;
}

Task<Result<ObjectReader::Block>> ObjectReader::load_ahead(ObjectId object, BlockRef ref,
                                                           Unread& unread) {
  const ReadGate::Pass pass = co_await gate_.enter_when_spare(
      std::hash<StreamId>{}(ref.stream), ref.bytes, Key{object, ref.position}.hash());
  auto block = co_await load_block(object, ref, Why::catch_up);
  if (block) block->unread.emplace(std::move(unread));
  co_return block;
}

Task<Result<Index>> ObjectReader::load_index(ObjectId object, Why why) {
  // How long an index is stands in the object.
  constexpr uint64_t kIndexBytes = 64 << 10;
  const ReadGate::Pass pass = co_await gate_.enter(std::hash<ObjectId>{}(object), kIndexBytes);
  auto got = co_await fetch_index(shard_, store_for(why), cluster_id_, object);
  if (!got) co_return fail(absence_is_damage(object, got.error()));
  co_return got;
}

Task<Result<ObjectReader::Block>> ObjectReader::load_in_turn(ObjectId object, BlockRef ref,
                                                             Why why) {
  const ReadGate::Pass pass = co_await gate_.enter(std::hash<StreamId>{}(ref.stream), ref.bytes);
  auto block = co_await load_block(object, ref, why);
  // Who goes on will come for the rest of it.
  if (block && why == Why::catch_up) block->unread.emplace(ahead_, ref.stream, ref.bytes);
  co_return block;
}

Task<Result<ObjectReader::Block>> ObjectReader::load_block(ObjectId object, BlockRef ref, Why why) {
  auto decode = [object, ref](const Slice& bytes) -> Result<Block> {
    auto batches = decode_block(ref, bytes);
    if (!batches)
      return fail(batches.error().code,
                  fmt::format("object {}: {}", object.to_string(), batches.error().message));
    return Block{std::move(*batches), std::max(ref.raw_bytes, ref.bytes)};
  };
  auto got = co_await get_checked(shard_, store_for(why), object, ref.position, ref.bytes, decode);
  if (!got) co_return fail(absence_is_damage(object, got.error()));
  co_return got;
}

}  // namespace paceline::stream
