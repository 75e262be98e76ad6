#include "takeover/chain.h"
#include "takeover/knowledge.h"
#include "takeover/steps.h"

namespace paceline::takeover {
namespace {

// The next lane to read; null if there is none.
ToRead* next_of(Share& share) {
  return share.to_read[0].lane_1 != 0 ? &share.to_read[0] : nullptr;
}

Knowledge known_to(const Share& share) {
  return {.there = 1,
          .end = share.sequenced,
          .base = share.base,
          .objects = share.objects,
          .view = share.view};
}

void remember(Share& share, const Knowledge& known) {
  share.base = known.base;
  share.durable = share.sequenced = known.end;
  share.objects = known.objects;
  share.view = known.view;
}

}  // namespace

// Before there is anything to recover. Where the rules hold, recovery does not build on it.
bool open_beforehand(World world, State& state, int lane, int partition) {
  if (world.rules.hold(Rule::chain_as_of_sealing)) return false;
  if (!is_running(state, lane) || !is_registered(state, lane)) return false;
  Share& share = state.processes[lane].shares[partition];
  const Chain chain = chain_of(state, partition);
  if (share.role != Share::idle || (chain.live && chain.last_lane() == lane)) return false;
  remember(share, state.lanes[chain.last_lane()].directory[partition]);
  share.role = Share::opened;
  return true;
}

// Which lanes of the chain have to be read, as of one revision. A term that was written down for
// this very lane, and nothing in our memory: a stream nobody has written to, as far as we know.
bool begin_recovery(World world, State& state, int lane, int partition) {
  if (!is_running(state, lane)) return false;
  Share& share = state.processes[lane].shares[partition];
  if (share.role != Share::idle && share.role != Share::opened) return false;
  const Chain chain = chain_of(state, partition);
  if (!chain.live || chain.last_lane() != lane) return false;
  share.role = Share::recovering;
  share.epoch = chain.last().epoch;
  int first = first_unmarked(state, chain, partition);
  if (!world.rules.hold(Rule::read_every_unmarked_lane)) first = std::max(first, chain.count - 2);
  int count = 0;
  for (int i = first; i + 1 < chain.count; ++i) {
    const Lane& sealed = state.lanes[chain.terms[i].lane_1 - 1];
    const bool from_zero = !world.rules.hold(Rule::seal_from_recorded_trim);
    share.to_read[count++] = {.lane_1 = chain.terms[i].lane_1,
                              .position = from_zero ? uint8_t{0} : sealed.uploaded};
  }
  return true;
}

// From the trim position to the first slot that holds no data, and a seal there. One step stands
// for the whole walk: slots below the end do not change, and a PUT that arrives on the way is the
// same as one that arrived before.
bool seal_next(World world, State& state, int lane, int partition) {
  if (!is_running(state, lane)) return false;
  ToRead* next = next_of(state.processes[lane].shares[partition]);
  if (!next || next->end_1 != 0) return false;
  Lane& sealed = state.lanes[next->lane_1 - 1];
  if (sealed.end_1 != 0 && world.rules.hold(Rule::end_is_written_once)) {
    next->end_1 = sealed.end_1;
    return true;
  }
  int slot = next->position;
  while (slot < kSlotsMax && sealed.slots[slot].kind == Slot::data) ++slot;
  if (slot == kSlotsMax) return false;
  next->end_1 = static_cast<uint8_t>(slot + 1);
  if (!world.rules.hold(Rule::seal_before_read)) return true;
  sealed.slots[slot].kind = Slot::seal;
  sealed.end_1 = next->end_1;
  return true;
}

// Its directories in force, then its log.
bool read_next(World world, State& state, int lane, int partition) {
  if (!is_running(state, lane)) return false;
  Share& share = state.processes[lane].shares[partition];
  const ToRead* next = next_of(share);
  if (!next || next->end_1 == 0) return false;
  const ToRead reading = *next;
  const Lane& sealed = state.lanes[reading.lane_1 - 1];
  Knowledge known = known_to(share);
  known.there = known.end > 0;
  if (world.rules.hold(Rule::chain_as_of_sealing)) meet(world, known, sealed.directory[partition]);
  const int end = world.rules.hold(Rule::read_up_to_the_seal) ? reading.end_1 - 1 : kSlotsMax;
  for (int slot = reading.position; slot < end; ++slot) {
    const Slot& found = sealed.slots[slot];
    if (slot < reading.end_1 - 1 && found.kind == Slot::none &&
        world.rules.hold(Rule::missing_slot_stops))
      return false;
    if (found.kind != Slot::data || !world.rules.hold(Rule::read_the_sealed_tail)) continue;
    if (apply(world, state, known, found.batch, partition) == Applied::hole)
      note(state, Fault::hole_in_recovery);
  }
  remember(share, known);
  share.inherited |= static_cast<uint8_t>(1u << (reading.lane_1 - 1));
  for (int i = 0; i + 1 < kOlderMax; ++i) share.to_read[i] = share.to_read[i + 1];
  share.to_read[kOlderMax - 1] = {};
  return true;
}

bool serve(World world, State& state, int lane, int partition) {
  if (!is_running(state, lane)) return false;
  Share& share = state.processes[lane].shares[partition];
  if (share.role != Share::recovering || next_of(share)) return false;
  if (!is_registered(state, lane) && world.rules.hold(Rule::serve_only_registered)) {
    bury(state, lane);
    return true;
  }
  share.role = Share::serving;
  if (!world.rules.hold(Rule::mark_with_the_upload)) {
    for (int sealed = 0; sealed < kLanesMax; ++sealed)
      if (share.inherited >> sealed & 1)
        state.lanes[sealed].marked |= static_cast<uint8_t>(1u << partition);
    share.inherited = 0;
  }
  judge_serving(state, partition, share);
  return true;
}

}  // namespace paceline::takeover
