#pragma once

#include <functional>

#include "meta/records.h"
#include "object/object.h"
#include "stream/object_builder.h"
#include "stream/retry.h"

namespace paceline::stream {

// Waits before another attempt, or ends them all with an error.
using PutPause = std::function<Task<Result<void>>(Backoff& backoff, Error error)>;

// Puts until the outcome is known: true when the body is there, false when another one has its key.
// REQUIRES: `built` lives until the task has ended.
Task<Result<bool>> put_object(env::Shard& shard, object::Store& store, const BuiltObject& built,
                              PutPause pause);

meta::ObjectRecord record_of(const BuiltObject& built, bool checkpoint, int64_t created_ms);

}  // namespace paceline::stream
