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
  change_page(world, state, partition);
}

// Whether the term that this share serves is still the one in force.
bool is_in_force(const State& state, int lane, int partition) {
  const Chain chain = chain_of(state, partition);
  return chain.last_lane() == lane &&
         chain.last().epoch == state.processes[lane].shares[partition].epoch;
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
    change_page(world, state, partition);
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
  if (!is_running(state, lane) || state.pauses >= world.budget.moves) return false;
  Share& share = state.processes[lane].shares[partition];
  if (share.role != Share::serving) return false;
  share.role = Share::paused;
  ++state.pauses;
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

// The passport leaves: what objects have, and the tail above it.
bool call_target(World world, State& state, int lane, int partition, int target) {
  if (!is_running(state, lane) || target == lane || state.calls >= kMovesMax) return false;
  Process& process = state.processes[lane];
  Share& share = process.shares[partition];
  if (share.role != Share::paused || !is_registered(state, target)) return false;
  if (!is_in_force(state, lane, partition) || state.lanes[lane].sealed) return false;
  if (share.durable != share.sequenced && world.rules.hold(Rule::move_when_durable)) return false;
  if (process.upload != Process::no_upload && world.rules.hold(Rule::passport_is_committed))
    return false;
  share.role = Share::moving;
  Move& move = state.moves[state.calls++];
  move.stage = Move::called;
  move.partition = static_cast<uint8_t>(partition);
  move.source_1 = static_cast<uint8_t>(lane + 1);
  move.target_1 = static_cast<uint8_t>(target + 1);
  move.epoch = static_cast<uint8_t>(share.epoch + 1);
  move.passport = {
      .there = 1,
      .end = world.rules.hold(Rule::passport_has_the_tail) ? share.durable : share.base,
      .base = share.base,
      .objects = share.objects,
      .view = share.view};
  for (int offset = move.passport.end; offset < kOffsetsMax; ++offset)
    move.passport.view[offset] = 0;
  return true;
}

// The source has read the page and finds another term than its own there: it closes the stream and
// drops it from its directories with the next checkpoint.
bool release(World world, State& state, int lane, int partition) {
  if (!is_running(state, lane)) return false;
  Process& process = state.processes[lane];
  Share& share = process.shares[partition];
  if (share.role != Share::paused && share.role != Share::moving) return false;
  const bool known = !is_in_force(state, lane, partition);
  if (!known && (share.role == Share::paused || world.rules.hold(Rule::release_when_known)))
    return false;
  share = {};
  process.stale |= static_cast<uint8_t>(1u << partition);
  return true;
}

// The source wants to go on: it writes the page anew with the term that is there.
bool abort_move(World world, State& state, int lane, int partition) {
  if (!is_running(state, lane)) return false;
  Share& share = state.processes[lane].shares[partition];
  if (share.role != Share::moving) return false;
  if (world.rules.hold(Rule::abort_bumps_version)) {
    if (state.lanes[lane].sealed || !is_in_force(state, lane, partition)) return false;
    change_page(world, state, partition);
  }
  share.role = Share::serving;
  return true;
}

// Without the rule: we lead it, so we go on.
bool resume_by_chain(World world, State& state, int lane, int partition) {
  if (world.rules.hold(Rule::resume_needs_own_term) || !is_running(state, lane)) return false;
  Share& share = state.processes[lane].shares[partition];
  const Chain chain = chain_of(state, partition);
  if (share.role != Share::moving || !chain.live || chain.last_lane() != lane) return false;
  if (chain.last().epoch == share.epoch) return false;
  share.role = Share::serving;
  share.epoch = chain.last().epoch;
  judge_serving(state, partition, share);
  return true;
}

}  // namespace paceline::takeover
