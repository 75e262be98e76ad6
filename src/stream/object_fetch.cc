#include "stream/object_fetch.h"

#include <fmt/format.h>

#include "stream/get_checked.h"

namespace paceline::stream {

Task<Result<Index>> fetch_index(env::Shard& shard, object::Store& store, Uuid cluster_id,
                                ObjectId object) {
  auto to_header = [object, cluster_id](const Slice& front) -> Result<Header> {
    TRY(Header header, decode_header(object, front.bytes()));
    if (header.cluster_id != cluster_id)
      return fail(Code::corrupt,
                  fmt::format("object {} is of another cluster", object.to_string()));
    return header;
  };
  auto to_index = [object](const Slice& bytes) { return decode_index(object, bytes.bytes()); };
  CO_TRY(const Header header,
         co_await get_checked(shard, store, object, 0, kHeaderBytes, to_header));
  co_return co_await get_checked(shard, store, object, header.index_position, header.index_bytes,
                                 to_index);
}

Error absence_is_damage(ObjectId object, Error error) {
  if (error.code != Code::not_found && error.code != Code::out_of_range) return error;
  return {Code::corrupt,
          fmt::format("object {} is gone or cut: {}", object.to_string(), error.message)};
}

}  // namespace paceline::stream
