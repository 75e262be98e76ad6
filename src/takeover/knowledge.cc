#include "takeover/knowledge.h"

#include "takeover/chain.h"

namespace paceline::takeover {

void meet(World world, Knowledge& known, const Knowledge& other) {
  if (!other.there) return;
  if (world.rules.hold(Rule::longer_knowledge_wins) && known.there && other.end <= known.end)
    return;
  known = other;
}

Applied apply(World world, const State& state, Knowledge& known, const Batch& entry,
              int partition) {
  if (entry.partition != partition) return Applied::fine;
  if (entry.move_1 != 0) {
    const Knowledge& passport = state.moves[entry.move_1 - 1].passport;
    if (!world.rules.hold(Rule::adoption_replaces) && known.there) return Applied::fine;
    const bool after_another = known.by_passport && passport.end == known.end;
    if (known.there && passport.end <= known.end && !after_another &&
        world.rules.hold(Rule::longer_knowledge_wins))
      return Applied::fine;
    known = passport;
    known.by_passport = 1;
    return Applied::fine;
  }
  if (entry.offset < known.end) return Applied::fine;
  if (entry.offset > known.end) return Applied::hole;
  known.there = 1;
  known.view[known.end++] = entry.value;
  return Applied::fine;
}

Knowledge find_out(World world, const State& state, int partition) {
  const Chain chain = chain_of(state, partition);
  Knowledge known;
  for (int i = first_unmarked(state, chain, partition); i < chain.count; ++i) {
    const Lane& lane = state.lanes[chain.terms[i].lane_1 - 1];
    known.by_passport = 0;
    meet(world, known, lane.directory[partition]);
    for (int slot = lane.uploaded; slot < kSlotsMax; ++slot) {
      if (lane.slots[slot].kind != Slot::data) break;
      apply(world, state, known, lane.slots[slot].batch, partition);
    }
  }
  return known;
}

}  // namespace paceline::takeover
