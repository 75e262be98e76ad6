#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "drill/fault.h"
#include "probe/probe.h"

namespace paceline::drill {

// What is to be done to whom, under what load, and by whose leave: README.md.
struct Plan {
  struct Rollback {
    std::string point, command, owner, rule, rehearsed;
    int64_t rehearsed_ms = 0;  // how long that took; 0: not told
  };
  struct LoadSpec {
    unsigned topics = 1;       // probe topics
    unsigned partitions = 12;  // of each
    unsigned transfer_partitions = 3;
    unsigned producers = 4;
    unsigned group_members = 2;
    unsigned accounts = 64;
    unsigned bystanders = 2;
    double interval_ms = 10;
    size_t value_bytes = 256;
    std::optional<bool> transactions;  // of the transfers; nothing: where the target has them
    std::map<std::string, std::string> clients;  // librdkafka's own settings
    std::vector<std::vector<std::string>> external;
  };
  struct Guard {
    double errors_share = 0.01;  // of ten seconds' answers
    double window_s = 30;        // after an injection, in which errors are what we came for
    double staleness_s = 60;
  };
  struct Requires {
    unsigned brokers = 1;
    std::vector<std::string> rows;  // of the scorecard, without which there is no verdict
  };
  struct Step {
    std::string id;
    Fault fault = Fault::kill;
    std::string owner;
    std::string broker;  // a number, "leader-of-most", "coordinator", "controller"; empty: none
    std::string zone;
    std::string direction = "both";               // of a cut: both, in, out, or cluster
    double hold_s = 0;                            // of a fault that is healed
    std::map<std::string, std::string> settings;  // for hooks
    bool if_possible = false;                     // else a target that cannot do it is refused
  };

  std::string name;
  uint64_t seed = 0;
  std::string sabotage;  // N8: drop-ack, double-record
  Rollback rollback;
  LoadSpec load;
  // None: what holds on every cluster (phase_ready.cc). Without a topic: the canary's.
  std::vector<probe::Options::Right> rights;
  double baseline_s = 25, observe_s = 30;
  Guard guard;
  Requires needs;
  std::map<std::string, double> limits;
  std::vector<Step> steps;
};

// A client's setting may be "env:NAME": the value of a variable, which is in no evidence.
inline constexpr std::string_view kFromEnvironment = "env:";

// One sentence for each thing that is wrong, with its line.
std::expected<Plan, std::vector<std::string>> parse_plan(std::string_view text);

// Puts the values of variables into the settings of clients. invalid_argument: one that is not set.
Result<void> take_from_environment(
    Plan& plan, const std::function<std::optional<std::string>(const std::string&)>& variable);

// Phases as short as they can be, to try the machinery.
void shorten(Plan& plan);

// "drop-ack", "double-record", or both with a comma between them.
bool is_sabotage(std::string_view word);

// Those that we bring along.
struct BuiltinPlan {
  std::string_view name, what, text;
};
const std::vector<BuiltinPlan>& builtin_plans();
const BuiltinPlan* find_builtin(std::string_view name);

}  // namespace paceline::drill
