#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <optional>
#include <string_view>
#include <vector>

#include "takeover/scenarios.h"

// paceline-takeover: explores the model of the takeover protocol.

namespace paceline::takeover {
namespace {

enum Exit { good = 0, usage = 2, wrong = 4, cut_off = 7 };

struct Request {
  std::vector<const Scenario*> scenarios;
  std::vector<Rule> left_out;
  ExploreBounds bounds{.states_max = 60'000'000, .bytes_max = uint64_t{8} << 30};
  bool table = false;
};

std::optional<Rule> rule_of(std::string_view word) {
  for (int i = 0; i < kRuleCount; ++i)
    if (name(static_cast<Rule>(i)) == word) return static_cast<Rule>(i);
  return std::nullopt;
}

std::optional<Request> parse(int argc, char** argv) {
  Request request;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const std::string_view value = i + 1 < argc ? argv[i + 1] : "";
    if (word == "--table") {
      request.table = true;
    } else if (word == "--without") {
      const auto rule = rule_of(value);
      if (!rule) return std::nullopt;
      request.left_out.push_back(*rule);
      ++i;
    } else if (word == "--states") {
      const auto end = value.data() + value.size();
      if (std::from_chars(value.data(), end, request.bounds.states_max).ptr != end || value.empty())
        return std::nullopt;
      ++i;
    } else if (const Scenario* scenario = find_scenario(word)) {
      request.scenarios.push_back(scenario);
    } else {
      return std::nullopt;
    }
  }
  if (request.scenarios.empty())
    for (const Scenario& scenario : scenarios())
      if (!scenario.is_long) request.scenarios.push_back(&scenario);
  return request;
}

void print_usage() {
  fmt::print(stderr,
             "usage: paceline-takeover [--without RULE]... [--states MAX] [--table] "
             "[SCENARIO...]\n\nscenarios:\n");
  for (const Scenario& scenario : scenarios())
    fmt::print(stderr, "  {:<14} {}{}\n", scenario.name, scenario.what,
               scenario.is_long ? " (long)" : "");
  fmt::print(stderr, "rules:\n");
  for (int i = 0; i < kRuleCount; ++i)
    fmt::print(stderr, "  {:<30} {}\n", name(static_cast<Rule>(i)), sentence(static_cast<Rule>(i)));
}

int run(const Request& request) {
  int exit = Exit::good;
  Rules rules;
  for (Rule rule : request.left_out) rules.leave_out(rule);
  for (const Scenario* scenario : request.scenarios) {
    const Exploration found = explore(*scenario->model(rules), request.bounds);
    fmt::print("{}: {}\n", scenario->name, found.to_string());
    if (found.counter_example) {
      for (const std::string& step : found.counter_example->steps) fmt::print("    {}\n", step);
      return Exit::wrong;
    }
    if (!found.complete) exit = Exit::cut_off;
    std::fflush(stdout);
  }
  return exit;
}

// For each rule, or each of those named, the scenario where its absence shows after the fewest
// states.
int print_table(const Request& request) {
  std::vector<Rule> rules = request.left_out;
  if (rules.empty())
    for (int i = 0; i < kRuleCount; ++i) rules.push_back(static_cast<Rule>(i));
  for (const Rule rule : rules) {
    std::optional<Exploration> best;
    const Scenario* where = nullptr;
    for (const Scenario* scenario : request.scenarios) {
      ExploreBounds bounds = request.bounds;
      if (best) bounds.states_max = std::min(bounds.states_max, best->states);
      Exploration found = explore(*scenario->model(Rules{rule}), bounds);
      if (!found.counter_example || (best && best->states <= found.states)) continue;
      best = std::move(found);
      where = scenario;
    }
    if (best)
      fmt::print("| `{}` | {} | {} | {} | {} |\n", name(rule), where->name,
                 best->counter_example->what, best->counter_example->steps.size(), best->states);
    else
      fmt::print("| `{}` | - | nothing | - | - |\n", name(rule));
    std::fflush(stdout);
  }
  return Exit::good;
}

int main(int argc, char** argv) {
  const auto request = parse(argc, argv);
  if (!request) {
    print_usage();
    return Exit::usage;
  }
  return request->table ? print_table(*request) : run(*request);
}

}  // namespace
}  // namespace paceline::takeover

int main(int argc, char** argv) {
  return paceline::takeover::main(argc, argv);
}
