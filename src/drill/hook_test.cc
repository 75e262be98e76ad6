#include <gmock/gmock.h>

#include <fstream>

#include "drill/hook_target.h"
#include "drill/hooks.h"
#include "drill/secrets.h"
#include "env/test_shards.h"

namespace paceline::drill {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

constexpr const char* kFile = R"(
name = "somebody's cluster"
profile = "kafka"
version = "3.9"
faults = { kill = "broker", cut = "zone" }
[inject]
argv = ["/bin/echo", "{\"who\": \"{broker}\"}"]
timeout_s = 5
[effective]
argv = ["/bin/true"]
[heal]
argv = ["/bin/echo", "back"]
[status]
argv = ["/bin/false"]
)";

TEST(HookFile, TellsVerbsAndDomains) {
  const auto file = parse_hook_file(kFile);
  ASSERT_TRUE(file) << file.error().front();
  EXPECT_EQ(file->profile, "kafka");
  EXPECT_EQ(file->domains.at(Fault::cut), "zone");
  EXPECT_EQ(file->verb("inject")->timeout_s, 5);
  EXPECT_EQ(file->verb("plan"), nullptr);
}

TEST(HookFile, WhatIsWrongIsSaid) {
  const auto refusal = [](const char* text) {
    const auto file = parse_hook_file(text);
    return file ? std::vector<std::string>{} : file.error();
  };
  EXPECT_THAT(refusal("faults = { kill = \"broker\" }"),
              ElementsAre(HasSubstr("has no [inject]"), HasSubstr("has no [effective]"),
                          HasSubstr("has no [heal]")));
  EXPECT_THAT(refusal("[heal]\nargv = []"), ElementsAre(HasSubstr("line 1: [heal] has no argv")));
  EXPECT_THAT(refusal("[heal]\nargv = [\"a\"]\ntimeout_s = 0"),
              ElementsAre(HasSubstr("timeout_s")));
  EXPECT_THAT(refusal("profile = \"redis\""), ElementsAre(HasSubstr("'profile'")));
  EXPECT_THAT(refusal("[explode]\nargv = [\"a\"]"), ElementsAre(HasSubstr("knows no 'explode'")));
  EXPECT_THAT(refusal("faults = { tea = \"broker\" }"), ElementsAre(HasSubstr("no fault 'tea'")));
  EXPECT_THAT(refusal("faults = { kill = \"galaxy\" }"),
              Contains(HasSubstr("broker, zone or cluster")));
}

TEST(Command, PlaceholdersStandForValuesAndAreNeverASecondWord) {
  HookFile::Verb verb{{"tool", "--broker={broker}", "{zone}", "{\"json\": 1}", "{unknown}"}, 1};
  const auto command = command_of(verb, {{"broker", "2"}, {"zone", "east; rm -rf /"}});
  ASSERT_TRUE(command);
  EXPECT_THAT(command->argv,
              ElementsAre("tool", "--broker=2", "east; rm -rf /", "{\"json\": 1}", "{unknown}"));
  EXPECT_THAT(command->environment, Contains(Pair("PACELINE_DRILL_BROKER", "2")));
}

TEST(Command, WhatNothingStandsForIsAnError) {
  HookFile::Verb verb{{"tool", "{topic}"}, 1};
  const auto command = command_of(verb, {{"broker", "2"}});
  ASSERT_FALSE(command);
  EXPECT_THAT(command.error().message, HasSubstr("{topic}"));
}

TEST(HookAnswer, IsOneLineOfJson) {
  EXPECT_TRUE(parse_hook_answer(""));
  const auto answer = parse_hook_answer("{\"why\": \"no\", \"topics\": [\"a\"], \"ms\": 3}\n");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->why(), "no");
  EXPECT_THAT(answer->topics, ElementsAre("a"));
  EXPECT_FALSE(parse_hook_answer("{}\n{}"));
  EXPECT_FALSE(parse_hook_answer("done"));
  EXPECT_FALSE(parse_hook_answer("[1]"));
}

TEST(Secrets, ValuesOfNamesThatLookSecretAreStars) {
  EXPECT_TRUE(looks_secret("AWS_SECRET_ACCESS_KEY"));
  EXPECT_TRUE(looks_secret("sasl.password"));
  EXPECT_FALSE(looks_secret("broker"));
  const std::map<std::string, std::string> environment{{"DB_PASSWORD", "swordfish"},
                                                       {"BROKER", "seven"}};
  EXPECT_EQ(redact("it is swordfish on seven", environment), "it is *** on seven");
  EXPECT_EQ(redact("{\"token\": \"abc def\", \"n\": 1}", {}), "{\"token\": \"***\", \"n\": 1}");
  EXPECT_EQ(redact("api_key=12345;x=1", {}), "api_key=***;x=1");
  EXPECT_EQ(redact("authorization: Bearer abc\nnext", {}), "authorization: ***\nnext");
  EXPECT_EQ(redact("nothing here", {}), "nothing here");
  EXPECT_EQ(redact(std::map<std::string, std::string>(environment)).at("DB_PASSWORD"), "***");
}

TEST(Program, EndsAsItEnds) {
  EXPECT_EQ(run_program({.argv = {"/bin/true"}}).exit_code, 0);
  EXPECT_EQ(run_program({.argv = {"false"}}).exit_code, 1);
  const Ending echo = run_program({.argv = {"/bin/echo", "a  b", "$HOME"}});
  EXPECT_EQ(echo.out, "a  b $HOME\n");  // no shell
  const Ending nobody = run_program({.argv = {"/no/such/program"}});
  EXPECT_NE(nobody.exit_code, 0);
  EXPECT_THAT(nobody.why, HasSubstr("/no/such/program"));
  EXPECT_FALSE(run_program({.argv = {}}).why.empty());
}

TEST(Program, IsGivenItsEnvironment) {
  const Ending ending =
      run_program({.argv = {"/usr/bin/env"}, .environment = {{"PACELINE_DRILL_X", "y"}}});
  EXPECT_THAT(ending.out, HasSubstr("PACELINE_DRILL_X=y\n"));
}

TEST(Program, IsKilledWithAllThatItHasStartedWhenItsTimeIsOver) {
  const Ending ending =
      run_program({.argv = {"/bin/sleep", "100"}, .timeout = std::chrono::milliseconds(50)});
  EXPECT_TRUE(ending.timed_out);
  EXPECT_EQ(ending.exit_code, -1);
}

TEST(Program, MuchOutputIsCutAndDoesNotBlock) {
  const Ending ending = run_program({.argv = {"/usr/bin/seq", "1", "100000"}});
  EXPECT_EQ(ending.exit_code, 0);
  EXPECT_EQ(ending.out.size(), 64u << 10);
}

class HooksTest : public testing::Test {
 protected:
  Hooks hooks(const char* verb, std::vector<std::string> argv) {
    HookFile file;
    file.name = "fake";
    file.verbs[verb] = {std::move(argv), 5};
    return Hooks(shards_.shard(0), std::move(file),
                 [this](std::string line) { lines_.push_back(std::move(line)); });
  }
  Result<HookAnswer> run(Hooks& hooks, std::string verb, Placeholders values) {
    Result<HookAnswer> answer;
    auto body = [](Hooks* of, std::string which, Placeholders what,
                   Result<HookAnswer>* into) -> Task<void> {
      *into = co_await of->run(which, what);
    };
    shards_.run(0, body(&hooks, std::move(verb), std::move(values), &answer));
    return answer;
  }
  env::RealTestShards shards_;
  std::vector<std::string> lines_;
};

TEST_F(HooksTest, ExitCodesAreDoneFailedRefused) {
  auto done = hooks("inject", {"/bin/echo", "{\"how\": \"{fault}\"}"});
  const auto answer = run(done, "inject", {{"fault", "kill"}});
  ASSERT_TRUE(answer);
  EXPECT_EQ(std::get<std::string>(answer->figures.at("how")), "kill");

  auto failed = hooks("inject", {"/bin/false"});
  EXPECT_EQ(run(failed, "inject", {}).error().code, Code::io_error);
  auto refused = hooks("inject", {"/bin/ls", "/no/such/folder"});  // ends with 2
  EXPECT_EQ(run(refused, "inject", {}).error().code, Code::permission_denied);
  auto mute = hooks("inject", {"/bin/echo", "well"});
  EXPECT_EQ(run(mute, "inject", {}).error().code, Code::corrupt);
  EXPECT_EQ(run(mute, "heal", {}).error().code, Code::not_found);
  EXPECT_EQ(lines_.size(), 4u);
}

TEST_F(HooksTest, TheLogHasNoSecrets) {
  ::setenv("HOOK_TEST_TOKEN", "open sesame", 1);
  auto loud = hooks("inject", {"/usr/bin/env"});
  (void)run(loud, "inject", {{"setting_password", "swordfish"}});
  ::unsetenv("HOOK_TEST_TOKEN");
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_THAT(lines_[0], Not(HasSubstr("sesame")));
  EXPECT_THAT(lines_[0], Not(HasSubstr("swordfish")));
  EXPECT_THAT(lines_[0], HasSubstr("PACELINE_DRILL_SETTING_PASSWORD"));
}

TEST(HookLog, MilestonesAreEventsOnOurClock) {
  const auto events = parse_hook_log(
      "{\"type\": \"broker.noticed\", \"t_mono_ns\": 77, \"cause_id\": \"c\"}\n"
      "not json\n"
      "{\"type\": \"lane.sealed\", \"t_wall\": \"1970-01-01T00:00:01.500Z\", \"topic\": \"a\", "
      "\"partition\": 3}\n"
      "{\"type\": \"no.time\"}\n",
      1'000);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].source, "hook");
  EXPECT_EQ(events[0].t_mono_ns, 77);
  EXPECT_EQ(events[1].t_mono_ns, 1'500'000'000 + 1'000);
  EXPECT_EQ(events[1].clock_err_ns, 1'000'000'000);
  EXPECT_EQ(events[1].partition, 3);
}

class HookTargetTest : public testing::Test {
 protected:
  // A cluster of which nothing but its log is asked.
  std::unique_ptr<HookTarget> target(const std::string& file) {
    auto parsed = parse_hook_file(file);
    EXPECT_TRUE(parsed) << parsed.error().front();
    auto hooks = std::make_unique<Hooks>(shards_.shard(0), std::move(*parsed), [](std::string) {});
    auto made = std::make_unique<HookTarget>(shards_.shard(0), "127.0.0.1:1", "kafka",
                                             std::move(hooks), client::Security{});
    made->follow([this](evidence::Event event) { told_.push_back(std::move(event)); });
    return made;
  }
  void catch_up(HookTarget& target) {
    auto body = [](HookTarget* of) -> Task<void> {
      co_await of->catch_up(std::chrono::seconds(1));
    };
    shards_.run(0, body(&target));
  }
  std::vector<std::string> told() const {
    std::vector<std::string> all;
    for (const auto& event : told_) all.push_back(event.type + " " + event.topic);
    return all;
  }
  env::RealTestShards shards_;
  std::vector<evidence::Event> told_;
};

TEST_F(HookTargetTest, WhatTheLogHasToldIsNotToldAgain) {
  const std::string path = shards_.dir() + "/log";
  const auto write = [&](const std::string& lines) { std::ofstream(path, std::ios::app) << lines; };
  write(
      "{\"type\": \"broker.noticed\", \"t_mono_ns\": 70}\n"
      "{\"type\": \"partition.serving\", \"topic\": \"a\", \"partition\": 1, "
      "\"leader_epoch\": 5, \"t_mono_ns\": 80}\n");
  const auto kafka = target("[log]\nargv = [\"/bin/cat\", \"" + path + "\"]\n");
  catch_up(*kafka);
  catch_up(*kafka);
  EXPECT_THAT(told(), ElementsAre("broker.noticed ", "partition.serving a"));
  // The same epoch in another one's log, a later one, and a second death.
  write(
      "{\"type\": \"partition.serving\", \"topic\": \"a\", \"partition\": 1, "
      "\"leader_epoch\": 5, \"t_mono_ns\": 81}\n"
      "{\"type\": \"partition.serving\", \"topic\": \"a\", \"partition\": 1, "
      "\"leader_epoch\": 6, \"t_mono_ns\": 90}\n"
      "{\"type\": \"broker.noticed\", \"t_mono_ns\": 95}\n");
  catch_up(*kafka);
  ASSERT_EQ(told_.size(), 4u);
  EXPECT_EQ(told_[2].leader_epoch, 6);
  EXPECT_EQ(told_[3].t_mono_ns, 95);
}

TEST_F(HookTargetTest, AWallTimeIsTheSameLineHoweverOurClockHasMoved) {
  const auto kafka = target(
      "[log]\nargv = [\"/bin/echo\", '{\"type\": \"a\", \"t_wall\": "
      "\"2026-01-01T00:00:01.500Z\"}']\n");
  catch_up(*kafka);
  catch_up(*kafka);
  EXPECT_EQ(told_.size(), 1u);
}

TEST_F(HookTargetTest, ALogIsPromisedWhatItsFileSays) {
  constexpr const char* kEcho = "[log]\nargv = [\"/bin/true\"]\n";
  EXPECT_THAT(target(kEcho)->identity().observes, ElementsAre("t13"));
  EXPECT_THAT(target(std::string(kEcho) + "tells = [\"t2\", \"t5\"]\n")->identity().observes,
              ElementsAre("t2", "t5", "t13"));
}

class HookQuestions : public HookTargetTest {
 protected:
  static constexpr const char* kHead =
      "name = \"ours\"\nfaults = { kill = \"broker\" }\n[inject]\nargv = [\"/bin/true\"]\n"
      "[effective]\nargv = [\"/bin/true\"]\n[heal]\nargv = [\"/bin/true\"]\n";
  std::vector<std::string> objections(const std::string& more) {
    const auto asked = target(kHead + more);
    std::vector<std::string> all;
    auto body = [](HookTarget* of, std::vector<std::string>* into) -> Task<void> {
      std::vector<Hit> hits(2);
      hits[0] = {.step = "a",
                 .fault = Fault::kill,
                 .brokers = {2},
                 .zone = {},
                 .direction = {},
                 .settings = {}};
      hits[1] = {.step = "b",
                 .fault = Fault::drain,
                 .brokers = {9},
                 .zone = {},
                 .direction = {},
                 .settings = {}};
      *into = co_await of->objections(hits);
    };
    shards_.run(0, body(asked.get(), &all));
    return all;
  }
};

TEST_F(HookQuestions, ABrokerThatTheHooksDoNotKnowIsNotHit) {
  EXPECT_THAT(objections(""), testing::IsEmpty());
  EXPECT_THAT(objections("[list]\nargv = [\"/bin/echo\", '{\"brokers\": [1, \"2\"]}']\n"),
              testing::IsEmpty());
  EXPECT_THAT(objections("[list]\nargv = [\"/bin/echo\", '{\"brokers\": [1, 3]}']\n"),
              ElementsAre("step a: the hooks of ours know no broker 2"));
}

TEST_F(HookQuestions, AStatusThatIsNotGoodSpeaksAgainstIt) {
  EXPECT_THAT(objections("[status]\nargv = [\"/bin/true\"]\n"), testing::IsEmpty());
  EXPECT_THAT(objections("[status]\nargv = [\"/bin/false\"]\n"),
              ElementsAre(HasSubstr("hook status")));
}

TEST(HookFile, ACleanUpHasAPlan) {
  const auto file = parse_hook_file("[cleanup]\nargv = [\"a\"]");
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error(), ElementsAre(HasSubstr("has [cleanup] and no [plan]")));
}

TEST(HookFile, ALogTellsWhatNobodyElseSees) {
  const auto refusal = [](const char* text) {
    const auto file = parse_hook_file(text);
    return file ? std::vector<std::string>{} : file.error();
  };
  EXPECT_THAT(refusal("[log]\nargv = [\"a\"]\ntells = [\"t2\", \"t8\"]"),
              ElementsAre("line 1: [log] tells 't8', and can be asked for t2, t3, t4, t5, t6"));
  EXPECT_THAT(refusal("[plan]\nargv = [\"a\"]\ntells = [\"t2\"]"),
              ElementsAre(HasSubstr("knows no 'tells'")));
}

}  // namespace
}  // namespace paceline::drill
