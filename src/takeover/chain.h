#pragma once

#include "takeover/state.h"

// Who leads a partition, and in which lanes its records may lie: pure functions of the metadata.

namespace paceline::takeover {

struct Chain {
  std::array<Term, kOlderMax + kLanesMax> terms{};
  int count = 0;
  bool live = false;  // the last lane is open
  bool fits = true;   // false: it runs in a circle

  const Term& last() const { return terms[static_cast<size_t>(count - 1)]; }
  int last_lane() const { return last().lane_1 - 1; }
};
Chain chain_of(const State& state, int partition);
// The first lane of the chain that recovery has to read: behind the last marked one.
int first_unmarked(const State& state, const Chain& chain, int partition);

int lane_count(const State& state);
int broker_of(const State& state, int lane);
bool is_registered(const State& state, int lane);
bool is_running(const State& state, int lane);
int slots_in_flight(const Process& process);
// Sequences, or may do so again.
bool leads(const Share& share);

}  // namespace paceline::takeover
