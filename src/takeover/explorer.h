#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Visits every state that a model can reach, breadth first, so that what it finds wrong is found by
// one of the shortest ways there. Deterministic: the same model and bounds give the same report.

namespace paceline::takeover {

// `progress` steps are what happens by itself once faults and requests have ended; from every
// state they have to be able to lead to a settled one.
enum class StepKind : uint8_t { progress, disturbance };

// `words` is empty unless it was asked for.
using Emit = std::function<void(std::string_view next, StepKind kind, std::string words)>;

// Equal states have equal bytes, of at most 64 KiB. All verbs are pure.
class Model {
 public:
  virtual ~Model() = default;

  virtual std::string first() const = 0;
  // Emits each step from `state`, in the same order whether or not words are asked for. At most
  // 65,535 steps.
  virtual void expand(std::string_view state, bool with_words, const Emit& emit) const = 0;
  // What is wrong with a state, as a sentence; nothing is followed beyond it.
  virtual std::optional<std::string> wrong(std::string_view state) const = 0;
  virtual bool settled(std::string_view state) const = 0;
};

struct ExploreBounds {
  uint64_t states_max = 1'000'000;
  uint64_t bytes_max = uint64_t{1} << 30;  // of states, their table and, for progress, the steps
  uint32_t depth_max = 1'000;
  bool progress = true;  // whether a settled state must stay within reach; needs memory for steps
};

struct CounterExample {
  std::string what;
  std::vector<std::string> steps;  // from the first state on
};

struct Exploration {
  uint64_t states = 0;
  uint64_t steps = 0;     // between them
  uint32_t depth = 0;     // the longest of all shortest ways to a state
  uint64_t bytes = 0;     // that were held at the end
  bool complete = false;  // false: cut off by a bound or by a counter-example
  std::string cut_by;     // which bound
  std::optional<CounterExample> counter_example;

  // One line with all of the figures.
  std::string to_string() const;
};

// Progress is judged only when everything was visited: behind a bound anything may be.
Exploration explore(const Model& model, ExploreBounds bounds);

}  // namespace paceline::takeover
