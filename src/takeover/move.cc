#include "takeover/chain.h"
#include "takeover/steps.h"

namespace paceline::takeover {
namespace {

// The term in force is written into the page; lanes that are still to be read stay before it.
void rewrite_chain(World world, State& state, int partition, const Chain& chain) {
  Entry& entry = state.entries[partition];
  entry.older = {};
  if (world.rules.hold(Rule::materialise_keeps_unmarked)) {
    int count = 0;
    for (int i = first_unmarked(state, chain, partition); i + 1 < chain.count; ++i)
      entry.older[count++] = chain.terms[i];
  }
  entry.term = chain.last();
  ++entry.version;
}

void forget_move(Share& share) {
  share.move_target_1 = share.move_version = share.move_end = 0;
}

bool may_move(World world, const State& state, int lane, int partition) {
  const Share& share = state.processes[lane].shares[partition];
  const Entry& entry = state.entries[partition];
  if (state.lanes[lane].sealed && world.rules.hold(Rule::move_compares_source)) return false;
  if (state.lanes[share.move_target_1 - 1].sealed && world.rules.hold(Rule::move_compares_target))
    return false;
  if (entry.version != share.move_version && world.rules.hold(Rule::move_compares_version))
    return false;
  return entry.committed_end == share.move_end;
}

}  // namespace

// Without the rule, a preference is written beside a term in a sealed lane, whose successor it
// decides.
bool prefer(World world, State& state, int partition, int broker) {
  Entry& entry = state.entries[partition];
  if (state.preferences >= world.budget.preferences || entry.preferred_1 == broker + 1)
    return false;
  const Chain chain = chain_of(state, partition);
  if (chain.count > 1 && world.rules.hold(Rule::preference_materialises)) {
    if (!chain.live) return false;
    rewrite_chain(world, state, partition, chain);
  } else {
    ++entry.version;
  }
  entry.preferred_1 = static_cast<uint8_t>(broker + 1);
  ++state.preferences;
  return true;
}

bool materialise(World world, State& state, int partition) {
  const Chain chain = chain_of(state, partition);
  if (!chain.live || !state.lanes[state.entries[partition].term.lane_1 - 1].sealed) return false;
  rewrite_chain(world, state, partition, chain);
  return true;
}

bool pause(World world, State& state, int lane, int partition) {
  if (!is_running(state, lane) || state.moves >= world.budget.moves) return false;
  Share& share = state.processes[lane].shares[partition];
  // Another one of this partition's moves may still be on its way.
  if (share.role != Share::serving || share.move_target_1 != 0) return false;
  share.role = Share::paused;
  ++state.moves;
  return true;
}

// Nothing was sent yet.
bool go_on(World, State& state, int lane, int partition) {
  if (!is_running(state, lane)) return false;
  Share& share = state.processes[lane].shares[partition];
  if (share.role != Share::paused) return false;
  share.role = Share::serving;
  return true;
}

bool send_move(World world, State& state, int lane, int partition, int target) {
  if (!is_running(state, lane) || target == lane) return false;
  Process& process = state.processes[lane];
  Share& share = process.shares[partition];
  const Entry& entry = state.entries[partition];
  if (share.role != Share::paused || !is_registered(state, target)) return false;
  if (entry.term.lane_1 != lane + 1) return false;  // the page is rewritten first
  const bool durable = share.durable == share.sequenced;
  const bool committed =
      share.base == share.durable && share.adopted == 0 && process.upload == Process::no_upload;
  if (!durable && world.rules.hold(Rule::move_when_durable)) return false;
  if (!committed && world.rules.hold(Rule::move_when_committed)) return false;
  share.role = Share::moving;
  share.move_target_1 = static_cast<uint8_t>(target + 1);
  share.move_version = entry.version;
  share.move_end = share.base;
  return true;
}

// The transaction arrives, however long after it was sent.
bool commit_move(World world, State& state, int lane, int partition, bool answer_lost) {
  Process& process = state.processes[lane];
  Share& share = process.shares[partition];
  if (share.move_target_1 == 0) return false;
  const bool waits = is_running(state, lane) && share.role == Share::moving;
  if (answer_lost && (!waits || state.losses >= world.budget.losses)) return false;
  if (!may_move(world, state, lane, partition)) {
    if (answer_lost) return false;
    if (waits && state.lanes[lane].sealed) {
      forget_move(share);
      bury(state, lane);
      return true;
    }
    if (waits) share.role = Share::serving;
    forget_move(share);
    if (process.life == Process::dead) share.epoch = 0;
    return true;
  }
  Entry& entry = state.entries[partition];
  entry.older = {};
  entry.term = {share.move_target_1, static_cast<uint8_t>(share.epoch + 1)};
  ++entry.version;
  if (answer_lost) {
    ++state.losses;
    share.move_target_1 = 0;
  } else if (waits) {
    share = {};
  } else {
    forget_move(share);
    if (process.life == Process::dead) share.epoch = 0;
  }
  return true;
}

// Only a new version can have been made by nobody else while we were paused.
bool read_back_move(World, State& state, int lane, int partition) {
  if (!is_running(state, lane)) return false;
  Share& share = state.processes[lane].shares[partition];
  if (share.role != Share::moving || share.move_target_1 != 0) return false;
  share = {};
  return true;
}

// The source wants to go on without waiting for the outcome.
bool abort_move(World world, State& state, int lane, int partition) {
  if (!is_running(state, lane)) return false;
  Share& share = state.processes[lane].shares[partition];
  if (share.role != Share::moving || share.move_target_1 == 0) return false;
  if (world.rules.hold(Rule::abort_bumps_version)) {
    Entry& entry = state.entries[partition];
    if (state.lanes[lane].sealed || entry.version != share.move_version) return false;
    ++entry.version;
  }
  share.role = Share::serving;
  return true;
}

}  // namespace paceline::takeover
