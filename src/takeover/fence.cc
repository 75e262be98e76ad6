#include "takeover/chain.h"
#include "takeover/steps.h"

namespace paceline::takeover {
namespace {

// Whether somebody can still fence the others, or start.
bool survives_without(World world, const State& state, int lane) {
  if (lane_count(state) < world.budget.lanes) return true;
  for (int other = 0; other < lane_count(state); ++other)
    if (other != lane && is_running(state, other) && is_registered(state, other)) return true;
  return false;
}

int first_free(const Lane& lane, int from) {
  while (from < kSlotsMax && lane.slots[from].kind == Slot::data) ++from;
  return from;
}

}  // namespace

void bury(State& state, int lane) {
  Process& process = state.processes[lane];
  Process left{.life = Process::dead};
  int flights = 0;
  for (const Flight& flight : process.flights)
    if (flight.kind == Flight::sent) left.flights[flights++] = flight;
  if (process.upload == Process::commit_sent) {
    left.upload = process.upload;
    left.upload_position = process.upload_position;
    left.upload_object_1 = process.upload_object_1;
    left.cuts = process.cuts;
  }
  process = left;
  lose_adoptions(state, lane);
}

// The transactions that compare this lane's record fail from here on.
void seal(World world, State& state, int lane, unsigned successors) {
  state.lanes[lane].sealed = 1;
  state.lanes[lane].successors = static_cast<uint8_t>(successors);
  for (Move& move : state.moves) {
    const bool from = move.source_1 == lane + 1 && world.rules.hold(Rule::move_compares_source);
    const bool to = move.target_1 == lane + 1 && world.rules.hold(Rule::move_compares_target);
    if (from || to) doom(state, move);
  }
}

bool crash(World world, State& state, int lane) {
  if (!is_running(state, lane) || state.crashes >= world.budget.crashes) return false;
  if (!survives_without(world, state, lane)) return false;
  ++state.crashes;
  bury(state, lane);
  return true;
}

// One transaction. The fencer may be wrong: nothing says that the other one is dead.
bool fence(World world, State& state, int fencer, int lane) {
  if (fencer == lane || !is_running(state, fencer) || !is_registered(state, fencer)) return false;
  if (is_running(state, lane) && !world.budget.false_suspicion) return false;
  const bool registered = is_registered(state, lane);
  if (!registered && world.rules.hold(Rule::fence_compares_incarnation)) return false;
  const Lane& fenced = state.lanes[lane];
  unsigned successors = 0;
  for (int other = 0; other < lane_count(state); ++other) {
    const bool named =
        is_registered(state, other) || !world.rules.hold(Rule::fence_compares_successors);
    if (other != lane && broker_of(state, other) != broker_of(state, lane) && named)
      successors |= 1u << other;
  }
  if (fenced.sealed && fenced.successors == successors) return false;
  seal(world, state, lane, successors);
  state.registered_1[broker_of(state, lane)] = 0;
  return true;
}

// A new incarnation. Where the old one is registered, this is its fence.
bool restart(World world, State& state, int broker) {
  const int lane = lane_count(state);
  if (lane >= world.budget.lanes) return false;
  const int old = state.registered_1[broker] - 1;
  if (old >= 0 && is_running(state, old)) {
    if (state.clones >= world.budget.clones) return false;
    ++state.clones;
  }
  state.lanes[lane].broker_1 = static_cast<uint8_t>(broker + 1);
  if (old >= 0 && world.rules.hold(Rule::restart_is_a_fence)) seal(world, state, old, 1u << lane);
  state.registered_1[broker] = static_cast<uint8_t>(lane + 1);
  state.processes[lane].life = Process::running;
  return true;
}

bool notice_fence(World, State& state, int lane) {
  if (!is_running(state, lane) || !state.lanes[lane].sealed) return false;
  bury(state, lane);
  return true;
}

// In two steps, as requests are: where the log ends, then the seal and END there.
bool seal_early(World world, State& state, int lane, int target) {
  if (world.rules.hold(Rule::seal_after_fence) || lane == target) return false;
  Process& process = state.processes[lane];
  if (!is_running(state, lane) || state.lanes[target].sealed) return false;
  Lane& other = state.lanes[target];
  if (process.early_lane_1 == 0) {
    process.early_lane_1 = static_cast<uint8_t>(target + 1);
    process.early_slot = static_cast<uint8_t>(first_free(other, other.uploaded));
    return true;
  }
  const int slot = process.early_slot;
  if (process.early_lane_1 != target + 1 || slot >= kSlotsMax) return false;
  if (other.end_1 != 0 || other.slots[slot].kind != Slot::none) return false;
  other.slots[slot] = {Slot::seal, {}};
  other.end_1 = static_cast<uint8_t>(slot + 1);
  return true;
}

}  // namespace paceline::takeover
