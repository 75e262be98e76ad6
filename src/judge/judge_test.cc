#include "judge/judge.h"

#include <gtest/gtest.h>

#include "judge/test_report.h"

namespace paceline::judge {
namespace {

using Row = evidence::LedgerRow;

TEST(Judge, AGoodRunIsGreen) {
  const auto derived = TestEvidence::kill().judged();
  EXPECT_EQ(derived.verdict, State::green) << derived.sentence;
  EXPECT_EQ(derived.exit_code, 0);
  const Json report = Json::parse(derived.report_json);
  EXPECT_EQ(report["verdict"], "green") << report["reason"];
  for (const char* row : {"leaders", "storage", "rollback", "evidence", "business"})
    EXPECT_EQ(state_of(report, "scorecard", row), "green") << row;
  EXPECT_EQ(state_of(report, "scorecard", "capacity"), "grey");
  EXPECT_EQ(state_of(report, "negative_tests", "N1"), "green");
  EXPECT_EQ(state_of(report, "negative_tests", "N8"), "grey");
  EXPECT_EQ(report["gap"]["max_ms"], 803.0);
  EXPECT_EQ(report["gap"]["samples"], 3);
  EXPECT_TRUE(report["gap"]["p99_ms"].is_null()) << "of three samples";
  EXPECT_EQ(report["counts"]["lost"], 0);
  EXPECT_EQ(report["next_step"]["kind"], "none");
}

TEST(Judge, TheSameEvidenceGivesTheSameBytes) {
  const TestEvidence evidence = TestEvidence::kill();
  const auto one = evidence.judged();
  const auto other = evidence.judged();
  EXPECT_EQ(one.report_json, other.report_json);
  EXPECT_EQ(one.junit_xml, other.junit_xml);
  EXPECT_EQ(one.metrics_prom, other.metrics_prom);
  EXPECT_EQ(one.screen, other.screen);
}

TEST(Judge, TheScreenHasEightyColumns) {
  const std::string screen = TestEvidence::kill().judged().screen;
  size_t from = 0;
  size_t lines = 0;
  for (size_t end = screen.find('\n'); end != std::string::npos; end = screen.find('\n', from)) {
    EXPECT_LE(end - from, 80u) << screen.substr(from, end - from);
    from = end + 1;
    ++lines;
  }
  EXPECT_LE(lines, 40u) << screen;
}

TEST(Judge, WhatIsNotThereIsNamed) {
  for (const char* name : {"run.json", "timeline.ndjson", "ledger.bin"}) {
    Files files = TestEvidence::kill().files();
    files.erase(name);
    const auto derived = judge(files);
    ASSERT_FALSE(derived);
    EXPECT_NE(derived.error().message.find(name), std::string::npos);
  }
}

TEST(Judge, ALostRecordIsRed) {
  const auto evidence = TestEvidence::kill({.on_row = [](Row& row) {
    return !(is_probe(row, 70) &&
             (row.kind == Row::Kind::read || row.kind == Row::Kind::read_back));
  }});
  const auto derived = evidence.judged();
  const Json report = Json::parse(derived.report_json);
  EXPECT_EQ(derived.exit_code, 4);
  EXPECT_EQ(report["counts"]["lost"], 1);
  EXPECT_EQ(report["anomalies"][0]["name"], "never-read");
  EXPECT_EQ(report["anomalies"][0]["seq"], 70);
  EXPECT_EQ(report["next_step"]["kind"], "architecture");
  bool lost = false;
  for (const Json& anomaly : report["anomalies"]) lost |= anomaly["name"] == "lost-write";
  EXPECT_TRUE(lost);
}

TEST(Judge, ARecordThatIsThereTwiceIsRed) {
  TestEvidence evidence = TestEvidence::kill();
  for (const Row& row : std::vector<Row>(evidence.rows))
    if (is_probe(row, 70) && row.kind == Row::Kind::read_back) {
      evidence.rows.push_back(row);
      ++evidence.rows.back().offset;
    }
  const Json report = report_of(evidence);
  EXPECT_EQ(report["verdict"], "red");
  EXPECT_EQ(report["counts"]["duplicated"], 1);
}

TEST(Judge, ReadingTwiceIsNoDuplicate) {
  TestEvidence evidence = TestEvidence::kill();
  for (const Row& row : std::vector<Row>(evidence.rows))
    if (is_probe(row, 70) && row.kind != Row::Kind::sent && row.kind != Row::Kind::acked)
      evidence.rows.push_back(row);
  EXPECT_EQ(report_of(evidence)["verdict"], "green") << report_of(evidence)["reason"];
}

TEST(Judge, DamagedBytesAreRed) {
  const Json report = report_of(TestEvidence::kill({.on_row = [](Row& row) {
    if (is_probe(row, 70) && row.kind == Row::Kind::read_back) row.damaged = true;
    return true;
  }}));
  EXPECT_EQ(report["verdict"], "red");
  EXPECT_EQ(report["counts"]["damaged"], 1);
}

TEST(Judge, RecordsOutOfOrderAreRed) {
  const Json report = report_of(TestEvidence::kill({.on_row = [](Row& row) {
    if (row.kind == Row::Kind::sent) return true;
    if (is_probe(row, 70)) {
      row.offset = 71;
    } else if (is_probe(row, 71)) {
      row.offset = 70;
    }
    return true;
  }}));
  EXPECT_EQ(report["verdict"], "red");
  EXPECT_EQ(report["counts"]["reordered"], 1);
}

TEST(Judge, AnErrorThatAnApplicationIsToldIsRed) {
  const Json report = report_of(TestEvidence::kill({.on_row = [](Row& row) {
    if (!is_probe(row, 70) || row.kind == Row::Kind::sent) return true;
    if (row.kind != Row::Kind::acked) return false;
    row.kind = Row::Kind::unknown;
    row.offset = -1;
    return true;
  }}));
  EXPECT_EQ(report["counts"]["errors"], 1);
  EXPECT_EQ(figure_of(report, "leaders", "errors")["state"], "red");
  EXPECT_EQ(report["verdict"], "red");
}

TEST(Judge, AnOldLeaderThatAcknowledgesBelowItsSuccessorIsFound) {
  constexpr int64_t kLater = TestEvidence::kT0 + 5 * TestEvidence::kSecond;
  const Json report = report_of(TestEvidence::kill({.on_row = [](Row& row) {
    if (row.topic != 0 || row.partition != 0 || row.kind != Row::Kind::acked) return true;
    if (row.intended_ns < kLater || row.intended_ns >= kLater + 40 * TestEvidence::kMs) return true;
    row.broker = 1;
    row.offset -= 100;
    return true;
  }}));
  EXPECT_EQ(report["verdict"], "red");
  bool found = false;
  for (const Json& anomaly : report["anomalies"]) found |= anomaly["name"] == "ack-after-fence";
  EXPECT_TRUE(found);
}

TEST(Judge, AGapBeyondItsLimitIsAmberAndThenRed) {
  const Json amber = report_of(TestEvidence::kill({.down_ms = 7'000}));
  EXPECT_EQ(figure_of(amber, "leaders", "client gap, unplanned")["state"], "amber");
  EXPECT_EQ(amber["verdict"], "amber") << amber["reason"];
  EXPECT_EQ(TestEvidence::kill({.down_ms = 7'000}).judged().exit_code, 0);
  EXPECT_EQ(report_of(TestEvidence::kill({.down_ms = 12'000}))["verdict"], "red");
}

TEST(Judge, APlanSetsItsOwnLimits) {
  TestEvidence evidence = TestEvidence::kill({.down_ms = 7'000});
  evidence.run.limits = {{"gap_unplanned_ms", 8'000}};
  EXPECT_EQ(figure_of(report_of(evidence), "leaders", "client gap, unplanned")["state"], "green");
  evidence.run.limits = {{"gap_unplanned_ms", 100}, {"gap_unplanned_ms_amber", 200}};
  EXPECT_EQ(report_of(evidence)["verdict"], "red");
}

TEST(Judge, AClientThatIsNeverAnsweredAgainIsRed) {
  const Json report = report_of(TestEvidence::kill({.on_row = [](Row& row) {
    return row.topic != 0 || row.partition != 0 || row.kind == Row::Kind::sent ||
           row.intended_ns < TestEvidence::kT0 - 10 * TestEvidence::kMs;
  }}));
  EXPECT_EQ(report["verdict"], "red");
  EXPECT_EQ(report["steps"][0]["state"], "red");
  EXPECT_EQ(report["partitions"][0]["milestones"]["t8"]["state"], "never");
}

TEST(Judge, ABrokerThatStaysDeadIsRed) {
  TestEvidence evidence = TestEvidence::kill();
  evidence.erase("fault.healed");
  EXPECT_EQ(report_of(evidence)["verdict"], "red");
  evidence = TestEvidence::kill();
  for (auto& event : evidence.events)
    if (event.type == "metadata.snapshot" && event.word("when") == "after")
      event.figures["leaders"] = std::string("{\"2\":5,\"3\":3}");
  const Json report = report_of(evidence);
  EXPECT_EQ(report["verdict"], "red");
  EXPECT_EQ(figure_of(report, "leaders", "brokers that stayed away")["value"], 1.0);
}

TEST(Judge, AGroupThatRebalancesTooOftenIsAmberThenRed) {
  TestEvidence evidence = TestEvidence::kill();
  const auto rebalance = [&evidence](const char* what, int64_t at_s) {
    auto& event = evidence.add("probe", "client", "group.rebalanced",
                               TestEvidence::kT0 + at_s * TestEvidence::kSecond);
    event.figures = {{"group", std::string("drill-group")},
                     {"member", std::string("member-0")},
                     {"event", std::string(what)}};
  };
  rebalance("assigned", 40);
  EXPECT_EQ(report_of(evidence)["verdict"], "green") << report_of(evidence)["reason"];
  rebalance("assigned", 40);
  const Json report = report_of(evidence);
  EXPECT_EQ(report["verdict"], "amber");
  EXPECT_EQ(report["counts"]["rebalances_extra"], 1);
  rebalance("assigned", 40);
  EXPECT_EQ(report_of(evidence)["verdict"], "red");
  evidence = TestEvidence::kill();
  rebalance("revoked", 40);
  EXPECT_EQ(figure_of(report_of(evidence), "leaders", "groups without")["state"], "red");
}

TEST(Judge, AGuardThatTrippedIsRed) {
  TestEvidence evidence = TestEvidence::kill();
  evidence.run.outcome = "guarded";
  auto& guard = evidence.drill("guard.tripped", TestEvidence::kT0 + 50 * TestEvidence::kSecond);
  guard.figures = {{"rule", std::string("errors")}, {"measured", 0.2}, {"limit", 0.01}};
  EXPECT_EQ(report_of(evidence)["verdict"], "red");
}

TEST(Judge, HistoricalBytesAreRedAndUnobservedOnesAreGrey) {
  TestEvidence evidence = TestEvidence::kill();
  evidence.find("lane.recovered").figures["log_bytes"] = int64_t{900} << 20;
  const Json copied = report_of(evidence);
  EXPECT_GT(copied["recovery"]["historical_bytes_copied"], 800 << 20);
  EXPECT_EQ(copied["verdict"], "red");

  evidence = TestEvidence::kill();
  evidence.erase("lane.recovered");
  evidence.erase("lane.uploaded");
  const Json grey = report_of(evidence);
  EXPECT_TRUE(grey["recovery"]["historical_bytes_copied"].is_null()) << "nobody observed it";
  EXPECT_EQ(state_of(grey, "scorecard", "storage"), "grey");
  EXPECT_EQ(grey["verdict"], "grey");
  EXPECT_EQ(evidence.judged().exit_code, 7);
}

TEST(Judge, WhatAnHeirWasGivenMeanwhileIsNoHistory) {
  TestEvidence evidence = TestEvidence::kill();
  evidence.find("lane.uploaded").figures["bytes"] = int64_t{900} << 20;
  const Json report = report_of(evidence);
  EXPECT_EQ(report["recovery"]["historical_bytes_copied"], 0);
  EXPECT_EQ(state_of(report, "scorecard", "storage"), "green");
}

TEST(Judge, GroupsOfALogInFilesAreNoRequests) {
  TestEvidence evidence = TestEvidence::kill();
  for (auto& event : evidence.events)
    if (event.type == "lane.recovered") {
      event.figures["requests"] = int64_t{1'001};
      event.figures["log_groups"] = int64_t{1'000};
    }
  const Json report = report_of(evidence);
  EXPECT_EQ(report["recovery"]["requests"]["get"], 2) << "4 MiB have room for a thousand pages";
  EXPECT_EQ(report["verdict"], "green") << report["reason"];
  for (auto& event : evidence.events)
    if (event.type == "lane.sealed") {
      event.figures["uploaded_position"] = int64_t{5'000};
      event.figures["end_position"] = int64_t{6'000};
    }
  EXPECT_EQ(report_of(evidence)["recovery"]["requests"]["get"], 2'002) << "each was a slot";
}

TEST(Judge, AReplicaThatIsCopiedIsHistorical) {
  TestEvidence evidence = TestEvidence::kill();
  evidence.erase("lane.recovered");
  evidence.erase("lane.uploaded");
  for (auto& event : evidence.events)
    if (event.type == "storage.snapshot") {
      const bool after = event.word("when") == "after";
      event.figures["log_bytes"] = int64_t{after ? 5'000'000'000 : 1'000'000'000};
      event.figures["produced_bytes"] = int64_t{after ? 60'000'000 : 30'000'000};
    }
  EXPECT_EQ(report_of(evidence)["recovery"]["historical_bytes_copied"], 3'964'000'000);
}

TEST(Judge, ARollbackNeedsAnOwnerAndTheSameState) {
  TestEvidence evidence = TestEvidence::kill();
  evidence.run.rollback.owner.clear();
  EXPECT_EQ(state_of(report_of(evidence), "scorecard", "rollback"), "red");
  evidence = TestEvidence::kill();
  evidence.find("rollback.done").figures["equal"] = false;
  EXPECT_EQ(report_of(evidence)["verdict"], "red");
  evidence = TestEvidence::kill();
  evidence.erase("rollback.evaluated");
  EXPECT_EQ(state_of(report_of(evidence), "scorecard", "rollback"), "amber");
  evidence.erase("rollback.done");
  evidence.run.rollback.rehearsed_ms.reset();
  EXPECT_EQ(state_of(report_of(evidence), "scorecard", "rollback"), "grey");
}

TEST(Judge, ASumThatIsOffIsRed) {
  TestEvidence evidence = TestEvidence::kill();
  for (auto& event : evidence.events)
    if (event.type == "business.stale") event.figures["sum"] = int64_t{5};
  EXPECT_EQ(state_of(report_of(evidence), "scorecard", "business"), "red");
  evidence.erase("business.stale");
  EXPECT_EQ(state_of(report_of(evidence), "scorecard", "business"), "grey");
}

TEST(Judge, ARowWithoutEvidenceCountsIfThePlanRequiresIt) {
  TestEvidence evidence = TestEvidence::kill();
  evidence.erase("rollback.done");
  evidence.run.rollback.rehearsed_ms.reset();
  evidence.run.plan.requires_rows = {"leaders"};
  const Json report = report_of(evidence);
  EXPECT_EQ(report["verdict"], "green") << report["reason"];
  EXPECT_EQ(state_of(report, "scorecard", "rollback"), "grey");
  evidence.run.plan.requires_rows = {"leaders", "rollback"};
  EXPECT_EQ(report_of(evidence)["verdict"], "grey");
}

TEST(Judge, WhatIsProvedCountsThoughNoPlanRequiresIt) {
  TestEvidence evidence = TestEvidence::kill();
  evidence.run.plan.requires_rows = {"leaders"};
  for (auto& event : evidence.events)
    if (event.type == "business.stale" && event.t_mono_ns > TestEvidence::kT0 &&
        event.t_mono_ns < TestEvidence::kT0 + 5 * TestEvidence::kSecond)
      event.value = 5'000;
  Json report = report_of(evidence);
  EXPECT_EQ(state_of(report, "scorecard", "business"), "amber");
  EXPECT_EQ(report["verdict"], "amber");
  EXPECT_TRUE(report["reason"].get<std::string>().starts_with("business: ")) << report["reason"];
  evidence = TestEvidence::kill();
  evidence.run.plan.requires_rows = {"leaders"};
  for (auto& event : evidence.events)
    if (event.type == "business.stale") event.figures["sum"] = int64_t{5};
  report = report_of(evidence);
  EXPECT_EQ(state_of(report, "scorecard", "business"), "red");
  EXPECT_EQ(report["verdict"], "red");
  EXPECT_EQ(evidence.judged().exit_code, 4);
  EXPECT_TRUE(report["reason"].get<std::string>().starts_with("business: ")) << report["reason"];
}

TEST(Judge, ARunThatWasKilledOrInterruptedIsGreyAtBest) {
  TestEvidence evidence = TestEvidence::kill();
  evidence.run.ended.clear();
  evidence.run.outcome = "running";
  EXPECT_EQ(evidence.judged().exit_code, 7);
  evidence.run.ended = "2026-01-01T00:01:10Z";
  evidence.run.outcome = "interrupted";
  EXPECT_EQ(report_of(evidence)["verdict"], "grey");
  evidence.find("rollback.done").figures["equal"] = false;
  EXPECT_EQ(report_of(evidence)["verdict"], "red") << "what was proved against it stays so";
}

TEST(Judge, ARefusedRunHasItsOwnExitCode) {
  TestEvidence evidence;
  evidence.run.run_id = "r8";
  evidence.run.ended = "2026-01-01T00:01:10Z";
  evidence.run.outcome = "refused";
  evidence.run.reason = "step s1 leaves 3 partitions without a leader";
  evidence.drill("run.began", TestEvidence::kBegan);
  const auto derived = evidence.judged();
  EXPECT_EQ(derived.exit_code, 6);
  EXPECT_EQ(derived.verdict, State::grey);
  EXPECT_EQ(Json::parse(derived.report_json)["reason"], evidence.run.reason);
  EXPECT_TRUE(judge({{"run.json", evidence::to_json(evidence.run)},
                     {"timeline.ndjson", ""},
                     {"ledger.bin", evidence::ledger_header()}}));
}

TEST(Judge, HolesAndDamageAreToldAndForbidGreen) {
  TestEvidence evidence = TestEvidence::kill();
  std::erase_if(evidence.events, [](const auto& event) { return event.event_id == "drill-9"; });
  Json report = report_of(evidence);
  EXPECT_EQ(report["evidence"]["holes"][0]["source"], "drill");
  EXPECT_EQ(report["evidence"]["holes"][0]["missing"], 1);
  EXPECT_EQ(state_of(report, "scorecard", "evidence"), "red");

  Files files = TestEvidence::kill().files();
  files["ledger.bin"].pop_back();
  files["timeline.ndjson"] += "half a li";
  report = Json::parse(judge(files)->report_json);
  EXPECT_EQ(report["evidence"]["cut"], true);
  EXPECT_EQ(report["evidence"]["damaged_lines"], 1);
  EXPECT_NE(report["verdict"], "green");

  files = TestEvidence::kill().files();
  files["plan.toml"] += "# changed\n";
  EXPECT_EQ(state_of(Json::parse(judge(files)->report_json), "scorecard", "evidence"), "red");
}

TEST(Judge, AnIncompleteReadBackProvesNoLoss) {
  TestEvidence evidence = TestEvidence::kill(
      {.on_row = [](Row& row) { return row.kind != Row::Kind::read_back || row.seq < 1'000; }});
  EXPECT_EQ(report_of(evidence)["verdict"], "red");
  for (auto& event : evidence.events)
    if (event.word("action") == "ledger.read_back") event.figures["outcome"] = std::string("cut");
  const Json report = report_of(evidence);
  EXPECT_EQ(report["counts"]["lost"], 0);
  EXPECT_EQ(report["anomalies"].size(), 0u) << report["anomalies"].dump();
}

TEST(Judge, NothingReadBackIsGrey) {
  TestEvidence evidence =
      TestEvidence::kill({.on_row = [](Row& row) { return row.kind != Row::Kind::read_back; }});
  evidence.erase("action.done");
  std::erase_if(evidence.events, [](const auto& event) { return event.word("phase") == "P7"; });
  const Json report = report_of(evidence);
  EXPECT_TRUE(report["counts"]["lost"].is_null());
  EXPECT_EQ(state_of(report, "scorecard", "leaders"), "grey");
}

TEST(Judge, ADamagedRecordOfNobodyIsDamage) {
  TestEvidence evidence = TestEvidence::kill();
  Row row;
  row.kind = Row::Kind::read_back;
  row.client = Row::kNone;
  row.damaged = true;
  evidence.rows.push_back(row);
  const Json report = report_of(evidence);
  EXPECT_EQ(report["counts"]["damaged"], 1);
  EXPECT_EQ(report["evidence"]["damaged_rows"], 0);
  EXPECT_EQ(report["verdict"], "red");
}

TEST(Judge, DamageAnywhereIsJudgedOrRefused) {
  const Files good = TestEvidence::kill({.interval_ms = 2'000}).files();
  uint64_t random = 1;
  const auto next = [&random](size_t below) {
    random = random * 6'364'136'223'846'793'005u + 1'442'695'040'888'963'407u;
    return static_cast<size_t>(random >> 33) % below;
  };
  int judged = 0;
  for (int round = 0; round < 160; ++round) {
    Files files = good;
    for (const char* name : {"run.json", "timeline.ndjson", "ledger.bin"}) {
      std::string& bytes = files[name];
      // A digit becomes another one: most of them are numbers that have to be bounded.
      for (int i = 0; i < 8; ++i)
        if (char& byte = bytes[next(bytes.size())]; byte >= '0' && byte <= '9' && round % 2 == 0) {
          byte = static_cast<char>('0' + next(10));
        } else if (i == 0 && round % 4 == 1) {
          byte = static_cast<char>(next(256));
        }
      if (round % 16 == 3) bytes.resize(next(bytes.size()));
    }
    const auto derived = judge(files);
    judged += derived.has_value();
    if (derived) EXPECT_TRUE(Json::accept(derived->report_json));
  }
  EXPECT_GT(judged, 40);
}

}  // namespace
}  // namespace paceline::judge
