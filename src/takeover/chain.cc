#include "takeover/chain.h"

#include <bit>

namespace paceline::takeover {
namespace {

// The preferred broker if it is among the successors, else one by the partition's number: the
// model's stand-in for the rendezvous hash. -1: no successor.
int choose(const State& state, const Lane& sealed, const Entry& entry, int partition) {
  const unsigned successors = sealed.successors;
  if (successors == 0) return -1;
  for (int lane = 0; lane < kLanesMax; ++lane)
    if ((successors >> lane & 1) && entry.preferred_1 == state.lanes[lane].broker_1) return lane;
  int skip = partition % std::popcount(successors);
  for (int lane = 0; lane < kLanesMax; ++lane)
    if ((successors >> lane & 1) && skip-- == 0) return lane;
  return -1;
}

}  // namespace

Chain chain_of(const State& state, int partition) {
  const Entry& entry = state.entries[partition];
  Chain chain;
  for (const Term& term : entry.older)
    if (term.lane_1 != 0) chain.terms[chain.count++] = term;
  chain.terms[chain.count++] = entry.term;
  unsigned seen = 0;
  for (;;) {
    const int lane = chain.last_lane();
    if (!state.lanes[lane].sealed) {
      chain.live = true;
      return chain;
    }
    seen |= 1u << lane;
    const int next = choose(state, state.lanes[lane], entry, partition);
    if (next < 0) return chain;
    if (seen >> next & 1) {
      chain.fits = false;
      return chain;
    }
    const auto epoch = static_cast<uint8_t>(chain.last().epoch + 1);
    chain.terms[chain.count++] = {static_cast<uint8_t>(next + 1), epoch};
  }
}

int first_unmarked(const State& state, const Chain& chain, int partition) {
  int first = 0;
  for (int i = 0; i < chain.count; ++i)
    if (state.lanes[chain.terms[i].lane_1 - 1].marked >> partition & 1) first = i + 1;
  return first;
}

int lane_count(const State& state) {
  int count = 0;
  while (count < kLanesMax && state.lanes[count].broker_1 != 0) ++count;
  return count;
}

int broker_of(const State& state, int lane) {
  return state.lanes[lane].broker_1 - 1;
}

bool is_registered(const State& state, int lane) {
  return state.registered_1[broker_of(state, lane)] == lane + 1;
}

bool is_running(const State& state, int lane) {
  return state.processes[lane].life == Process::running;
}

int slots_in_flight(const Process& process) {
  int count = 0;
  for (const Flight& flight : process.flights) count += flight.kind != Flight::none;
  return count;
}

bool leads(const Share& share) {
  return share.role == Share::serving || share.role == Share::paused || share.role == Share::moving;
}

}  // namespace paceline::takeover
