#include "stream/object_fetch.h"

#include <fmt/format.h>

namespace paceline::stream {
namespace {

Task<Result<Index>> fetch_once(env::Shard& shard, object::Store& store, Uuid cluster_id,
                               ObjectId object) {
  CO_TRY(Slice front, co_await store.get(shard, body_key(object), 0, kHeaderBytes));
  CO_TRY(Header header, decode_header(object, front.bytes()));
  if (header.cluster_id != cluster_id)
    co_return fail(Code::corrupt,
                   fmt::format("object {} is of another cluster", object.to_string()));
  CO_TRY(Slice bytes,
         co_await store.get(shard, body_key(object), header.index_position, header.index_bytes));
  co_return decode_index(object, bytes.bytes());
}

}  // namespace

Task<Result<Index>> fetch_index(env::Shard& shard, object::Store& store, Uuid cluster_id,
                                ObjectId object) {
  auto first = co_await fetch_once(shard, store, cluster_id, object);
  // A body may be damaged on its way: one more fetch tells that from damage where it is kept.
  if (first || first.error().code != Code::corrupt) co_return first;
  co_return co_await fetch_once(shard, store, cluster_id, object);
}

Error absence_is_damage(ObjectId object, Error error) {
  if (error.code != Code::not_found && error.code != Code::out_of_range) return error;
  return {Code::corrupt,
          fmt::format("object {} is gone or cut: {}", object.to_string(), error.message)};
}

}  // namespace paceline::stream
