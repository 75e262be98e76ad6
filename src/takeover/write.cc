#include "takeover/chain.h"
#include "takeover/steps.h"

namespace paceline::takeover {
namespace {

bool sequences(World world, const Share& share) {
  return share.role == Share::serving ||
         (share.role == Share::moving && !world.rules.hold(Rule::move_pauses));
}

bool put(World world, State& state, int lane, int partition, int value) {
  Process& process = state.processes[lane];
  Share& share = process.shares[partition];
  const int in_flight = slots_in_flight(process);
  // One slot is left for the seal.
  if (in_flight >= world.budget.flights || process.next_slot + 1 >= kSlotsMax) return false;
  if (share.sequenced >= kOffsetsMax) return false;
  const Batch batch{static_cast<uint8_t>(value), static_cast<uint8_t>(partition), share.epoch,
                    share.sequenced, 0};
  process.flights[in_flight] = {Flight::sent, process.next_slot++, batch};
  share.view[share.sequenced++] = batch.value;
  if (!world.rules.hold(Rule::visible_only_durable)) tell(state, partition, batch.offset, value);
  return true;
}

void acknowledge(State& state, const Batch& batch) {
  tell(state, batch.partition, batch.offset, batch.value);
  state.acknowledged |= static_cast<uint8_t>(1u << batch.value);
}

void drop_flight(Process& process, int flight) {
  for (int i = flight; i + 1 < kFlightsMax; ++i) process.flights[i] = process.flights[i + 1];
  process.flights[kFlightsMax - 1] = {};
  if (slots_in_flight(process) == 0) process.slept = 0;
}

}  // namespace

// Sequenced and sent. A fenced leader does this as well, as long as it has not noticed.
bool append(World world, State& state, int lane, int partition) {
  if (!is_running(state, lane) || state.values >= world.budget.values) return false;
  if (!sequences(world, state.processes[lane].shares[partition])) return false;
  const int value = ++state.values;
  state.value_partition_1[value] = static_cast<uint8_t>(partition + 1);
  if (!put(world, state, lane, partition, value)) return false;
  if (!world.rules.hold(Rule::ack_only_durable)) {
    const Share& share = state.processes[lane].shares[partition];
    acknowledge(state, {static_cast<uint8_t>(value), static_cast<uint8_t>(partition), share.epoch,
                        static_cast<uint8_t>(share.sequenced - 1), 0});
  }
  return true;
}

// A PUT arrives at the store, however long after it was sent: the slot decides.
bool store_slot(World world, State& state, int lane, int flight) {
  Process& process = state.processes[lane];
  Flight& put = process.flights[flight];
  if (put.kind != Flight::sent) return false;
  Slot& slot = state.lanes[lane].slots[put.slot];
  put.kind = Flight::refused;
  if (slot.kind == Slot::none) {
    slot = {Slot::data, put.batch};
    put.kind = Flight::stored;
  } else if (slot.kind == Slot::data && slot.batch == put.batch) {
    put.kind = Flight::stored;
    if (!world.rules.hold(Rule::own_slot_is_success)) put.kind = Flight::refused;
  } else if (!world.rules.hold(Rule::foreign_slot_is_fence)) {
    put.kind = Flight::stored;
  }
  if (process.life == Process::dead) drop_flight(process, flight);
  return true;
}

bool take_answer(World world, State& state, int lane, int flight) {
  if (!is_running(state, lane)) return false;
  Process& process = state.processes[lane];
  const Flight put = process.flights[flight];
  if (put.kind != Flight::stored && put.kind != Flight::refused) return false;
  if (flight > 0 && (world.rules.hold(Rule::ack_in_slot_order) || put.kind == Flight::refused))
    return false;
  if (put.kind == Flight::refused) {
    const Slot& slot = state.lanes[lane].slots[put.slot];
    if (slot.kind == Slot::data && slot.batch == put.batch) note(state, Fault::fenced_itself);
    bury(state, lane);
    return true;
  }
  if (process.slept && state.lanes[lane].sealed && world.rules.hold(Rule::late_answer_reads_lane)) {
    bury(state, lane);
    return true;
  }
  if (put.batch.move_1 != 0) {
    hold_adopted(state, lane, put.batch.move_1 - 1);
    drop_flight(process, flight);
    return true;
  }
  acknowledge(state, put.batch);
  Share& share = process.shares[put.batch.partition];
  if (share.epoch == put.batch.epoch && share.role != Share::idle)
    share.durable = std::max<uint8_t>(share.durable, put.batch.offset + 1);
  drop_flight(process, flight);
  return true;
}

// The writer knows nothing, and puts the same bytes again.
bool lose_answer(World world, State& state, int lane, int flight) {
  if (!is_running(state, lane) || state.losses >= world.budget.losses) return false;
  Flight& put = state.processes[lane].flights[flight];
  if (put.kind != Flight::stored && put.kind != Flight::refused) return false;
  put.kind = Flight::sent;
  ++state.losses;
  return true;
}

// A client without an answer asks whom it takes for the leader.
bool retry(World world, State& state, int lane, int partition, int value) {
  if (!is_running(state, lane) || state.retries >= world.budget.retries) return false;
  if (state.value_partition_1[value] != partition + 1 || (state.acknowledged >> value & 1))
    return false;
  const Share& share = state.processes[lane].shares[partition];
  if (!sequences(world, share)) return false;
  ++state.retries;
  for (int offset = 0; offset < share.sequenced; ++offset) {
    if (share.view[offset] != value || !world.rules.hold(Rule::producer_state_is_data)) continue;
    if (offset >= share.durable) return false;  // told when it is durable
    acknowledge(state, {static_cast<uint8_t>(value), static_cast<uint8_t>(partition), share.epoch,
                        static_cast<uint8_t>(offset), 0});
    return true;
  }
  return put(world, state, lane, partition, value);
}

bool sleep(World world, State& state, int lane) {
  Process& process = state.processes[lane];
  if (!is_running(state, lane) || state.sleeps >= world.budget.sleeps) return false;
  if (process.slept || slots_in_flight(process) == 0) return false;
  process.slept = 1;
  ++state.sleeps;
  return true;
}

}  // namespace paceline::takeover
