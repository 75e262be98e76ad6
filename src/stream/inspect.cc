#include "stream/inspect.h"

#include <algorithm>

#include "stream/object_fetch.h"
#include "stream/retry.h"

namespace paceline::stream {
namespace {

// A broker commits about once a second, so that each look has a fair chance to be undisturbed.
constexpr int kLooksMax = 20;

// Above every lane: all of them are read.
Lane last_lane(BrokerId broker) {
  return Lane{broker, Incarnation(UINT64_MAX)};
}

bool finds_fault(const Result<Recovery>& recovery) {
  return !recovery || !recovery->damaged.empty() || !recovery->damages.empty() ||
         recovery->image.new_offline_count > 0;
}

}  // namespace

Task<Result<bool>> has_moved_on(Inspected inspected, const std::vector<LaneFacts>& since) {
  CO_TRY(auto now, co_await read_lanes(sources_of(inspected), inspected.broker));
  co_return !same_lanes(now, since);
}

Task<Result<Recovery>> look(Inspected inspected) {
  for (int looks = 1;; ++looks) {
    RecoverOptions options{.own = last_lane(inspected.broker), .inspect = true};
    CO_TRY(auto before, co_await read_lanes(sources_of(inspected), inspected.broker));
    auto recovery =
        co_await recover(sources_of(inspected), options, [](std::string_view, std::string) {});
    // A WAL that is trimmed while it is read looks like a damaged one.
    if (!finds_fault(recovery) || looks == kLooksMax) co_return recovery;
    CO_TRY(bool moved, co_await has_moved_on(inspected, before));
    if (!moved) co_return recovery;
  }
}

}  // namespace paceline::stream
