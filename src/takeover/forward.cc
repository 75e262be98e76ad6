#include "takeover/forward.h"

#include <algorithm>

#include "takeover/forward_state.h"

namespace paceline::takeover::forward {
namespace {

enum class Outcome : uint8_t { stored, refused, broken };

void note(State& state, Fault fault) {
  if (state.fault == Fault::none) state.fault = fault;
}

bool in_log(const State& state, uint8_t value) {
  return std::ranges::find(state.log, value) != state.log.end();
}

bool is_in_force(const State& state, int broker) {
  return state.leader == broker && state.epoch == state.brokers[broker].epoch;
}

bool is_in_pipe(const Request& request) {
  return request.place == Request::forwarded || request.place == Request::held ||
         request.place == Request::served;
}

void push_late(State& state, const Request& request) {
  for (Late& late : state.late) {
    if (late.value != 0) continue;
    late = {request.value, request.attempt, request.target_1, request.epoch, 0};
    return;
  }
}

void pop_late(State& state) {
  for (int i = 0; i + 1 < kLateMax; ++i) state.late[i] = state.late[i + 1];
  state.late[kLateMax - 1] = {};
}

// The producer learns nothing; what was forwarded may arrive all the same.
void close(State& state, int broker) {
  for (const Request& request : state.connections[broker])
    if (request.place == Request::forwarded || request.place == Request::held)
      push_late(state, request);
  state.connections[broker] = {};
  ++state.generation[broker];
}

void answer(Request& request, Outcome outcome) {
  const bool forwarded = is_in_pipe(request);
  request.place = forwarded ? Request::served : Request::answered;
  request.refused = outcome == Outcome::refused;
}

void append(World world, State& state, uint8_t value, uint8_t attempt) {
  const auto bit = static_cast<uint8_t>(1u << (attempt - 1));
  const auto end = std::ranges::find(state.log, 0);
  if (state.stored[value] & bit) note(state, Fault::stored_twice);
  if (state.refused[value] & bit) note(state, Fault::refused_is_there);
  if (world.budget.idempotent && value != end - state.log.begin() + 1)
    note(state, Fault::out_of_order);
  if (attempt == 1)
    for (int later = value + 1; later <= kValuesMax; ++later)
      if ((state.stored[later] & 1) && state.first_way[later] == state.first_way[value])
        note(state, Fault::overtaken);
  *end = value;
  state.stored[value] |= bit;
}

// A leader's log decides on sequences. One that is fenced can store nothing, and finds out.
Outcome serve(World world, State& state, int broker, uint8_t value, uint8_t attempt) {
  if (world.budget.idempotent) {
    if (in_log(state, value)) return Outcome::stored;
    if (value > 1 && !in_log(state, value - 1)) return Outcome::refused;
  }
  if (!is_in_force(state, broker)) return Outcome::broken;
  append(world, state, value, attempt);
  return Outcome::stored;
}

// What was forwarded on this connection's pipe has an unknown outcome.
void lose_pipe(World world, State& state, int source) {
  if (world.rules.hold(Rule::lost_answer_closes) && world.rules.hold(Rule::only_target_answers) &&
      world.rules.hold(Rule::forward_is_sent_once))
    return close(state, source);
  for (Request& request : state.connections[source]) {
    if (!is_in_pipe(request)) continue;
    if (request.place != Request::served) push_late(state, request);
    if (!world.rules.hold(Rule::forward_is_sent_once)) {
      request.place = Request::forwarded;
    } else {
      request.place = Request::answered;
      request.refused = world.rules.hold(Rule::only_target_answers);
    }
  }
}

// Its process ends, with all of its connections.
void end_broker(World world, State& state, int broker) {
  close(state, broker);
  state.brokers[broker] = {};
  for (int source = 0; source < world.budget.brokers; ++source) {
    bool any = false;
    for (const Request& request : state.connections[source])
      any = any || (is_in_pipe(request) && request.target_1 == broker + 1);
    if (any) lose_pipe(world, state, source);
  }
}

// The paused requests of a broker that serves again are read once more, in order.
void resume(State& state, int broker) {
  state.brokers[broker].paused = 0;
  for (Request& request : state.connections[broker]) {
    if (request.early && request.place == Request::forwarded) {
      push_late(state, request);
      request.place = Request::waiting;
    }
    if (request.place == Request::waiting) request.place = Request::sent;
    request.early = 0;
  }
  for (Connection& connection : state.connections)
    for (Request& request : connection)
      if (request.place == Request::held && request.target_1 == broker + 1)
        request.place = Request::forwarded;
}

void forward_to(Request& request, const Broker& source) {
  request.place = Request::forwarded;
  request.target_1 = source.forwards_to_1;
  request.epoch = source.forward_epoch;
}

// What a target says to a forwarded request that it does not serve.
void turn_away(World world, const Broker& target, Request& request) {
  if (!world.rules.hold(Rule::one_hop) && target.forwards_to_1 != 0)
    forward_to(request, target);
  else
    answer(request, Outcome::refused);
}

bool accepts(World world, const Broker& target, uint8_t epoch) {
  return target.epoch != 0 &&
         (target.epoch == epoch || !world.rules.hold(Rule::target_checks_term));
}

}  // namespace

// The first batch that is neither acknowledged nor on its way.
bool send(World world, State& state) {
  int in_flight = 0;
  std::array<bool, kValuesMax + 1> flies{};
  for (const Connection& connection : state.connections)
    for (const Request& request : connection)
      if (request.place != Request::none) flies[request.value] = ++in_flight > 0;
  if (in_flight >= world.budget.in_flight) return false;
  for (uint8_t value = 1; value <= world.budget.values; ++value) {
    if (state.acknowledged[value] || flies[value]) continue;
    if (state.attempts[value] >= world.budget.attempts) {
      if (world.budget.idempotent) return false;
      continue;
    }
    Connection& connection = state.connections[state.known];
    const auto free = std::ranges::find(connection, Request::none, &Request::place);
    if (free == connection.end()) return false;
    *free = {.place = Request::sent, .value = value, .attempt = ++state.attempts[value]};
    if (free->attempt == 1)
      state.first_way[value] =
          static_cast<uint8_t>(1 + state.known + kBrokersMax * state.generation[state.known]);
    return true;
  }
  return false;
}

bool refresh(World, State& state) {
  if (state.known == state.leader) return false;
  state.known = state.leader;
  return true;
}

bool read_request(World world, State& state, int broker, int place) {
  Connection& connection = state.connections[broker];
  Request& request = connection[place];
  if (request.place != Request::sent) return false;
  for (int before = 0; before < place; ++before)
    if (connection[before].place == Request::sent) return false;
  const Broker& reader = state.brokers[broker];
  if (reader.paused) {
    request.place = Request::waiting;
  } else if (reader.epoch != 0) {
    const Outcome outcome = serve(world, state, broker, request.value, request.attempt);
    if (outcome == Outcome::broken)
      end_broker(world, state, broker);
    else
      answer(request, outcome);
  } else if (reader.forwards_to_1 != 0) {
    forward_to(request, reader);
  } else {
    answer(request, Outcome::refused);
  }
  return true;
}

bool forward_waiting(World world, State& state, int broker, int place) {
  Request& request = state.connections[broker][place];
  const Broker& source = state.brokers[broker];
  if (world.rules.hold(Rule::paused_go_first)) return false;
  if (request.place != Request::waiting || source.paused) return false;
  if (source.forwards_to_1 != 0)
    forward_to(request, source);
  else
    answer(request, Outcome::refused);
  return true;
}

bool read_forwarded(World world, State& state, int source, int place) {
  Connection& connection = state.connections[source];
  Request& request = connection[place];
  if (request.place != Request::forwarded) return false;
  for (int before = 0; before < place; ++before)
    if (connection[before].place == Request::forwarded && world.rules.hold(Rule::forward_in_order))
      return false;
  const int target = request.target_1 - 1;
  const Broker& reader = state.brokers[target];
  if (!accepts(world, reader, request.epoch)) {
    turn_away(world, reader, request);
  } else if (reader.paused) {
    request.place = Request::held;
  } else {
    const Outcome outcome = serve(world, state, target, request.value, request.attempt);
    if (outcome == Outcome::broken)
      end_broker(world, state, target);
    else
      answer(request, outcome);
  }
  return true;
}

bool relay(World, State& state, int source, int place) {
  Request& request = state.connections[source][place];
  if (request.place != Request::served) return false;
  request.place = Request::answered;
  return true;
}

bool take_answer(World, State& state, int broker) {
  Connection& connection = state.connections[broker];
  const Request told = connection[0];
  if (told.place != Request::answered) return false;
  const auto bit = static_cast<uint8_t>(1u << (told.attempt - 1));
  if (told.refused) {
    if (state.stored[told.value] & bit) note(state, Fault::refused_is_there);
    state.refused[told.value] |= bit;
  } else {
    if (!in_log(state, told.value)) note(state, Fault::acknowledged_is_not_there);
    state.acknowledged[told.value] = 1;
  }
  for (int i = 0; i + 1 < kInFlightMax; ++i) connection[i] = connection[i + 1];
  connection[kInFlightMax - 1] = {};
  return true;
}

bool cut_pipe(World world, State& state, int source) {
  if (state.cuts >= world.budget.cuts) return false;
  if (std::ranges::none_of(state.connections[source], is_in_pipe)) return false;
  ++state.cuts;
  lose_pipe(world, state, source);
  return true;
}

bool time_out(World world, State& state, int broker) {
  if (state.timeouts >= world.budget.timeouts) return false;
  if (state.connections[broker][0].place == Request::none) return false;
  ++state.timeouts;
  close(state, broker);
  for (Late& late : state.late)
    if (late.value != 0) late.expired = 1;
  return true;
}

bool late_arrives(World world, State& state) {
  const Late late = state.late[0];
  if (late.value == 0) return false;
  const int target = late.target_1 - 1;
  const Broker& reader = state.brokers[target];
  const bool refused = (late.expired && world.rules.hold(Rule::forward_has_deadline)) ||
                       !accepts(world, reader, late.epoch);
  if (!refused && reader.paused) return false;
  pop_late(state);
  if (refused) return true;
  const uint8_t before = state.stored[late.value];
  if (serve(world, state, target, late.value, late.attempt) == Outcome::broken)
    end_broker(world, state, target);
  if (late.expired && state.stored[late.value] != before) note(state, Fault::late);
  return true;
}

bool late_is_lost(World, State& state) {
  if (state.late[0].value == 0) return false;
  pop_late(state);
  return true;
}

bool pause(World world, State& state, int broker) {
  Broker& source = state.brokers[broker];
  if (state.moves >= world.budget.moves || source.epoch == 0 || source.paused) return false;
  source.paused = 1;
  ++state.moves;
  return true;
}

bool forward_early(World world, State& state, int broker, int target) {
  if (world.rules.hold(Rule::forward_after_commit) || target == broker) return false;
  if (!state.brokers[broker].paused) return false;
  bool any = false;
  for (Request& request : state.connections[broker]) {
    if (request.place != Request::waiting) continue;
    request.place = Request::forwarded;
    request.target_1 = static_cast<uint8_t>(target + 1);
    request.epoch = static_cast<uint8_t>(state.brokers[broker].epoch + 1);
    request.early = any = true;
  }
  return any;
}

bool hand_over(World, State& state, int broker, int target) {
  if (target == broker || !state.brokers[broker].paused || !is_in_force(state, broker))
    return false;
  Broker& next = state.brokers[target];
  if (next.epoch != 0 || next.fenced) return false;
  state.leader = static_cast<uint8_t>(target);
  next = {.epoch = ++state.epoch};
  return true;
}

bool go_on(World, State& state, int broker) {
  if (!state.brokers[broker].paused || !is_in_force(state, broker)) return false;
  resume(state, broker);
  return true;
}

bool release(World world, State& state, int broker) {
  Broker& source = state.brokers[broker];
  if (!source.paused || is_in_force(state, broker)) return false;
  source = {.fenced = source.fenced,
            .forwards_to_1 = static_cast<uint8_t>(state.leader + 1),
            .forward_epoch = state.epoch};
  for (Request& request : state.connections[broker]) {
    if (request.place == Request::waiting && world.rules.hold(Rule::paused_go_first))
      forward_to(request, source);
    request.early = 0;
  }
  for (Connection& connection : state.connections)
    for (Request& request : connection)
      if (request.place == Request::held && request.target_1 == broker + 1)
        turn_away(world, source, request);
  return true;
}

bool stop_forwarding(World, State& state, int broker) {
  Broker& source = state.brokers[broker];
  if (source.forwards_to_1 == 0) return false;
  source.forwards_to_1 = source.forward_epoch = 0;
  return true;
}

// The leader's lane is sealed, and this broker has recovered all that it stored.
bool fence(World world, State& state, int broker) {
  if (state.fences >= world.budget.fences) return false;
  if (state.leader == broker || state.brokers[broker].fenced) return false;
  ++state.fences;
  state.brokers[state.leader].fenced = 1;
  state.leader = static_cast<uint8_t>(broker);
  Broker& next = state.brokers[broker];
  next.epoch = ++state.epoch;
  next.forwards_to_1 = next.forward_epoch = 0;
  resume(state, broker);
  return true;
}

// Some other broker's, which may be the source of a move, or pass requests on.
bool fence_another(World world, State& state, int broker) {
  Broker& fenced = state.brokers[broker];
  if (state.fences >= world.budget.fences || state.leader == broker || fenced.fenced) return false;
  if (fenced.epoch == 0 && fenced.forwards_to_1 == 0) return false;
  ++state.fences;
  fenced.fenced = 1;
  return true;
}

bool notice(World world, State& state, int broker) {
  if (!state.brokers[broker].fenced) return false;
  end_broker(world, state, broker);
  return true;
}

}  // namespace paceline::takeover::forward
