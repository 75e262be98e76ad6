#pragma once

#include <functional>

#include "meta/records.h"
#include "object/object.h"
#include "stream/core.h"
#include "stream/object_builder.h"
#include "stream/retry.h"

namespace paceline::stream {

// Waits before another attempt, or ends them all with an error.
using PutPause = std::function<Task<Result<void>>(Backoff& backoff, Error error)>;

// One way to be a PutPause: cancelled as soon as `stopping` is seen, or the lane is lost. Whoever
// sets it wakes.
Task<Result<void>> pause_until_stopped(Core& core, env::Event& wake, const bool& stopping,
                                       Backoff& backoff);

// Lays an object of `parts` out under the next free number of our lane and puts it, until the
// outcome is known. `plan` says what is special of it; who and when are filled in here.
Task<Result<BuiltObject>> put_object(Core& core, object::Store& store, ObjectPlan plan,
                                     std::shared_ptr<const std::vector<StreamPart>> parts,
                                     PutPause pause);

meta::ObjectRecord record_of(const BuiltObject& built, bool checkpoint, int64_t created_ms);

}  // namespace paceline::stream
