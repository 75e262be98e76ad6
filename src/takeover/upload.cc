#include "takeover/chain.h"
#include "takeover/steps.h"

namespace paceline::takeover {
namespace {

void forget_upload(Process& process) {
  process.upload = Process::no_upload;
  process.upload_position = process.upload_stale = process.upload_object_1 = 0;
  process.cuts = {};
}

void take_for_committed(Process& process) {
  for (int partition = 0; partition < kPartitionsMax; ++partition) {
    const Cut& cut = process.cuts[partition];
    Share& share = process.shares[partition];
    if (!cut.record.there || !leads(share) || share.epoch != cut.epoch) continue;
    share.base = std::max(share.base, cut.record.end);
    share.objects |= cut.record.objects;
    share.inherited &= static_cast<uint8_t>(~cut.inherited);
  }
  process.stale &= static_cast<uint8_t>(~process.upload_stale);
  forget_upload(process);
}

bool is_due(World world, const State& state, int lane) {
  const Process& process = state.processes[lane];
  bool due = state.lanes[lane].adopted_1 != 0 || process.stale != 0;
  for (const Share& share : process.shares) {
    if (!leads(share)) continue;
    const bool marks = share.inherited != 0 && world.rules.hold(Rule::mark_an_empty_tail);
    const uint8_t end =
        world.rules.hold(Rule::upload_only_durable) ? share.durable : share.sequenced;
    due = due || end > share.base || marks;
  }
  return due;
}

// Undecided adoptions are in no cut, and no cut is made while one's transaction is on its way.
bool may_cut(World world, const State& state, int lane) {
  const Process& process = state.processes[lane];
  if (!is_running(state, lane) || process.upload != Process::no_upload) return false;
  return !adoption_is_open(state, lane) || !world.rules.hold(Rule::adoption_takes_turn);
}

// An object of what is new, or of everything that each stream has.
bool put_object(World world, State& state, int lane, bool rewrite) {
  Process& process = state.processes[lane];
  if (!world.budget.objects) return true;
  bool needed = false;
  for (const Cut& cut : process.cuts)
    needed = needed || (cut.record.there && (cut.record.end > cut.record.base || rewrite));
  if (!needed) return true;
  int number = 0;
  while (number < kObjectsMax && state.object_lane_1[number] != 0) ++number;
  if (number == kObjectsMax) return false;
  state.object_lane_1[number] = static_cast<uint8_t>(lane + 1);
  process.upload_object_1 = static_cast<uint8_t>(number + 1);
  const auto bit = static_cast<uint8_t>(1u << number);
  for (int partition = 0; partition < kPartitionsMax; ++partition) {
    Knowledge& record = process.cuts[partition].record;
    Share& share = process.shares[partition];
    if (!record.there || record.end == 0) continue;
    const bool frozen =
        share.role == Share::moving && world.rules.hold(Rule::source_freezes_objects);
    if (rewrite && !frozen)
      share.objects = record.objects = bit;  // in memory from the cut on
    else if (record.end > record.base)
      record.objects |= bit;
  }
  return true;
}

bool delete_below(State& state, int lane, int position) {
  bool any = false;
  for (int slot = 0; slot < position; ++slot) {
    Slot& doomed = state.lanes[lane].slots[slot];
    any = any || doomed.kind == Slot::data;
    if (doomed.kind == Slot::data) doomed = {};
  }
  return any;
}

}  // namespace

// Where the upload ends is decided, and the object is put. A rewrite stands for compaction, which
// is taken in at a cut and committed with it.
bool cut_upload(World world, State& state, int lane, bool rewrite) {
  if (!may_cut(world, state, lane)) return false;
  if (rewrite ? state.rewrites >= world.budget.rewrites : !is_due(world, state, lane)) return false;
  Process& process = state.processes[lane];
  const bool durable_only = world.rules.hold(Rule::upload_only_durable);
  for (int partition = 0; partition < world.budget.partitions; ++partition) {
    const Share& share = process.shares[partition];
    if (!leads(share)) continue;
    const uint8_t end = durable_only ? share.durable : share.sequenced;
    process.cuts[partition] = {.record = {.there = 1,
                                          .end = end,
                                          .base = share.base,
                                          .objects = share.objects,
                                          .view = share.view},
                               .epoch = share.epoch,
                               .inherited = share.inherited};
    for (int offset = end; offset < kOffsetsMax; ++offset)
      process.cuts[partition].record.view[offset] = 0;
  }
  if (!put_object(world, state, lane, rewrite)) return false;
  if (rewrite) {
    if (process.upload_object_1 == 0) return false;
    ++state.rewrites;
  }
  for (Cut& cut : process.cuts) cut.record.base = cut.record.end;
  process.upload = Process::cut;
  process.upload_stale = process.stale;
  const bool all = slots_in_flight(process) == 0 || !durable_only;
  process.upload_position = all ? process.next_slot : process.flights[0].slot;
  return true;
}

// The transaction leaves; not beside that of an adoption, which changes the same record.
bool send_upload(World world, State& state, int lane) {
  Process& process = state.processes[lane];
  if (!is_running(state, lane) || process.upload != Process::cut) return false;
  if (adoption_is_open(state, lane) && world.rules.hold(Rule::adoption_takes_turn)) return false;
  process.upload = Process::commit_sent;
  return true;
}

// The transaction arrives, however long after it was sent. What it holds is a checkpoint: it takes
// the place of all that the lane's directories said before.
bool commit_upload(World world, State& state, int lane, bool answer_lost) {
  Process& process = state.processes[lane];
  if (process.upload != Process::commit_sent) return false;
  const bool running = is_running(state, lane);
  if (answer_lost && (!running || state.losses >= world.budget.losses)) return false;
  Lane& record = state.lanes[lane];
  if (record.sealed && world.rules.hold(Rule::commit_compares_lane)) {
    if (answer_lost) return false;
    forget_upload(process);
    if (running) bury(state, lane);
    return true;
  }
  for (int partition = 0; partition < kPartitionsMax; ++partition) {
    const Cut& cut = process.cuts[partition];
    record.directory[partition] = cut.record;
    for (int sealed = 0; sealed < kLanesMax; ++sealed)
      if (cut.inherited >> sealed & 1)
        state.lanes[sealed].marked |= static_cast<uint8_t>(1u << partition);
  }
  if (process.upload_object_1 != 0)
    state.objects_committed |= static_cast<uint8_t>(1u << (process.upload_object_1 - 1));
  if (process.upload_position >= record.adopted_1) record.adopted_1 = 0;
  if (world.rules.hold(Rule::trim_is_recorded))
    record.uploaded = process.upload_position;
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

}  // namespace paceline::takeover
