#include "takeover/chain.h"
#include "takeover/knowledge.h"

namespace paceline::takeover {
namespace {

// Whether nobody needs a sealed lane for its part of this partition any more.
bool is_done(World world, const State& state, int lane, int partition) {
  if (state.lanes[lane].marked >> partition & 1) return true;
  const Chain chain = chain_of(state, partition);
  const int first = first_unmarked(state, chain, partition);
  for (int i = 0; i < chain.count; ++i) {
    if (chain.terms[i].lane_1 != lane + 1) continue;
    if (i < first) return true;
    const bool dead = i + 1 < chain.count && state.lanes[chain.terms[i + 1].lane_1 - 1].sealed;
    return dead && !world.rules.hold(Rule::dead_successor_is_not_done);
  }
  return true;  // it was never in this lane, or was moved away
}

bool is_all_done(World world, const State& state, int lane) {
  for (int partition = 0; partition < world.budget.partitions; ++partition)
    if (!is_done(world, state, lane, partition)) return false;
  return true;
}

// Whether this lane's directories, or what it has adopted, may still refer to the object.
bool may_refer(World world, const State& state, int lane, int object) {
  const Lane& record = state.lanes[lane];
  const bool open = !record.sealed;
  if (!open && !world.rules.hold(Rule::collector_minds_sealed_lanes)) return false;
  if (!open && is_all_done(world, state, lane)) return false;
  if (record.adopted_1 != 0 && world.rules.hold(Rule::collector_minds_adoptions)) return true;
  const bool own = state.object_lane_1[object] == lane + 1;
  if (!own && open && !world.rules.hold(Rule::collector_minds_others)) return false;
  for (const Knowledge& known : record.directory)
    if (known.objects >> object & 1) return true;
  return false;
}

bool is_garbage(World world, const State& state, int object) {
  if (!(state.objects_committed >> object & 1))
    return state.lanes[state.object_lane_1[object] - 1].sealed;
  for (int lane = 0; lane < lane_count(state); ++lane)
    if (may_refer(world, state, lane, object)) return false;
  return true;
}

}  // namespace

// Any broker may. Seals stay; what arrives later in one of the other slots is void.
bool collect(World world, State& state, int lane) {
  Lane& sealed = state.lanes[lane];
  if (!sealed.sealed || sealed.collected) return false;
  bool all = true;
  bool any = false;
  for (int partition = 0; partition < world.budget.partitions; ++partition) {
    const bool done = is_done(world, state, lane, partition);
    all = all && done;
    any = any || done;
  }
  if (world.rules.hold(Rule::collect_after_marks) && !all &&
      !(any && !world.rules.hold(Rule::collect_after_all_marks)))
    return false;
  sealed.collected = 1;
  for (Slot& doomed : sealed.slots)
    if (doomed.kind != Slot::seal || !world.rules.hold(Rule::seal_is_kept)) doomed = {};
  return true;
}

// Nobody refers to it at one revision, so nobody ever will: the grace before the deletion is for
// readers. An object without a record, of a lane that nothing can be committed to, is an orphan.
bool collect_object(World world, State& state, int object) {
  if (!world.rules.hold(Rule::collector_reads_one_revision)) return false;
  if (state.object_lane_1[object] == 0 || (state.objects_deleted >> object & 1)) return false;
  if (!is_garbage(world, state, object)) return false;
  state.objects_deleted |= static_cast<uint8_t>(1u << object);
  return true;
}

// Without the rule: lane by lane, each as of the moment at which it is looked at.
bool suspect_object(World world, State& state, int object, int lane) {
  if (world.rules.hold(Rule::collector_reads_one_revision)) return false;
  if (!(state.objects_committed >> object & 1) || (state.objects_deleted >> object & 1))
    return false;
  if (state.suspect_1 == 0) state.suspect_1 = static_cast<uint8_t>(object + 1);
  if (state.suspect_1 != object + 1 || (state.suspect_lanes >> lane & 1)) return false;
  if (may_refer(world, state, lane, object)) return false;
  state.suspect_lanes |= static_cast<uint8_t>(1u << lane);
  if (state.suspect_lanes + 1 == 1 << lane_count(state)) {
    state.objects_deleted |= static_cast<uint8_t>(1u << object);
    state.suspect_1 = state.suspect_lanes = 0;
  }
  return true;
}

bool has_garbage(World world, const State& state) {
  unsigned needed = state.objects_deleted;
  for (int partition = 0; partition < world.budget.partitions; ++partition)
    needed |= find_out(world, state, partition).objects;
  for (int object = 0; object < kObjectsMax; ++object)
    if (state.object_lane_1[object] != 0 && !(needed >> object & 1)) return true;
  return false;
}

}  // namespace paceline::takeover
