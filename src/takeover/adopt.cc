#include "takeover/chain.h"
#include "takeover/steps.h"

namespace paceline::takeover {
namespace {

bool is_undecided(const Move& move) {
  return move.stage == Move::writing || move.stage == Move::adopted || move.stage == Move::sent ||
         move.stage == Move::committed;
}

// The passport stays: it may stand in a log.
void end(Move& move) {
  move.stage = Move::over;
  move.source_1 = move.target_1 = move.epoch = move.doomed = move.slot_1 = 0;
}

Share& share_of(State& state, const Move& move) {
  return state.processes[move.target_1 - 1].shares[move.partition];
}

// Whether the target waits for this move's outcome; it may have forgotten it, or have died.
bool waits(State& state, const Move& move) {
  const Share& share = share_of(state, move);
  return is_running(state, move.target_1 - 1) && share.role == Share::holding &&
         share.epoch == move.epoch;
}

void forget_adopted(State& state, Move& move) {
  if (waits(state, move)) share_of(state, move) = {};
}

}  // namespace

// Nobody can commit it any more.
void doom(State& state, Move& move) {
  if (move.stage == Move::none || move.stage == Move::committed || move.stage == Move::over) return;
  move.doomed = 1;
  if (move.stage == Move::sent && !waits(state, move)) end(move);
}

void change_page(World world, State& state, int partition) {
  if (!world.rules.hold(Rule::move_compares_version)) return;
  for (Move& move : state.moves)
    if (move.partition == partition) doom(state, move);
}

bool adoption_is_open(const State& state, int lane) {
  for (const Move& move : state.moves)
    if (move.target_1 == lane + 1 && (move.stage == Move::sent || move.stage == Move::committed))
      return true;
  return false;
}

// Its own transaction stays on its way.
void lose_adoptions(State& state, int lane) {
  for (Move& move : state.moves) {
    if (move.target_1 != lane + 1 || move.stage == Move::called || move.stage == Move::none)
      continue;
    if (move.stage != Move::sent || move.doomed) end(move);
  }
}

void hold_adopted(State& state, int lane, int number) {
  Move& move = state.moves[number];
  if (move.stage != Move::writing || move.target_1 != lane + 1) return;
  move.stage = Move::adopted;
  Share& share = share_of(state, move);
  if (share.role != Share::idle) return;
  share.role = Share::holding;
  share.epoch = move.epoch;
  share.base = move.passport.base;
  share.durable = share.sequenced = move.passport.end;
  share.objects = move.passport.objects;
  share.view = move.passport.view;
}

// The call arrives, however late: the adoption goes into the target's log.
bool take_call(World world, State& state, int number) {
  Move& move = state.moves[number];
  if (move.stage != Move::called) return false;
  const int lane = move.target_1 - 1;
  if (!is_running(state, lane)) {
    end(move);
    return true;
  }
  bool busy = share_of(state, move).role != Share::idle;
  for (const Move& other : state.moves)
    busy = busy || (is_undecided(other) && other.target_1 == move.target_1 &&
                    other.partition == move.partition);
  if (busy && world.rules.hold(Rule::target_refuses_its_own)) {
    end(move);
    return true;
  }
  Process& process = state.processes[lane];
  const int in_flight = slots_in_flight(process);
  if (in_flight >= world.budget.flights || process.next_slot + 1 >= kSlotsMax) return false;
  const Batch entry{0, move.partition, move.epoch, 0, static_cast<uint8_t>(number + 1)};
  process.flights[in_flight] = {Flight::sent, process.next_slot, entry};
  move.stage = Move::writing;
  move.slot_1 = ++process.next_slot;
  if (!world.rules.hold(Rule::adoption_is_durable)) hold_adopted(state, lane, number);
  return true;
}

// With the lane's record, which has `adopted`. What an upload was cut past is given up instead: it
// would be trimmed.
bool send_adoption(World world, State& state, int number) {
  Move& move = state.moves[number];
  if (move.stage != Move::adopted) return false;
  const int lane = move.target_1 - 1;
  const Process& process = state.processes[lane];
  const bool turn = world.rules.hold(Rule::adoption_takes_turn);
  if (turn && process.upload != Process::no_upload && process.upload != Process::cut) return false;
  if (turn && adoption_is_open(state, lane)) return false;
  int cut = state.lanes[lane].uploaded;
  if (process.upload != Process::no_upload) cut = std::max<int>(cut, process.upload_position);
  const bool behind = move.slot_1 > cut || !world.rules.hold(Rule::adoption_behind_the_cut);
  if (!behind || state.lanes[lane].sealed || !waits(state, move)) {
    forget_adopted(state, move);
    end(move);
    return true;
  }
  move.stage = Move::sent;
  if (!world.rules.hold(Rule::target_serves_when_committed)) {
    Share& share = share_of(state, move);
    share.role = Share::serving;
    judge_serving(state, move.partition, share);
  }
  return true;
}

// The transaction arrives, however long after it was sent.
bool commit_adoption(World world, State& state, int number) {
  Move& move = state.moves[number];
  if (move.stage != Move::sent) return false;
  if (move.doomed) {
    forget_adopted(state, move);
    end(move);
    return true;
  }
  Entry& entry = state.entries[move.partition];
  entry.older = {};
  entry.term = {move.target_1, move.epoch};
  Lane& lane = state.lanes[move.target_1 - 1];
  if (move.slot_1 > lane.uploaded) lane.adopted_1 = std::max(lane.adopted_1, move.slot_1);
  move.stage = Move::committed;
  change_page(world, state, move.partition);
  if (!waits(state, move)) end(move);
  return true;
}

// The answer has come, or it was read back; with our registration, at one revision.
bool serve_adopted(World world, State& state, int number) {
  Move& move = state.moves[number];
  if (move.stage != Move::committed) return false;
  const int lane = move.target_1 - 1;
  if (!is_registered(state, lane) && world.rules.hold(Rule::serve_only_registered)) {
    bury(state, lane);
    return true;
  }
  Share& share = share_of(state, move);
  const int partition = move.partition;
  share.role = Share::serving;
  end(move);
  judge_serving(state, partition, share);
  return true;
}

// No answer came, and it is not there: a new version of our own record decides that it never will
// be.
bool give_up_adoption(World world, State& state, int number) {
  Move& move = state.moves[number];
  if (move.stage != Move::sent || !waits(state, move)) return false;
  const bool decided = world.rules.hold(Rule::adoption_off_is_decided);
  if (decided && state.lanes[move.target_1 - 1].sealed) return false;
  forget_adopted(state, move);
  if (decided) end(move);
  return true;
}

}  // namespace paceline::takeover
