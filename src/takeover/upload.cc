#include "takeover/chain.h"
#include "takeover/steps.h"

namespace paceline::takeover {
namespace {

bool leads(const Share& share) {
  return share.role == Share::serving || share.role == Share::paused || share.role == Share::moving;
}

void forget_upload(Process& process) {
  process.upload = Process::no_upload;
  process.upload_position = 0;
  for (Share& share : process.shares)
    share.upload_base = share.upload_end = share.upload_adopted = 0;
  if (process.life != Process::dead) return;
  for (Share& share : process.shares) share.view = {};
}

void take_for_committed(Process& process) {
  for (Share& share : process.shares) {
    if (share.upload_end > share.upload_base) share.base = share.upload_end;
    share.adopted &= static_cast<uint8_t>(~share.upload_adopted);
  }
  forget_upload(process);
}

bool carries(const Share& share) {
  return share.upload_end > share.upload_base || share.upload_adopted != 0;
}

void commit_share(State& state, const Share& share, int partition) {
  Entry& entry = state.entries[partition];
  for (int offset = share.upload_base; offset < share.upload_end; ++offset) {
    uint8_t& committed = entry.committed[offset];
    if (committed != 0 && committed != share.view[offset])
      note(state, Fault::two_records_at_one_offset);
    committed = share.view[offset];
  }
  if (share.upload_end > share.upload_base) entry.committed_end = share.upload_end;
  for (int lane = 0; lane < kLanesMax; ++lane)
    if (share.upload_adopted >> lane & 1)
      state.lanes[lane].marked |= static_cast<uint8_t>(1u << partition);
}

// The guards of the transaction.
bool may_commit(World world, const State& state, int lane) {
  if (state.lanes[lane].sealed && world.rules.hold(Rule::commit_compares_lane)) return false;
  if (!world.rules.hold(Rule::commit_compares_base)) return true;
  for (int partition = 0; partition < kPartitionsMax; ++partition) {
    const Share& share = state.processes[lane].shares[partition];
    if (carries(share) && share.upload_base != state.entries[partition].committed_end) return false;
  }
  return true;
}

bool delete_below(State& state, int lane, int position) {
  bool any = false;
  for (int slot = 0; slot < position; ++slot) {
    Slot& doomed = state.lanes[lane].slots[slot];
    if (doomed.kind != Slot::data) continue;
    judge_deletion(state, doomed);
    doomed = {};
    any = true;
  }
  return any;
}

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
  return true;  // it was never in this lane, or was moved away with everything committed
}

}  // namespace

// The object is put, and the transaction leaves; its content is fixed from here on.
bool send_upload(World world, State& state, int lane) {
  Process& process = state.processes[lane];
  if (!is_running(state, lane) || process.upload != Process::no_upload) return false;
  const bool durable_only = world.rules.hold(Rule::upload_only_durable);
  bool due = false;
  for (Share& share : process.shares) {
    if (!leads(share)) continue;
    const uint8_t end = durable_only ? share.durable : share.sequenced;
    if (end <= share.base && (share.adopted == 0 || !world.rules.hold(Rule::mark_an_empty_tail)))
      continue;
    share.upload_base = share.base;
    share.upload_end = end;
    share.upload_adopted = share.adopted;
    due = true;
  }
  if (!due) return false;
  process.upload = Process::commit_sent;
  const bool all = slots_in_flight(process) == 0 || !durable_only;
  process.upload_position = all ? process.next_slot : process.flights[0].slot;
  return true;
}

// The transaction arrives, however long after it was sent.
bool commit_upload(World world, State& state, int lane, bool answer_lost) {
  Process& process = state.processes[lane];
  if (process.upload != Process::commit_sent) return false;
  const bool running = is_running(state, lane);
  if (answer_lost && (!running || state.losses >= world.budget.losses)) return false;
  if (!may_commit(world, state, lane)) {
    if (answer_lost) return false;
    if (running && state.lanes[lane].sealed) {
      process.upload = Process::no_upload;
      bury(state, lane);
      return true;
    }
    for (int partition = 0; running && partition < kPartitionsMax; ++partition) {
      Share& share = process.shares[partition];
      if (carries(share) && share.upload_base != state.entries[partition].committed_end) share = {};
    }
    forget_upload(process);
    return true;
  }
  for (int partition = 0; partition < kPartitionsMax; ++partition)
    if (carries(process.shares[partition]))
      commit_share(state, process.shares[partition], partition);
  if (world.rules.hold(Rule::trim_is_recorded))
    state.lanes[lane].uploaded = process.upload_position;
  else if (running && !answer_lost)
    delete_below(state, lane, process.upload_position);
  if (!running) {
    forget_upload(process);
  } else if (answer_lost) {
    process.upload = Process::outcome_unknown;
    ++state.losses;
  } else {
    take_for_committed(process);
  }
  return true;
}

bool read_back_upload(World, State& state, int lane) {
  Process& process = state.processes[lane];
  if (!is_running(state, lane) || process.upload != Process::outcome_unknown) return false;
  take_for_committed(process);
  return true;
}

// The request is lost, and its sender believes the opposite.
bool assume_committed(World world, State& state, int lane) {
  if (world.rules.hold(Rule::unknown_commit_is_read_back)) return false;
  Process& process = state.processes[lane];
  if (!is_running(state, lane) || process.upload != Process::commit_sent) return false;
  const int position = process.upload_position;
  take_for_committed(process);
  delete_below(state, lane, position);
  return true;
}

bool trim(World world, State& state, int lane) {
  const Process& process = state.processes[lane];
  if (!is_running(state, lane)) return false;
  int position = state.lanes[lane].uploaded;
  if (process.upload == Process::commit_sent && !world.rules.hold(Rule::trim_after_commit))
    position = process.upload_position;
  return delete_below(state, lane, position);
}

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
  const int end = sealed.end_1 != 0 ? sealed.end_1 - 1 : kSlotsMax;
  for (int slot = 0; slot < kSlotsMax; ++slot) {
    Slot& doomed = sealed.slots[slot];
    if (doomed.kind == Slot::seal && world.rules.hold(Rule::seal_is_kept)) continue;
    if (slot < end) judge_deletion(state, doomed);
    doomed = {};
  }
  return true;
}

}  // namespace paceline::takeover
