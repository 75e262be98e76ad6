#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "drill/broker_events.h"
#include "drill/dev_file.h"
#include "drill/keeper.h"
#include "drill/local_process.h"
#include "drill/metrics_lines.h"
#include "drill/saboteur.h"
#include "drill/wall_time.h"
#include "env/test_shards.h"

// What a drill reads of the world, and how it keeps what it has seen.

namespace paceline::drill {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using Row = evidence::LedgerRow;

TEST(WallTime, ThereAndBack) {
  EXPECT_EQ(rfc3339(0), "1970-01-01T00:00:00.000Z");
  const int64_t at = 1'795'823'999'123;
  EXPECT_EQ(parse_wall_time(rfc3339(at)), at);
  EXPECT_EQ(parse_wall_time("1970-01-02"), 86'400'000);
  for (const char* wrong : {"", "yesterday", "1970-13-01", "1970-01-01T25:00:00Z", "1970-01-01T0"})
    EXPECT_EQ(parse_wall_time(wrong), std::nullopt) << wrong;
}

TEST(Metrics, AreSummedByNameAndLabel) {
  constexpr std::string_view kText =
      "# HELP a_total words\n"
      "a_total{purpose=\"x\",kind=\"put\"} 3\n"
      "a_total{purpose=\"y\",kind=\"put\"} 4.5\n"
      "a_total{purpose=\"y\",kind=\"get\"} 7\n"
      "a_total_more 100\n"
      "b 1e3\n";
  EXPECT_EQ(sum_of(kText, "a_total", "kind=\"put\""), 7.5);
  EXPECT_EQ(sum_of(kText, "b", ""), 1000);
  EXPECT_EQ(sum_of(kText, "c", ""), std::nullopt);
}

TEST(ProcStat, ANameMayHoldAnything) {
  const auto look = parse_stat(
      "42 (a ) S (b) T 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 18446744073709551615 5 "
      "rest",
      4096);
  ASSERT_TRUE(look);
  EXPECT_EQ(look->process, (LocalProcess{42, 777}));
  EXPECT_EQ(look->state, 'T');
  EXPECT_EQ(look->cpu_ticks, 11u + 12u);
  EXPECT_TRUE(look->exiting);
  EXPECT_EQ(look->resident_bytes, 5 * 4096);
  EXPECT_FALSE(parse_stat("42 (a", 4096));
  EXPECT_FALSE(parse_stat("", 4096));
}

TEST(ProcStat, WeLive) {
  env::RealTestShards shards;
  env::Disk& disk = shards.shard(0).disk();
  const auto look = look_at_process(disk, ::getpid());
  ASSERT_TRUE(look);
  EXPECT_TRUE(lives(disk, look->process));
  EXPECT_FALSE(look->exiting);
  EXPECT_FALSE(lives(disk, {::getpid(), look->process.start_ticks + 1}));
  EXPECT_TRUE(same_clock(::getpid(), ::getpid()));
  EXPECT_FALSE(signal_pending(disk, look->process, 15));
}

constexpr const char* kDev = R"({"kind": "DevCluster", "state": "ready", "folder": "/f",
 "restart": false, "bootstrap": "127.0.0.1:1", "store": "folder", "services": [
 {"name": "etcd-1", "role": "etcd", "number": 1, "state": "ready", "pid": 5,
  "address": "127.0.0.1:9752", "admin": null, "starts": 1, "command": ["etcd", "--name"]},
 {"name": "broker-2", "role": "broker", "number": 2, "state": "ended", "pid": null,
  "address": "127.0.0.1:9092", "admin": "127.0.0.1:9644", "starts": 3, "command": []}]})";

TEST(DevFile, TellsWhoRunsWhere) {
  const auto dev = parse_dev_file(kDev);
  ASSERT_TRUE(dev);
  EXPECT_FALSE(dev->restart);
  ASSERT_NE(dev->broker(2), nullptr);
  EXPECT_EQ(dev->broker(2)->admin_port, 9644);
  EXPECT_EQ(dev->broker(2)->pid, 0);
  EXPECT_EQ(dev->broker(1), nullptr);
  EXPECT_THAT(dev->of_role("etcd"), SizeIs(1));
  EXPECT_EQ(dev->of_role("etcd").front()->command, "etcd --name");
}

TEST(DevFile, WhatIsNoneIsRefused) {
  for (const char* wrong : {"", "[]", "{}", "{\"kind\": \"DevCluster\"}",
                            "{\"kind\": \"DevCluster\", \"services\": [1]}"})
    EXPECT_FALSE(parse_dev_file(wrong)) << wrong;
  const auto odd = parse_dev_file(
      "{\"kind\": \"DevCluster\", \"services\": [{\"role\": \"broker\", \"pid\": -5, \"number\": "
      "1e99, \"address\": \"nowhere\"}]}");
  ASSERT_TRUE(odd);
  EXPECT_EQ(odd->services.front().pid, 0);
  EXPECT_EQ(odd->services.front().port, 0);
}

Row row(Row::Kind kind, uint64_t seq, int64_t offset) {
  Row one;
  one.kind = kind;
  one.seq = seq;
  one.offset = offset;
  return one;
}

TEST(Saboteur, DropsWhatWasAcknowledgedAndDoublesWhatWasRead) {
  std::vector<Row> rows;
  Saboteur saboteur("drop-ack,double-record", [&](const Row& one) { rows.push_back(one); });
  for (uint64_t seq = 0; seq < 100; ++seq)
    saboteur.row(row(Row::Kind::acked, seq, static_cast<int64_t>(seq)));
  for (uint64_t seq = 0; seq < 100; ++seq)
    saboteur.row(row(Row::Kind::read_back, seq, static_cast<int64_t>(seq)));
  size_t acked = 0;
  std::map<uint64_t, int> read;
  for (const Row& one : rows) {
    if (one.kind == Row::Kind::acked) ++acked;
    if (one.kind == Row::Kind::read_back) ++read[one.seq];
  }
  EXPECT_EQ(acked, 100u);
  EXPECT_EQ(read.size(), 99u);
  EXPECT_EQ(std::ranges::count_if(read, [](const auto& one) { return one.second == 2; }), 1);
}

TEST(Saboteur, LeavesAllAloneUnlessItIsAsked) {
  size_t rows = 0;
  Saboteur saboteur("", [&](const Row&) { ++rows; });
  for (uint64_t seq = 0; seq < 200; ++seq) saboteur.row(row(Row::Kind::read_back, seq, 1));
  EXPECT_EQ(rows, 200u);
}

TEST(BrokerEvents, AreNumberedByTheirSourceAndComeOnce) {
  const std::string event =
      R"({"specversion":"1.0","id":"2.7-5","source":"paceline:2.7","type":"paceline.lane.sealed",)"
      R"("time":"2026-11-27T00:00:00.000Z","data":{"run_id":null,"event_id":"2.7-5","source":"2.7",)"
      R"("source_seq":5,"t_mono_ns":1234,"t_wall":"2026-11-27T00:00:00.000Z","clock_err_ns":null,)"
      R"("plane":"storage","type":"lane.sealed","lane":"1.3","topic":null,"partition":null,)"
      R"("leader_epoch":null,"offset":null,"object_key":null,"request_id":null,"client_id":null,)"
      R"("cause_id":"1.3","value":2.5,"unit":"ms","figures":{"end_position":9}}})";
  std::map<std::string, uint64_t> seen;
  const auto bound = [](int32_t broker) -> std::optional<int64_t> {
    return broker == 2 ? std::optional<int64_t>(42) : std::nullopt;
  };
  const auto adopted = adopt_broker_event(event, seen, bound);
  ASSERT_TRUE(adopted);
  EXPECT_EQ(adopted->source, "paceline:2.7");
  EXPECT_EQ(adopted->event_id, "paceline:2.7-5");
  EXPECT_EQ(adopted->cause_id, "1.3");
  EXPECT_EQ(adopted->clock_err_ns, 42);
  EXPECT_EQ(adopted->integer("own_t_mono_ns"), 1234);
  EXPECT_FALSE(adopt_broker_event(event, seen, bound));  // again
  EXPECT_FALSE(adopt_broker_event("nonsense", seen, bound));
}

class KeeperTest : public testing::Test {
 protected:
  std::string text(const char* name) const {
    std::ifstream in(folder() + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::string folder() const { return shards_.dir() + "/drills/r1"; }
  void run(std::function<Task<void>(env::Shard&)> make) { shards_.run(0, make(shards_.shard(0))); }
  env::RealTestShards shards_;
};

TEST_F(KeeperTest, NumbersWhatComesAndWritesIt) {
  run([this](env::Shard& shard) -> Task<void> {
    return [](env::Shard& on, std::string where) -> Task<void> {
      auto opened = co_await Keeper::open(on, where, "r1", "plan = 1\n");
      EXPECT_TRUE(opened);
      Keeper& keeper = **opened;
      EXPECT_EQ(keeper.add(keeper.event("run.began")), "drill-1");
      evidence::Event seen;
      seen.source = "probe";
      seen.plane = "client";
      seen.type = "client.started";
      EXPECT_EQ(keeper.add(seen), "probe-1");
      EXPECT_EQ(keeper.add(keeper.event("run.ended")), "drill-2");
      Row acked;
      acked.kind = Row::Kind::acked;
      keeper.add(acked);
      keeper.add(acked);
      keeper.add_hook_line("{}");
      evidence::Run described;
      described.run_id = "r1";
      keeper.describe(described);
      EXPECT_TRUE(co_await keeper.flush());
      keeper.add_hook_line("{\"more\":1}");
      EXPECT_TRUE(co_await keeper.flush());
      // A second run of this name is another one's.
      EXPECT_FALSE(co_await Keeper::open(on, where, "r1", ""));
    }(shard, folder());
  });
  const auto timeline = evidence::parse_timeline(text("timeline.ndjson"));
  ASSERT_THAT(timeline.events, SizeIs(3));
  EXPECT_THAT(timeline.damaged_lines, SizeIs(0));
  EXPECT_EQ(timeline.events[0].run_id, "r1");
  EXPECT_EQ(timeline.events[0].clock_err_ns, 0);
  EXPECT_GT(timeline.events[0].t_mono_ns, 0);
  const auto ledger = evidence::parse_ledger(text("ledger.bin"));
  ASSERT_TRUE(ledger);
  EXPECT_THAT(ledger->rows, SizeIs(2));
  EXPECT_EQ(text("hooks.log"), "{}\n{\"more\":1}\n");
  EXPECT_EQ(text("plan.toml"), "plan = 1\n");
  EXPECT_EQ(evidence::parse_run(text("run.json"))->run_id, "r1");
}

TEST_F(KeeperTest, ALostDiskIsSaid) {
  run([this](env::Shard& shard) -> Task<void> {
    return [](env::Shard& on, std::string where) -> Task<void> {
      auto opened = co_await Keeper::open(on, where, "r1", "");
      EXPECT_TRUE(opened);
      std::filesystem::remove_all(where);
      (*opened)->add((*opened)->event("run.began"));
      EXPECT_FALSE(co_await (*opened)->flush());
      EXPECT_THAT((*opened)->failure(), HasSubstr("timeline"));
    }(shard, folder());
  });
}

}  // namespace
}  // namespace paceline::drill
