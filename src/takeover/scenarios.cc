#include "takeover/scenarios.h"

#include <algorithm>
#include <array>

namespace paceline::takeover {
namespace {

constexpr auto kScenarios = std::to_array<Scenario>({
    {"log", "one writer with two PUTs on their way, lost and late answers, and its successor",
     Budget{.brokers = 2, .lanes = 2, .values = 3, .crashes = 0, .sleeps = 1, .losses = 1}},
    {"pair", "two brokers that suspect each other, and no other fault",
     Budget{.brokers = 2, .lanes = 2, .values = 2, .flights = 1, .crashes = 0}},
    {"failover", "two brokers that die, are suspected and come back",
     Budget{.brokers = 2, .lanes = 3, .values = 2, .flights = 1, .crashes = 1}},
    {"chain", "three brokers, of which two may die one after the other",
     Budget{.brokers = 3, .lanes = 3, .values = 2, .flights = 1, .crashes = 2}},
    {"shares", "two partitions of one lane, recovered by two successors",
     Budget{.brokers = 3, .lanes = 3, .partitions = 2, .values = 1, .flights = 1, .crashes = 1}},
    {"clone", "the same broker started elsewhere while it still runs; clients try again",
     Budget{.brokers = 1, .lanes = 3, .values = 2, .crashes = 1, .clones = 1, .retries = 1}},
    {"move", "planned moves to and fro, unknown outcomes, with a failover in between",
     Budget{.brokers = 2, .lanes = 2, .values = 2, .flights = 1, .crashes = 0, .moves = 2}},
    {"third", "a planned move to a third broker, while the source may be fenced",
     Budget{.brokers = 3, .lanes = 3, .values = 1, .flights = 1, .crashes = 0, .moves = 1}},
    {"neighbour", "a planned move to a broker that leads another partition and may be fenced",
     Budget{.brokers = 2,
            .lanes = 2,
            .partitions = 2,
            .leaders = {0, 1},
            .values = 1,
            .flights = 1,
            .crashes = 0,
            .moves = 1}},
    {"collection", "objects, compaction and their collection, while a partition moves",
     Budget{.brokers = 2,
            .lanes = 2,
            .values = 1,
            .flights = 1,
            .crashes = 0,
            .moves = 1,
            .objects = true,
            .rewrites = 1}},
    {"both", "two partitions of one broker move to another at once",
     Budget{.brokers = 2,
            .lanes = 2,
            .partitions = 2,
            .values = 1,
            .flights = 1,
            .crashes = 0,
            .moves = 2,
            .false_suspicion = false}},
    {"to-and-fro", "a partition moves away, back and away again",
     Budget{.brokers = 2,
            .lanes = 2,
            .values = 2,
            .flights = 1,
            .crashes = 0,
            .moves = 3,
            .false_suspicion = false},
     true},
    {"deaths", "source, target or successor die while a partition moves",
     Budget{.brokers = 3,
            .lanes = 3,
            .values = 1,
            .flights = 1,
            .crashes = 2,
            .moves = 1,
            .false_suspicion = false}},
    {"preference", "the preferred broker changes while a chain is not materialised",
     Budget{.brokers = 3, .lanes = 3, .values = 1, .flights = 1, .crashes = 1, .preferences = 1}},
    {"forward", "an idempotent producer whose partition moves away, back and away again",
     ForwardBudget{.values = 2, .moves = 3, .cuts = 1}},
    {"hops", "two moves among three brokers, and a producer that waits no longer",
     ForwardBudget{.brokers = 3, .values = 2, .moves = 2, .timeouts = 1}},
    {"fences", "source or target of a forward are fenced",
     ForwardBudget{.values = 2, .moves = 2, .fences = 1, .cuts = 1}},
    {"numberless", "a producer without sequence numbers, which may reorder only across connections",
     ForwardBudget{.values = 2, .idempotent = false, .moves = 3, .cuts = 1}},
    {"window", "three batches of an idempotent producer, of which two may be on their way",
     ForwardBudget{.values = 3, .moves = 2, .cuts = 1}},
    {"fences-numberless", "the same without sequence numbers",
     ForwardBudget{.values = 2, .idempotent = false, .moves = 2, .fences = 2}},
    {"collection-back", "the same while it moves away and back, and a broker dies",
     Budget{.brokers = 2,
            .lanes = 2,
            .values = 1,
            .flights = 1,
            .crashes = 1,
            .moves = 2,
            .objects = true,
            .rewrites = 1,
            .false_suspicion = false},
     true},
    {"attic", "collection of objects among three brokers, while a partition moves",
     Budget{.brokers = 3,
            .lanes = 3,
            .values = 1,
            .flights = 1,
            .crashes = 1,
            .moves = 1,
            .objects = true,
            .rewrites = 1,
            .false_suspicion = false}},
    {"return", "three brokers, of which two may die and one comes back",
     Budget{.brokers = 3, .lanes = 4, .values = 1, .flights = 1, .crashes = 2}, true},
});

}  // namespace

std::unique_ptr<Model> Scenario::model(Rules rules) const {
  if (const auto* forwarding = std::get_if<ForwardBudget>(&budget))
    return std::make_unique<ForwardModel>(*forwarding, rules);
  return std::make_unique<TakeoverModel>(std::get<Budget>(budget), rules);
}

std::span<const Scenario> scenarios() {
  return kScenarios;
}

const Scenario* find_scenario(std::string_view name) {
  const auto found = std::ranges::find(kScenarios, name, &Scenario::name);
  return found == kScenarios.end() ? nullptr : &*found;
}

}  // namespace paceline::takeover
