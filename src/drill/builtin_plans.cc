#include <algorithm>

#include "drill/plan.h"

namespace paceline::drill {
namespace {

// What all of them have in common. The owner has to be told: --owner, or the plan's.
#define ROLLBACK                                                                      \
  "\n[rollback]\n"                                                                    \
  "point = \"the leaders as they were before the first step (metadata.snapshot)\"\n"  \
  "command = \"preferred leaders are elected: paceline cluster balance, or the "      \
  "cluster's own tool\"\n"                                                            \
  "owner = \"\"\n"                                                                    \
  "rule = \"roll back if 30, 60 or 120 s after the fault a partition has no leader, " \
  "or more than 1 % of the answers are errors\"\n"

constexpr std::string_view kKill = "name = \"kill\"\n" ROLLBACK R"(
[requires]
brokers = 2

[[step]]
id = "kill"
fault = "kill"
owner = "platform"
broker = "leader-of-most"
)";

constexpr std::string_view kDrain = "name = \"drain\"\n" ROLLBACK R"(
[requires]
brokers = 2

[[step]]
id = "drain"
fault = "drain"
owner = "platform"
broker = "leader-of-most"
)";

constexpr std::string_view kStop = "name = \"stop\"\n" ROLLBACK R"(
[requires]
brokers = 2

[[step]]
id = "stop"
fault = "stop"
owner = "platform"
broker = "leader-of-most"
)";

constexpr std::string_view kFreeze = "name = \"freeze\"\n" ROLLBACK R"(
[requires]
brokers = 2

[[step]]
id = "freeze"
fault = "freeze"
owner = "platform"
broker = "leader-of-most"
hold_s = 30
)";

constexpr std::string_view kCut = "name = \"cut\"\n" ROLLBACK R"(
[requires]
brokers = 2

[[step]]
id = "cut"
fault = "cut"
owner = "cloud"
broker = "leader-of-most"
direction = "both"
hold_s = 30
)";

// No leader moves by itself: there is nothing to recover, and no partition has milestones.
constexpr std::string_view kSlowStore = "name = \"slow-store\"\n" ROLLBACK R"(
[requires]
rows = ["leaders", "rollback", "business"]

[[step]]
id = "slow-store"
fault = "slow-store"
owner = "cloud"
hold_s = 30
settings = { latency_ms = 200, errors_percent = 10 }
)";

constexpr std::string_view kStorm = "name = \"storm\"\n" ROLLBACK R"(
[requires]
rows = ["leaders", "rollback", "business"]

[[step]]
id = "storm"
fault = "storm"
owner = "client"
)";

constexpr std::string_view kControlFreeze = "name = \"control-freeze\"\n" ROLLBACK R"(
[requires]
brokers = 2

[guard]
window_s = 60

[[step]]
id = "control-freeze"
fault = "control-freeze"
owner = "platform"
broker = "leader-of-most"
hold_s = 15
)";

constexpr std::string_view kZombie = "name = \"zombie\"\n" ROLLBACK R"(
[requires]
brokers = 2

[[step]]
id = "zombie"
fault = "zombie"
owner = "platform"
broker = "leader-of-most"
hold_s = 30
)";

constexpr std::string_view kCleanup = "name = \"cleanup\"\n" ROLLBACK R"(
[requires]
rows = ["business"]

[observe]
seconds = 10

[[step]]
id = "cleanup"
fault = "cleanup"
owner = "platform"
)";

constexpr std::string_view kSabotage =
    "name = \"sabotage\"\n"
    "sabotage = \"drop-ack,double-record\"\n" ROLLBACK R"(
[requires]
brokers = 2

[observe]
seconds = 15

[[step]]
id = "drain"
fault = "drain"
owner = "decision"
broker = "leader-of-most"
)";

constexpr std::string_view kFull = "name = \"full\"\n" ROLLBACK R"(
[requires]
brokers = 2

[[step]]
id = "drain"
fault = "drain"
owner = "platform"
broker = "leader-of-most"

[[step]]
id = "stop"
fault = "stop"
owner = "platform"
broker = "leader-of-most"

[[step]]
id = "kill"
fault = "kill"
owner = "platform"
broker = "leader-of-most"

[[step]]
id = "freeze"
fault = "freeze"
owner = "platform"
broker = "leader-of-most"
hold_s = 30

[[step]]
id = "slow-store"
fault = "slow-store"
owner = "cloud"
hold_s = 30
if_possible = true
settings = { latency_ms = 200, errors_percent = 10 }

[[step]]
id = "cut"
fault = "cut"
owner = "cloud"
broker = "leader-of-most"
direction = "both"
hold_s = 30
if_possible = true

[[step]]
id = "storm"
fault = "storm"
owner = "client"

[[step]]
id = "zombie"
fault = "zombie"
owner = "platform"
broker = "leader-of-most"
hold_s = 30

[[step]]
id = "cleanup"
fault = "cleanup"
owner = "platform"
)";

}  // namespace

const std::vector<BuiltinPlan>& builtin_plans() {
  static const std::vector<BuiltinPlan> kAll = {
      {"kill", "the broker that leads most is killed", kKill},
      {"drain", "it gives away what it leads", kDrain},
      {"stop", "it is told to end", kStop},
      {"freeze", "it stands still for 30 s", kFreeze},
      {"cut", "its network is cut; on `paceline dev --hosts`, or by a hook", kCut},
      {"slow-store", "the storage answers late; on `paceline dev --store s3`, or by a hook",
       kSlowStore},
      {"storm", "all clients go and come back at once", kStorm},
      {"control-freeze", "the metadata quorum stands still while a broker dies", kControlFreeze},
      {"zombie", "a leader sleeps until others lead, and wakes", kZombie},
      {"cleanup", "a clean-up with a wrong topology, to be refused", kCleanup},
      {"sabotage", "the drill falsifies its own ledger, and must say so", kSabotage},
      {"full",
       "drain, stop, kill, freeze, slow store and cut where that can be, storm, zombie, clean-up",
       kFull},
  };
  return kAll;
}

const BuiltinPlan* find_builtin(std::string_view name) {
  const auto found = std::ranges::find(builtin_plans(), name, &BuiltinPlan::name);
  return found == builtin_plans().end() ? nullptr : &*found;
}

}  // namespace paceline::drill
