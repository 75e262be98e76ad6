#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <variant>

#include "takeover/forward.h"
#include "takeover/model.h"

// Which budgets are explored, and in which of them the absence of a rule shows first.

namespace paceline::takeover {

struct Scenario {
  std::string_view name;
  std::string_view what;
  std::variant<Budget, ForwardBudget> budget;
  bool is_long = false;  // minutes and gigabytes: for the tool, not for the tests

  std::unique_ptr<Model> model(Rules rules = {}) const;
};
std::span<const Scenario> scenarios();
// Null: there is none of that name.
const Scenario* find_scenario(std::string_view name);

}  // namespace paceline::takeover
