#include "evidence/run.h"

#include <gtest/gtest.h>

namespace paceline::evidence {
namespace {

Run some_run() {
  Run run;
  run.run_id = "r7";
  run.seed = 1ull << 63;
  run.began = "2026-01-01T00:00:00Z";
  run.began_ns = 5;
  run.tool_version = "0.1.0";
  run.target.profile = "paceline";
  run.target.brokers = {{1, "127.0.0.1", 9092, "a"}};
  run.target.observes = {"t2", "t4"};
  run.plan.name = "kill";
  run.plan.baseline_s = 120;
  run.plan.requires_rows = {"leaders"};
  run.plan.steps = {{"s1", "kill", "N1", "broker", "someone", false}};
  run.rollback.rehearsed_ms = 900;
  run.limits["gap_max_ms"] = 2500.5;
  run.topics = {{"t", "id", 6, "probe"}};
  run.clients = {{"p0", "producer", "librdkafka", "2.0.2", "a", "", "t", true, false, "all"}};
  return run;
}

TEST(Run, IsReadAsItWasWritten) {
  const std::string json = to_json(some_run());
  const auto run = parse_run(json);
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_EQ(to_json(*run), json);
  EXPECT_EQ(run->seed, 1ull << 63);
  EXPECT_EQ(run->ended, "");
  EXPECT_EQ(run->target.brokers.at(0).port, 9092);
  EXPECT_EQ(run->plan.steps.at(0).test, "N1");
  EXPECT_EQ(run->plan.requires_rows, (std::vector<std::string>{"leaders"}));
  EXPECT_EQ(run->limits.at("gap_max_ms"), 2500.5);
  EXPECT_TRUE(run->clients.at(0).idempotent);
  EXPECT_NE(json.find("\"ended\": null"), std::string::npos);
}

TEST(Run, AFieldThatIsMissingIsAsNull) {
  const auto run = parse_run(R"({"schema":1,"run_id":"r","outcome":"refused","more":{"a":[1]}})");
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_EQ(run->outcome, "refused");
}

TEST(Run, ANameWithNothingInItIsNotThere) {
  const auto empty = [](std::string_view name) {
    std::string json = to_json(some_run());
    json.replace(json.find(name), name.size(), "\"\"");
    const auto run = parse_run(json);
    return run ? std::string("taken") : run.error().message;
  };
  EXPECT_EQ(empty("\"r7\""), "run.json: 'run_id' is not there");
  EXPECT_EQ(empty("\"running\""), "run.json: 'outcome' is not there");
  EXPECT_EQ(empty("\"s1\""), "run.json: 'plan.steps[0].id' is not there");
  EXPECT_EQ(empty("\"t\""), "run.json: 'topics[0].name' is not there");
}

TEST(Run, WhatIsWrongIsNamed) {
  const auto message = [](std::string_view from, std::string_view to) {
    std::string json = to_json(some_run());
    json.replace(json.find(from), from.size(), to);
    const auto run = parse_run(json);
    return run ? std::string("taken") : run.error().message;
  };
  EXPECT_EQ(message("\"port\": 9092", "\"port\": 99092"),
            "run.json: 'target.brokers[0].port' is not a whole number in its bounds");
  EXPECT_EQ(message("\"schema\": 1", "\"schema\": 2"), "run.json: 'schema' is not 1");
  EXPECT_EQ(message("\"run_id\": \"r7\"", "\"run_id\": null"), "run.json: 'run_id' is not there");
  EXPECT_EQ(message("2500.5", "\"much\""), "run.json: 'limits.gap_max_ms' is not a number");
  EXPECT_EQ(message("\"id\": \"s1\"", "\"id\": 1"), "run.json: 'plan.steps[0].id' is not a text");
  EXPECT_EQ(message("\"t2\",", "2,"), "run.json: 'target.observes' is not an array of texts");
  for (const char* text : {"", "[]", "{}", "null", "{\"schema\":1"}) EXPECT_FALSE(parse_run(text));
}

}  // namespace
}  // namespace paceline::evidence
