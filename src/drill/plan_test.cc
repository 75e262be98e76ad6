#include "drill/plan.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "drill/run.h"

namespace paceline::drill {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kWhole = R"(
name = "ours"
seed = 7
sabotage = "drop-ack"
limits = { gap_max_ms = 9000 }

[rollback]
point = "before"
command = "kafka-leader-election"
owner = "ada"
rule = "no leader after 30 s"
rehearsed = 2026-11-01

[load]
topics = 2
partitions = 6
interval_ms = 5
value_bytes = 512
clients = { "linger.ms" = 5, socket.timeout.ms = 3000 }
external = [["java", "-jar", "probe.jar"]]

[baseline]
seconds = 3

[observe]
seconds = 4.5

[guard]
errors_share = 0.05
window_s = 10
staleness_s = 20

[requires]
brokers = 3
rows = ["leaders", "business"]

[[right]]
operation = "write"
topic = "orders"
allowed = false
client = { "sasl.username" = "mallory" }

[[right]]
name = "reads"
operation = "read"
allowed = true

[[step]]
id = "one"
fault = "freeze"
owner = "platform"
broker = 2
hold_s = 12
settings = { why = "because", count = 3 }

[[step]]
fault = "cut"
zone = "east"
direction = "in"
)";

TEST(Plan, TellsAllThatIsWritten) {
  const auto plan = parse_plan(kWhole);
  ASSERT_TRUE(plan) << plan.error().front();
  EXPECT_EQ(plan->name, "ours");
  EXPECT_EQ(plan->seed, 7u);
  EXPECT_EQ(plan->sabotage, "drop-ack");
  EXPECT_EQ(plan->limits.at("gap_max_ms"), 9000);
  EXPECT_EQ(plan->rollback.owner, "ada");
  EXPECT_EQ(plan->rollback.rehearsed, "2026-11-01");
  EXPECT_EQ(plan->load.topics, 2u);
  EXPECT_EQ(plan->load.interval_ms, 5);
  EXPECT_EQ(plan->load.clients.at("linger.ms"), "5");
  EXPECT_EQ(plan->load.clients.at("socket.timeout.ms"), "3000");
  EXPECT_THAT(plan->load.external, ElementsAre(ElementsAre("java", "-jar", "probe.jar")));
  EXPECT_EQ(plan->baseline_s, 3);
  EXPECT_EQ(plan->observe_s, 4.5);
  EXPECT_EQ(plan->guard.errors_share, 0.05);
  EXPECT_EQ(plan->needs.brokers, 3u);
  EXPECT_THAT(plan->needs.rows, ElementsAre("leaders", "business"));
  ASSERT_EQ(plan->rights.size(), 2u);
  EXPECT_EQ(plan->rights[0].name, "1-write");
  EXPECT_EQ(plan->rights[0].topic, "orders");
  EXPECT_FALSE(plan->rights[0].allowed);
  EXPECT_EQ(plan->rights[0].client.at("sasl.username"), "mallory");
  EXPECT_EQ(plan->rights[1].name, "reads");
  EXPECT_TRUE(plan->rights[1].allowed);
  ASSERT_EQ(plan->steps.size(), 2u);
  EXPECT_EQ(plan->steps[0].fault, Fault::freeze);
  EXPECT_EQ(plan->steps[0].broker, "2");
  EXPECT_EQ(plan->steps[0].hold_s, 12);
  EXPECT_EQ(plan->steps[0].settings.at("count"), "3");
  EXPECT_EQ(plan->steps[1].id, "2-cut");
  EXPECT_EQ(plan->steps[1].direction, "in");
  EXPECT_EQ(plan->steps[1].hold_s, 30);  // what lasts has to end
}

TEST(Plan, WhatHasABrokerAsItsTargetChoosesOne) {
  const auto plan = parse_plan("[[step]]\nfault = \"kill\"\n[[step]]\nfault = \"storm\"\n");
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->steps[0].broker, "leader-of-most");
  EXPECT_EQ(plan->steps[1].broker, "");
}

// One sentence for each thing that is wrong, with its line.
struct Wrong {
  const char* text;
  const char* sentence;
};
class WrongPlan : public testing::TestWithParam<Wrong> {};

TEST_P(WrongPlan, IsRefused) {
  const auto plan = parse_plan(GetParam().text);
  ASSERT_FALSE(plan);
  EXPECT_THAT(plan.error(), ElementsAre(HasSubstr(GetParam().sentence)));
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongPlan,
    testing::Values(
        Wrong{"name = ", "line 1: "}, Wrong{"[[step]ault=\"e\"", "line 1: "},
        Wrong{"[[[step]]]\nfault = \"kill\"", "this is not TOML"},
        Wrong{"name = '\xc3\xa4'", "line 1: text beyond ASCII"},
        Wrong{"# \xc3", "line 1: this is not UTF-8"},
        Wrong{"# \xc3\xa4\nname = \"a\"\n\xc3\xa4 = 1", "line 3: "}, Wrong{"", "no [[step]]"},
        Wrong{"step = []", "no [[step]]"},
        Wrong{"nonsense = 1\n[[step]]\nfault = \"kill\"", "line 1: the plan knows no 'nonsense'"},
        Wrong{"[[step]]\nfault = \"explode\"", "knows no fault 'explode'"},
        Wrong{"[[step]]\nfault = \"kill\"\nbroker = \"the-red-one\"", "neither a number nor"},
        Wrong{"[[step]]\nfault = \"kill\"\nbroker = -1", "is to be an id"},
        Wrong{"[[step]]\nfault = \"kill\"\nhold_s = 3", "does not last"},
        Wrong{"[[step]]\nfault = \"freeze\"\nhold_s = 99999", "line 3: step 1 'hold_s' is to be 0"},
        Wrong{"[[step]]\nfault = \"freeze\"\nhold_s = nan", "'hold_s' is to be"},
        Wrong{"[[step]]\nfault = \"cut\"", "needs a zone or a broker"},
        Wrong{"[[step]]\nfault = \"cut\"\nbroker = 1\nzone = \"a\"", "one failure domain"},
        Wrong{"[[step]]\nfault = \"cut\"\nbroker = 1\ndirection = \"up\"",
              "both, in, out or cluster"},
        Wrong{"[[step]]\nfault = \"kill\"\ncolour = \"red\"", "line 3: step 1 knows no 'colour'"},
        Wrong{"[[step]]\nid = \"a\"\nfault = \"kill\"\n[[step]]\nid = \"a\"\nfault = \"kill\"",
              "two steps 'a'"},
        Wrong{"sabotage = \"tea\"\n[[step]]\nfault = \"kill\"", "no sabotage 'tea'"},
        Wrong{"[load]\npartitions = 0\n[[step]]\nfault = \"kill\"", "line 2: [load] 'partitions'"},
        Wrong{"[load]\nexternal = [\"java\"]\n[[step]]\nfault = \"kill\"", "command lines"},
        Wrong{"[load]\nclients = { a = [1] }\n[[step]]\nfault = \"kill\"", "'a' is neither"},
        Wrong{"[rollback]\nowner = 3\n[[step]]\nfault = \"kill\"", "text in quotes"},
        Wrong{"[requires]\nrows = [\"luck\"]\n[[step]]\nfault = \"kill\"", "no row 'luck'"},
        Wrong{"limits = { a = \"b\" }\n[[step]]\nfault = \"kill\"", "limit 'a'"},
        Wrong{"load = 3\n[[step]]\nfault = \"kill\"", "'load' is to be a table"},
        Wrong{"[load]\nclients = { \"sasl.password\" = \"tea\" }\n[[step]]\nfault = \"kill\"",
              "in plain words"},
        Wrong{"[[right]]\noperation = \"write\"\n[[step]]\nfault = \"kill\"", "what is 'allowed'"},
        Wrong{"[[right]]\noperation = \"fly\"\nallowed = true\n[[step]]\nfault = \"kill\"",
              "to be write or read"},
        Wrong{"[guard]\nerrors_share = 2\n[[step]]\nfault = \"kill\"", "'errors_share'"}));

TEST(Plan, MayHaveAnyLetters) {
  const auto plan = parse_plan(
      "# \xc3\xa4\nname = \"a \\\" \xc3\xa4 \xf0\x9f\x99\x82\"  # \xc3\xa4\n[[step]]\nfault = "
      "\"kill\"");
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->name, "a \" \xc3\xa4 \xf0\x9f\x99\x82");
}

TEST(Plan, SaysAllThatIsWrongAtOnce) {
  const auto plan = parse_plan("[load]\npartitions = 0\ntopics = 0\n[[step]]\nfault = \"x\"");
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().size(), 3u);
}

TEST(BuiltinPlans, AreAllRight) {
  for (const BuiltinPlan& builtin : builtin_plans()) {
    const auto plan = parse_plan(builtin.text);
    ASSERT_TRUE(plan) << builtin.name << ": " << plan.error().front();
    EXPECT_EQ(plan->name, builtin.name);
    EXPECT_FALSE(plan->rollback.point.empty()) << builtin.name;
    EXPECT_FALSE(plan->rollback.rule.empty()) << builtin.name;
    for (const Plan::Step& step : plan->steps) EXPECT_FALSE(step.owner.empty()) << builtin.name;
  }
  EXPECT_EQ(find_builtin("kill"), &builtin_plans().front());
  EXPECT_EQ(find_builtin("tea"), nullptr);
}

TEST(BuiltinPlans, TheFullOneHasTheMinimumForAVerdict) {
  const auto plan = parse_plan(find_builtin("full")->text);
  std::vector<std::string> tests;
  for (const Plan::Step& step : plan->steps) tests.emplace_back(look_of(step.fault).test);
  for (const char* wanted : {"N1", "N3", "N4", "N6", "N7"})
    EXPECT_THAT(tests, testing::Contains(wanted));
}

TEST(Plan, SecretsComeFromTheEnvironment) {
  auto plan = *parse_plan(
      "[load]\nclients = { \"sasl.password\" = \"env:TEA\", a = \"b\" }\n[[right]]\noperation = "
      "\"read\"\nallowed = false\nclient = { \"sasl.password\" = \"env:MILK\" }\n[[step]]\nfault = "
      "\"kill\"");
  const auto variable = [](const std::string& name) {
    return name == "TEA" ? std::optional<std::string>("hot") : std::nullopt;
  };
  const auto lacking = take_from_environment(plan, variable);
  ASSERT_FALSE(lacking);
  EXPECT_THAT(lacking.error().message, HasSubstr("'MILK'"));
  ASSERT_TRUE(take_from_environment(plan, [](const std::string&) { return "cold"; }));
  EXPECT_EQ(plan.load.clients.at("sasl.password"), "hot") << "the first one had it already";
  EXPECT_EQ(plan.load.clients.at("a"), "b");
  EXPECT_EQ(plan.rights[0].client.at("sasl.password"), "cold");
}

TEST(Shorten, EndsSoon) {
  auto plan = *parse_plan(kWhole);
  plan.baseline_s = 100;
  plan.observe_s = 100;
  shorten(plan);
  EXPECT_LE(plan.baseline_s + plan.observe_s, 20);
}

TEST(Command, MakesTheSameDrillAgainAndTellsNoSecret) {
  Plan plan;
  plan.seed = 7;
  RunOptions options;
  options.plan = "my plan.toml";
  options.bootstrap = "a:9092,b:9092";
  options.hooks = "./hooks.toml";
  options.owner = "ada's";
  options.quick = true;
  EXPECT_EQ(command_of(plan, options),
            "paceline drill run 'my plan.toml' --bootstrap a:9092,b:9092 --hooks ./hooks.toml "
            "--seed 7 --owner 'ada'\\''s' --quick");
  ::setenv("PLAN_TEST_PASSWORD", "sesame-street", 1);
  options = {};
  options.bootstrap = "sesame-street:9092";
  EXPECT_EQ(command_of(plan, options), "paceline drill run kill --bootstrap ***:9092 --seed 7");
  ::unsetenv("PLAN_TEST_PASSWORD");
}

}  // namespace
}  // namespace paceline::drill
