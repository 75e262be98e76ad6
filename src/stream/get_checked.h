#pragma once

#include <type_traits>
#include <utility>

#include "base/crc32c.h"
#include "object/looks.h"
#include "object/object.h"
#include "stream/object_format.h"

namespace paceline::stream {

// Reads [from, from + bytes) of an object and gives what `decode(const Slice&)` makes of it. What
// it calls corrupt, and what is not there, is read again until that is known to be so where it lies
// (object::Looks). Other errors of the store as they come.
template <class Decode>
Task<std::invoke_result_t<Decode&, const Slice&>> get_checked(
    env::Shard& shard, object::Store& store, ObjectId id, uint64_t from, uint64_t bytes,
    Decode decode, int looks_max = object::Looks::kForReader) {
  object::Looks looks(looks_max);
  for (;;) {
    const Result<Slice> got = co_await store.get(shard, body_key(id), from, bytes);
    if (got) {
      auto value = decode(*got);
      if (value || value.error().code != Code::corrupt) co_return value;
      if (looks.settle(crc32c(got->bytes()))) co_return value;
    } else {
      const Code code = got.error().code;
      const bool absent = code == Code::not_found || code == Code::out_of_range;
      if (!absent || looks.settle(object::Looks::kAbsent)) co_return fail(got.error());
    }
    co_await env::sleep_for(shard, looks.pause(shard.random()));
  }
}

}  // namespace paceline::stream
