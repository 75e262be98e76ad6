#pragma once

#include "object/object.h"
#include "stream/object_format.h"

namespace paceline::stream {

// The index of an object, checked, straight from the store. corrupt: damaged where it is kept, or
// another cluster's. Errors of the store as they come: not_found as well.
Task<Result<Index>> fetch_index(env::Shard& shard, object::Store& store, Uuid cluster_id,
                                ObjectId object);
// What the metadata refers to has to be there: its absence is damage, not an answer.
Error absence_is_damage(ObjectId object, Error error);

}  // namespace paceline::stream
