#include "takeover/scenarios.h"

#include <algorithm>
#include <array>

namespace paceline::takeover {
namespace {

constexpr auto kScenarios = std::to_array<Scenario>({
    {"log",
     "one writer with two PUTs on their way, lost and late answers, and its successor",
     {.brokers = 2, .lanes = 2, .values = 3, .crashes = 0, .sleeps = 1, .losses = 1}},
    {"pair",
     "two brokers that suspect each other, and no other fault",
     {.brokers = 2, .lanes = 2, .values = 2, .flights = 1, .crashes = 0}},
    {"failover",
     "two brokers that die, are suspected and come back",
     {.brokers = 2, .lanes = 3, .values = 2, .flights = 1, .crashes = 1}},
    {"chain",
     "three brokers, of which two may die one after the other",
     {.brokers = 3, .lanes = 3, .values = 2, .flights = 1, .crashes = 2}},
    {"shares",
     "two partitions of one lane, recovered by two successors",
     {.brokers = 3, .lanes = 3, .partitions = 2, .values = 1, .flights = 1, .crashes = 1}},
    {"clone",
     "the same broker started elsewhere while it still runs; clients try again",
     {.brokers = 1, .lanes = 3, .values = 2, .crashes = 1, .clones = 1, .retries = 1}},
    {"move",
     "planned moves to and fro, unknown outcomes, with a failover in between",
     {.brokers = 2, .lanes = 2, .values = 2, .flights = 1, .crashes = 0, .moves = 2, .losses = 1}},
    {"third",
     "a planned move to a third broker, while the source may be fenced",
     {.brokers = 3, .lanes = 3, .values = 1, .flights = 1, .crashes = 0, .moves = 1}},
    {"neighbour",
     "a planned move to a broker that leads another partition and may be fenced",
     {.brokers = 2,
      .lanes = 2,
      .partitions = 2,
      .leaders = {0, 1},
      .values = 1,
      .flights = 1,
      .crashes = 0,
      .moves = 1}},
    {"preference",
     "the preferred broker changes while a chain is not materialised",
     {.brokers = 3, .lanes = 3, .values = 1, .flights = 1, .crashes = 1, .preferences = 1}},
    {"return",
     "three brokers, of which two may die and one comes back",
     {.brokers = 3, .lanes = 4, .values = 1, .flights = 1, .crashes = 2},
     true},
});

}  // namespace

std::span<const Scenario> scenarios() {
  return kScenarios;
}

const Scenario* find_scenario(std::string_view name) {
  const auto found = std::ranges::find(kScenarios, name, &Scenario::name);
  return found == kScenarios.end() ? nullptr : &*found;
}

}  // namespace paceline::takeover
