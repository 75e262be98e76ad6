#pragma once

#include <map>
#include <memory>

#include "stream/get_checked.h"
#include "stream/recover.h"
#include "stream/recovery.h"
#include "stream/retry.h"

// The parts of an inspection. A broker may be working meanwhile: what it changes under our eyes is
// looked at again, and only what stays wrong is reported.

namespace paceline::stream {

inline Sources sources_of(const Inspected& inspected) {
  return {inspected.shard, inspected.meta, inspected.objects, inspected.wal};
}
// Everything that metadata, directories and WALs say, as of one moment. Damage is told as recover()
// does, after it was looked at again if the broker had gone on.
Task<Result<Recovery>> look(Inspected inspected);
// Whether the broker has committed anything since.
Task<Result<bool>> has_moved_on(Inspected inspected, const std::vector<LaneFacts>& since);

// A part of an object, checked by `decode` as get_checked() says, waited for while the store fails.
template <class Decode>
Task<std::invoke_result_t<Decode&, const Slice&>> fetch_checked(Inspected inspected, ObjectId id,
                                                                uint64_t from, uint64_t bytes,
                                                                Decode decode) {
  auto getting = [&] {
    return get_checked(*inspected.shard, *inspected.objects, id, from, bytes, decode);
  };
  co_return co_await retry_transient(*inspected.shard, getting);
}

// Indexes of objects whose every byte was verified.
using Verified = std::map<ObjectId, std::shared_ptr<const Index>>;
// Verifies every committed object that is not in `verified` yet.
Task<void> check_objects(Inspected inspected, const std::vector<LaneFacts>& lanes,
                         Verified& verified, CheckReport& report);
// Bodies that no record knows, and committed objects that no extent refers to.
Task<Result<void>> find_leftovers(Inspected inspected, const Recovery& recovery,
                                  CheckReport& report);

}  // namespace paceline::stream
