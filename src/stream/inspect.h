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
// Everything that metadata, directories and WALs say of what one broker has, with what was left to
// it and is not in its own objects yet, as of one moment. Damage is told as recover() does, after
// it was looked at again if anybody had gone on.
Task<Result<Recovery>> look(Inspected inspected, BrokerId broker);
// Whether anything was committed since.
Task<Result<bool>> has_moved_on(Inspected inspected, const std::vector<LaneFacts>& since);

// All lanes of all brokers, and what is found behind those that count.
struct Looked {
  std::vector<LaneFacts> lanes;
  std::map<BrokerId, Recovery> brokers;
};
Task<Result<Looked>> look_at_all(Inspected inspected);

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
// Verifies every committed object of whom we look at, and those of others that their streams are
// in, but for what is in `verified` already.
Task<void> check_objects(Inspected inspected, const Looked& looked, Verified& verified,
                         CheckReport& report);
// Bodies that no record knows, and committed objects that no lane in force refers to.
Task<Result<void>> find_leftovers(Inspected inspected, const Looked& looked, CheckReport& report);

}  // namespace paceline::stream
