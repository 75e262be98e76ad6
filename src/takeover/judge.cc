#include "takeover/chain.h"
#include "takeover/knowledge.h"

namespace paceline::takeover {

void note(State& state, Fault fault) {
  if (state.fault == Fault::none) state.fault = fault;
}

void tell(State& state, int partition, int offset, int value) {
  auto& told = state.told[partition];
  if (told[offset] != 0 && told[offset] != value) note(state, Fault::two_records_at_one_offset);
  for (int other = 0; other < kOffsetsMax; ++other)
    if (other != offset && told[other] == value) note(state, Fault::one_record_twice);
  told[offset] = static_cast<uint8_t>(value);
}

void tell_view(State& state, int partition, const Share& share) {
  for (int offset = 0; offset < share.durable; ++offset)
    tell(state, partition, offset, share.view[offset]);
}

// Epochs are compared with those that were served: clients have seen them.
void judge_serving(State& state, int partition, const Share& share) {
  for (int offset = 0; offset < kOffsetsMax; ++offset) {
    const uint8_t told = state.told[partition][offset];
    if (told == 0) continue;
    if (offset >= share.durable)
      note(state, Fault::acknowledged_is_missing);
    else if (share.view[offset] != told)
      note(state, Fault::two_records_at_one_offset);
  }
  if (share.objects & state.objects_deleted) note(state, Fault::object_is_gone);
  if (share.epoch < state.epoch_served[partition]) note(state, Fault::epoch_goes_back);
  state.epoch_served[partition] = std::max(state.epoch_served[partition], share.epoch);
  tell_view(state, partition, share);
}

void judge_durable(World world, State& state) {
  for (int partition = 0; partition < world.budget.partitions; ++partition) {
    const Knowledge known = find_out(world, state, partition);
    for (int offset = 0; offset < kOffsetsMax; ++offset) {
      const uint8_t told = state.told[partition][offset];
      if (told != 0 && (offset >= known.end || known.view[offset] != told))
        note(state, Fault::nothing_durable_has_it);
    }
    if (known.objects & state.objects_deleted) note(state, Fault::object_is_gone);
    const Chain chain = chain_of(state, partition);
    const Share& share = state.processes[chain.last_lane()].shares[partition];
    if (chain.live && share.role == Share::serving && share.epoch == chain.last().epoch &&
        (share.objects & state.objects_deleted))
      note(state, Fault::object_is_gone);
  }
}

}  // namespace paceline::takeover
