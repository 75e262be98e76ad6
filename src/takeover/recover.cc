#include "takeover/chain.h"
#include "takeover/steps.h"

namespace paceline::takeover {
namespace {

// The next lane to read; null if there is none.
ToRead* next_of(Share& share) {
  return share.to_read[0].lane_1 != 0 ? &share.to_read[0] : nullptr;
}

void open_at_committed_end(Share& share, const Entry& entry) {
  share = {};
  share.base = share.durable = share.sequenced = entry.committed_end;
  share.view = entry.committed;
}

void read_slot(World world, State& state, Share& share, const ToRead& lane, int partition,
               const Slot& slot) {
  const Batch& batch = slot.batch;
  if (slot.kind != Slot::data || batch.partition != partition) return;
  if (batch.epoch != lane.epoch && world.rules.hold(Rule::read_only_own_epoch)) return;
  if (batch.offset < share.sequenced) return;
  if (batch.offset > share.sequenced) return note(state, Fault::hole_in_recovery);
  share.view[share.sequenced++] = batch.value;
}

}  // namespace

// Before there is anything to recover. Where the rules hold, recovery does not build on it.
bool open_beforehand(World world, State& state, int lane, int partition) {
  if (world.rules.hold(Rule::target_opens_at_published_end) &&
      world.rules.hold(Rule::chain_as_of_sealing))
    return false;
  if (!is_running(state, lane) || !is_registered(state, lane)) return false;
  Share& share = state.processes[lane].shares[partition];
  const Chain chain = chain_of(state, partition);
  if (share.role != Share::idle || (chain.live && chain.last_lane() == lane)) return false;
  open_at_committed_end(share, state.entries[partition]);
  share.role = Share::opened;
  return true;
}

// What is in objects, and which lanes of the chain have to be read, as of one revision.
bool begin_recovery(World world, State& state, int lane, int partition) {
  if (!is_running(state, lane)) return false;
  Share& share = state.processes[lane].shares[partition];
  const bool prepared = share.role == Share::opened;
  if (share.role != Share::idle && !prepared) return false;
  const Chain chain = chain_of(state, partition);
  if (!chain.live || chain.last_lane() != lane) return false;
  const Entry& entry = state.entries[partition];
  if (prepared && !world.rules.hold(Rule::target_opens_at_published_end)) {
    share.role = Share::recovering;
    share.epoch = chain.last().epoch;
    return true;
  }
  if (!prepared) open_at_committed_end(share, entry);
  share.role = Share::recovering;
  share.epoch = chain.last().epoch;
  if (!world.rules.hold(Rule::read_the_sealed_tail)) return true;
  int first = first_unmarked(state, chain, partition);
  if (!world.rules.hold(Rule::read_every_unmarked_lane)) first = std::max(first, chain.count - 2);
  int count = 0;
  for (int i = first; i + 1 < chain.count; ++i) {
    const Lane& sealed = state.lanes[chain.terms[i].lane_1 - 1];
    const bool from_zero = !world.rules.hold(Rule::seal_from_recorded_trim);
    share.to_read[count++] = {.lane_1 = chain.terms[i].lane_1,
                              .epoch = chain.terms[i].epoch,
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

bool read_next(World world, State& state, int lane, int partition) {
  if (!is_running(state, lane)) return false;
  Share& share = state.processes[lane].shares[partition];
  const ToRead* next = next_of(share);
  if (!next || next->end_1 == 0) return false;
  const ToRead reading = *next;
  const Lane& sealed = state.lanes[reading.lane_1 - 1];
  const int end = world.rules.hold(Rule::read_up_to_the_seal) ? reading.end_1 - 1 : kSlotsMax;
  for (int slot = reading.position; slot < end; ++slot) {
    if (slot < reading.end_1 - 1 && sealed.slots[slot].kind == Slot::none &&
        world.rules.hold(Rule::missing_slot_stops))
      return false;
    read_slot(world, state, share, reading, partition, sealed.slots[slot]);
  }
  share.durable = share.sequenced;
  share.adopted |= static_cast<uint8_t>(1u << (reading.lane_1 - 1));
  for (int i = 0; i + 1 < kOlderMax; ++i) share.to_read[i] = share.to_read[i + 1];
  share.to_read[kOlderMax - 1] = {};
  return true;
}

// Registration and committed end are read at one revision.
bool serve(World world, State& state, int lane, int partition) {
  if (!is_running(state, lane)) return false;
  Share& share = state.processes[lane].shares[partition];
  if (share.role != Share::recovering || next_of(share)) return false;
  if (!is_registered(state, lane) && world.rules.hold(Rule::serve_only_registered)) {
    bury(state, lane);
    return true;
  }
  if (state.entries[partition].committed_end != share.base &&
      world.rules.hold(Rule::serve_at_committed_end) &&
      world.rules.hold(Rule::target_opens_at_published_end)) {
    share = {};
    return true;
  }
  share.role = Share::serving;
  if (!world.rules.hold(Rule::mark_with_the_upload)) {
    for (int adopted = 0; adopted < kLanesMax; ++adopted)
      if (share.adopted >> adopted & 1)
        state.lanes[adopted].marked |= static_cast<uint8_t>(1u << partition);
    share.adopted = 0;
  }
  judge_serving(state, partition, share);
  return true;
}

}  // namespace paceline::takeover
