#include "stream/inspect.h"

#include <algorithm>

#include "stream/object_fetch.h"
#include "stream/references.h"
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
  return !recovery || !recovery->damaged.empty() || !recovery->estate_damaged.empty() ||
         !recovery->damages.empty() || recovery->image.new_offline_count > 0;
}

// The lanes of others that name each one as a successor.
LeftTo heirs_of(const std::vector<LaneFacts>& lanes) {
  std::map<Lane, std::vector<Lane>> left;
  for (const LaneFacts& lane : lanes)
    for (const meta::Successor& successor : lane.record.successors)
      if (successor.lane.broker != lane.lane.broker) left[successor.lane].push_back(lane.lane);
  return [left](Lane heir) {
    const auto found = left.find(heir);
    return found == left.end() ? std::vector<Lane>() : found->second;
  };
}

}  // namespace

Task<Result<bool>> has_moved_on(Inspected inspected, const std::vector<LaneFacts>& since) {
  CO_TRY(auto now, co_await read_lanes(sources_of(inspected), std::nullopt));
  co_return !same_lanes(now, since);
}

Task<Result<Recovery>> look(Inspected inspected, BrokerId broker) {
  for (int looks = 1;; ++looks) {
    CO_TRY(auto before, co_await read_lanes(sources_of(inspected), std::nullopt));
    RecoverOptions options{
        .own = last_lane(broker), .inspect = true, .of_another = true, .left_to = heirs_of(before)};
    auto recovery = co_await recover(sources_of(inspected), options, [](Event) {});
    // A WAL that is trimmed while it is read looks like a damaged one.
    if (!finds_fault(recovery) || looks == kLooksMax) co_return recovery;
    CO_TRY(bool moved, co_await has_moved_on(inspected, before));
    if (!moved) co_return recovery;
  }
}

Task<Result<Looked>> look_at_all(Inspected inspected) {
  Looked looked;
  CO_TRY(looked.lanes, co_await read_lanes(sources_of(inspected), std::nullopt));
  std::set<BrokerId> brokers;
  if (inspected.broker) {
    brokers.insert(*inspected.broker);
  } else {
    for (const auto& [stream, leader] : inspected.led) brokers.insert(leader);
    // What a sealed lane has left is looked at with those whom it was left to.
    for (const LaneFacts* lane : lanes_in_force(looked.lanes))
      if (!lane->record.sealed) brokers.insert(lane->lane.broker);
  }
  for (const BrokerId broker : brokers) {
    CO_TRY(auto recovery, co_await look(inspected, broker));
    looked.brokers.emplace(broker, std::move(recovery));
  }
  co_return looked;
}

}  // namespace paceline::stream
