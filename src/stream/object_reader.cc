#include "stream/object_reader.h"

#include <fmt/format.h>

#include "stream/object_fetch.h"
#include "stream/retry.h"

namespace paceline::stream {
namespace {

// Over about half a second.
constexpr int kLooks = 5;

}  // namespace

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
    there->unread.reset();
    co_return there;
  }
  auto load = [this, object, ref, why] { return load_in_turn(object, ref, why); };
  CO_TRY(auto loaded, co_await blocks_.get(key, load));
  counters_.cache_misses += loaded->batches.size();
  loaded->unread.reset();
  co_return loaded;
}

Task<void> ObjectReader::fetch_ahead(ObjectId object, BlockRef ref) {
  Unread unread(unread_, ref.bytes);
  auto load = [this, object, ref, &unread]() -> Task<Result<Block>> {
    return load_ahead(object, ref, unread);
  };
  auto ignored = co_await blocks_.get({object, ref.position}, load);
  (void)ignored;
}

Task<Result<ObjectReader::Block>> ObjectReader::load_ahead(ObjectId object, BlockRef ref,
                                                           Unread& unread) {
  // Room was there when it was asked for; where it is gone since, the block comes when it is read.
  const auto pass = gate_.try_enter(ref.bytes);
  if (!pass) co_return fail(Code::unavailable, "no room to read ahead");
  auto block = co_await load_block(object, ref, Why::catch_up);
  if (block) block->unread.emplace(std::move(unread));
  co_return block;
}

Task<Result<Slice>> ObjectReader::fetch(ObjectId object, uint64_t from, uint64_t bytes, Why why) {
  auto got = co_await store_for(why).get(shard_, body_key(object), from, bytes);
  if (!got) co_return fail(absence_is_damage(object, got.error()));
  co_return got;
}

Task<Result<Index>> ObjectReader::load_index(ObjectId object, Why why) {
  // How long an index is stands in the object.
  constexpr uint64_t kIndexBytes = 64 << 10;
  const ReadGate::Pass pass = co_await gate_.enter(std::hash<ObjectId>{}(object), kIndexBytes);
  Backoff backoff;
  for (int look = 1;; ++look) {
    auto got = co_await fetch_index(shard_, store_for(why), cluster_id_, object);
    if (got) co_return got;
    Error error = absence_is_damage(object, got.error());
    if (error.code != Code::corrupt || look == kLooks) co_return fail(std::move(error));
    co_await env::sleep_for(shard_, backoff.next(shard_.random()));
  }
}

Task<Result<ObjectReader::Block>> ObjectReader::load_in_turn(ObjectId object, BlockRef ref,
                                                             Why why) {
  const ReadGate::Pass pass = co_await gate_.enter(std::hash<StreamId>{}(ref.stream), ref.bytes);
  co_return co_await load_block(object, ref, why);
}

// A body may be damaged on its way: it is asked for again before it counts as damaged where it
// lies.
Task<Result<ObjectReader::Block>> ObjectReader::load_block(ObjectId object, BlockRef ref, Why why) {
  Backoff backoff;
  for (int look = 1;; ++look) {
    Error error;
    auto bytes = co_await fetch(object, ref.position, ref.bytes, why);
    if (bytes) {
      auto batches = decode_block(ref, *bytes);
      if (batches) co_return Block{std::move(*batches), std::max(ref.raw_bytes, ref.bytes)};
      error = Error{Code::corrupt,
                    fmt::format("object {}: {}", object.to_string(), batches.error().message)};
    } else {
      error = bytes.error();
    }
    if (error.code != Code::corrupt || look == kLooks) co_return fail(std::move(error));
    co_await env::sleep_for(shard_, backoff.next(shard_.random()));
  }
}

}  // namespace paceline::stream
