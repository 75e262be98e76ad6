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

// Upload and trim: upload.cc.
bool cut_upload(World, State&, int lane, bool rewrite);
bool send_upload(World, State&, int lane);
bool commit_upload(World, State&, int lane, bool answer_lost);
bool read_back_upload(World, State&, int lane);
bool assume_committed(World, State&, int lane);  // only where the rule is left out
bool trim(World, State&, int lane);

// Collection of logs and objects: collect.cc.
bool collect(World, State&, int lane);
bool collect_object(World, State&, int object);
bool suspect_object(World, State&, int object, int lane);  // only where the rule is left out
bool has_garbage(World, const State&);

// Pages, and the source of a planned move: move.cc.
bool prefer(World, State&, int partition, int broker);
bool materialise(World, State&, int partition);
bool pause(World, State&, int lane, int partition);
bool go_on(World, State&, int lane, int partition);
bool call_target(World, State&, int lane, int partition, int target);
bool release(World, State&, int lane, int partition);
bool abort_move(World, State&, int lane, int partition);
bool resume_by_chain(World, State&, int lane, int partition);  // only where the rule is left out

// The target of a planned move, by the move's number: adopt.cc.
bool take_call(World, State&, int number);
bool send_adoption(World, State&, int number);
bool commit_adoption(World, State&, int number);
bool serve_adopted(World, State&, int number);
bool give_up_adoption(World, State&, int number);
// The adoption stands in the lane's log.
void hold_adopted(State&, int lane, int number);
// Something that the move's transaction compares has changed.
void doom(State&, Move&);
void change_page(World, State&, int partition);
// Whether the outcome of an adoption's transaction has yet to be known in this lane.
bool adoption_is_open(const State&, int lane);
// The process of this lane ends.
void lose_adoptions(State&, int lane);

// The judge: judge.cc. The first fault stays.
void note(State&, Fault);
// Somebody was told that `value` stands at `offset`.
void tell(State&, int partition, int offset, int value);
// What a share shows to its readers below its durable end.
void tell_view(State&, int partition, const Share&);
void judge_serving(State&, int partition, const Share&);
// After each step: if everybody died now, would all that was told be found?
void judge_durable(World, State&);

// A process ends: what is on its way stays on its way.
void bury(State&, int lane);

}  // namespace paceline::takeover
