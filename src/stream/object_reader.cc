#include "stream/object_reader.h"

#include <fmt/format.h>

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
    there->unread.reset();
    co_return there;
  }
  auto load = [this, object, ref, why] { return load_block(object, ref, why); };
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
  auto block = co_await load_block(object, ref, Why::catch_up);
  if (block) block->unread.emplace(std::move(unread));
  co_return block;
}

Task<Result<Slice>> ObjectReader::fetch(ObjectId object, uint64_t from, uint64_t bytes, Why why) {
  object::Store& store = why == Why::read ? objects_.read : objects_.catch_up;
  auto got = co_await store.get(shard_, body_key(object), from, bytes);
  if (got) co_return got;
  const Code code = got.error().code;
  // What the metadata refers to has to be there: its absence is damage, not an answer.
  if (code == Code::not_found || code == Code::out_of_range)
    co_return fail(Code::corrupt, fmt::format("object {} is gone or cut: {}", object.to_string(),
                                              got.error().message));
  co_return got;
}

// A body may be damaged on its way: one more fetch tells that from damage where it is kept.
Task<Result<Index>> ObjectReader::load_index(ObjectId object, Why why) {
  auto first = co_await load_index_once(object, why);
  if (first || first.error().code != Code::corrupt) co_return first;
  co_return co_await load_index_once(object, why);
}

Task<Result<Index>> ObjectReader::load_index_once(ObjectId object, Why why) {
  CO_TRY(Slice front, co_await fetch(object, 0, kHeaderBytes, why));
  CO_TRY(Header header, decode_header(object, front.bytes()));
  if (header.cluster_id != cluster_id_)
    co_return fail(Code::corrupt,
                   fmt::format("object {} is of another cluster", object.to_string()));
  CO_TRY(Slice bytes, co_await fetch(object, header.index_position, header.index_bytes, why));
  co_return decode_index(object, bytes.bytes());
}

Task<Result<ObjectReader::Block>> ObjectReader::load_block(ObjectId object, BlockRef ref, Why why) {
  for (bool again : {false, true}) {
    auto bytes = co_await fetch(object, ref.position, ref.bytes, why);
    if (!bytes) {
      if (bytes.error().code == Code::corrupt && !again) continue;
      co_return fail(bytes.error());
    }
    auto batches = decode_block(ref, *bytes);
    if (batches) co_return Block{std::move(*batches), bytes->size()};
    if (again)
      co_return fail(Code::corrupt,
                     fmt::format("object {}: {}", object.to_string(), batches.error().message));
  }
  co_return fail(Code::corrupt, "unreachable");
}

}  // namespace paceline::stream
