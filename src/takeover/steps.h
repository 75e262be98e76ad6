#pragma once

#include "takeover/model.h"

// Each step changes `state` and returns true, or returns false if it cannot be taken; the state is
// then worthless. A step is atomic: a transaction, a conditional PUT, or what one process does
// between two of them.

namespace paceline::takeover {

struct World {
  const Budget& budget;
  const Rules& rules;
};

// Writing: write.cc.
bool append(World, State&, int lane, int partition);
bool store_slot(World, State&, int lane, int flight);
bool take_answer(World, State&, int lane, int flight);
bool lose_answer(World, State&, int lane, int flight);
bool retry(World, State&, int lane, int partition, int value);
bool sleep(World, State&, int lane);

// Membership: fence.cc.
bool crash(World, State&, int lane);
bool fence(World, State&, int fencer, int lane);
bool restart(World, State&, int broker);
bool notice_fence(World, State&, int lane);
bool seal_early(World, State&, int lane, int target);  // only where the rule is left out

// Recovery: recover.cc.
bool open_beforehand(World, State&, int lane, int partition);
bool begin_recovery(World, State&, int lane, int partition);
bool seal_next(World, State&, int lane, int partition);
bool read_next(World, State&, int lane, int partition);
bool serve(World, State&, int lane, int partition);

// Upload, trim, collection: upload.cc.
bool send_upload(World, State&, int lane);
bool commit_upload(World, State&, int lane, bool answer_lost);
bool read_back_upload(World, State&, int lane);
bool assume_committed(World, State&, int lane);  // only where the rule is left out
bool trim(World, State&, int lane);
bool collect(World, State&, int lane);

// Pages and planned moves: move.cc.
bool prefer(World, State&, int partition, int broker);
bool materialise(World, State&, int partition);
bool pause(World, State&, int lane, int partition);
bool go_on(World, State&, int lane, int partition);
bool send_move(World, State&, int lane, int partition, int target);
bool commit_move(World, State&, int lane, int partition, bool answer_lost);
bool read_back_move(World, State&, int lane, int partition);
bool abort_move(World, State&, int lane, int partition);

// The judge: judge.cc. The first fault stays.
void note(State&, Fault);
// Somebody was told that `value` stands at `offset`.
void tell(State&, int partition, int offset, int value);
// What a share shows to its readers below its durable end.
void tell_view(State&, int partition, const Share&);
void judge_serving(State&, int partition, const Share&);
// Before a slot is deleted.
void judge_deletion(State&, const Slot&);

// A process ends: what is on its way stays on its way.
void bury(State&, int lane);

}  // namespace paceline::takeover
