#pragma once

#include <fmt/format.h>

#include <functional>

#include "base/check.h"
#include "evidence/event.h"
#include "evidence/ledger.h"
#include "evidence/run.h"
#include "judge/judge.h"
#include "judge/manifest.h"

namespace paceline::judge {

// The evidence of a run that a test makes up: a kill of broker 1 of three under load, which went
// well. Each test spoils what it is about.
class TestEvidence {
 public:
  using Event = evidence::Event;
  using Row = evidence::LedgerRow;
  static constexpr int64_t kMs = 1'000'000;
  static constexpr int64_t kSecond = 1'000 * kMs;
  static constexpr int64_t kBegan = 1'000 * kSecond;     // on the drill's clock
  static constexpr int64_t kT0 = kBegan + 20 * kSecond;  // the fault
  static constexpr int32_t kPartitions = 6;              // of the probe topic; 2 of transfers

  evidence::Run run;
  std::vector<Event> events;
  std::vector<Row> rows;
  std::string plan_toml = "name = \"kill\"\n";

  // What of the load is not as the rest; the defaults are the good run.
  struct Load {
    int64_t interval_ms = 20;
    int64_t from_s = 0, to_s = 60;          // since kBegan
    int64_t down_ms = 800;                  // partitions of broker 1 are not answered after t0
    std::function<bool(Row&)> on_row = {};  // changes a row; false: leaves it out
  };

  static TestEvidence kill() { return kill(Load()); }
  static TestEvidence kill(Load load) {
    TestEvidence made;
    made.describe();
    made.phases();
    made.fault();
    made.told_by_brokers();
    made.clients();
    made.outcome();
    made.records(load);
    std::ranges::stable_sort(made.events, {}, &Event::t_mono_ns);
    made.renumber();
    return made;
  }

  Event& add(std::string source, std::string plane, std::string type, int64_t at_ns) {
    Event event;
    event.run_id = run.run_id;
    event.source_seq = ++seqs_[source];
    event.event_id = fmt::format("{}-{}", source, event.source_seq);
    event.source = std::move(source);
    event.t_mono_ns = at_ns;
    event.t_wall = "2026-01-01T00:00:00.000Z";
    event.clock_err_ns = event.source.starts_with("paceline:") ? 400'000 : 0;
    event.plane = std::move(plane);
    event.type = std::move(type);
    events.push_back(std::move(event));
    return events.back();
  }
  Event& drill(std::string type, int64_t at_ns) {
    return add("drill", "control", std::move(type), at_ns);
  }
  Event& find(std::string_view type) {
    for (Event& event : events)
      if (event.type == type) return event;
    CHECK(false && "no event of this type");
    return events.front();
  }
  // Without a hole in the numbers of its source.
  void erase(std::string_view type) {
    std::erase_if(events, [&](const Event& event) { return event.type == type; });
    renumber();
  }

  Files files() const {
    Files files;
    files["plan.toml"] = plan_toml;
    files["run.json"] = evidence::to_json(run);
    for (const Event& event : events) files["timeline.ndjson"] += evidence::to_json(event) + "\n";
    std::string ledger = evidence::ledger_header();
    for (const Row& row : rows) evidence::append_row(row, ledger);
    files["ledger.bin"] = std::move(ledger);
    files["hooks.log"] = "";
    return files;
  }
  Derived judged() const {
    auto derived = judge(files());
    CHECK(derived);
    return std::move(*derived);
  }

 private:
  void renumber() {
    seqs_.clear();
    for (Event& event : events) {
      event.source_seq = ++seqs_[event.source];
      event.event_id = fmt::format("{}-{}", event.source, event.source_seq);
    }
  }

  void describe() {
    run.run_id = "r7";
    run.seed = 42;
    run.began = "2026-01-01T00:00:00Z";
    run.ended = "2026-01-01T00:01:10Z";
    run.began_ns = kBegan;
    run.ended_ns = kBegan + 70 * kSecond;
    run.outcome = "completed";
    run.tool_version = "0.1.0";
    run.build = "c0ffee";
    run.librdkafka = "2.0.2";
    run.target.profile = "paceline";
    run.target.name = "dev";
    run.target.version = "0.1.0";
    run.target.cluster_id = "pAcElInE";
    run.target.bootstrap = "127.0.0.1:9092";
    run.target.config_hash = "8f14e45f";
    for (int32_t id = 1; id <= 3; ++id)
      run.target.brokers.push_back({id, "127.0.0.1", static_cast<uint16_t>(9091 + id),
                                    std::string(1, static_cast<char>('a' + id - 1))});
    run.target.observes = {"t0", "t2", "t3", "t4", "t5", "t6", "t13"};
    run.plan.name = "kill";
    run.plan.sha256 = sha256_of(plan_toml);
    run.plan.baseline_s = 15;
    run.plan.observe_s = 40;
    run.plan.steps = {{"s1", "kill", "N1", "broker", "platform", false}};
    run.rollback = {"leaders as of metadata.snapshot",     "paceline leader give-back", "platform",
                    "roll back if anything is leaderless", "2026-01-01T00:00:50Z",      900};
    run.topics = {{"drill-probe", "t1", kPartitions, "probe"},
                  {"drill-transfer", "t2", 2, "transfer"}};
    run.clients = {
        {"producer-0", "producer", "librdkafka", "2.0.2", "a", "", "drill-probe", true, false,
         "all"},
        {"producer-1", "producer", "librdkafka", "2.0.2", "b", "", "drill-probe", true, false,
         "all"},
        {"transfer-0", "transfer", "librdkafka", "2.0.2", "c", "", "drill-transfer", true, false,
         "all"},
        {"member-0", "consumer", "librdkafka", "2.0.2", "a", "drill-group", "drill-probe", false,
         false, ""},
        {"reader-0", "consumer", "librdkafka", "2.0.2", "b", "", "drill-probe", false, false, ""},
        {"ledger", "transfer", "librdkafka", "2.0.2", "c", "", "drill-transfer", false, false, ""}};
  }

  void phase(const char* id, const char* name, const char* step, int64_t from_s, int64_t to_s) {
    for (const bool begins : {true, false}) {
      Event& event = drill(begins ? "phase.began" : "phase.ended",
                           kBegan + (begins ? from_s : to_s) * kSecond);
      event.figures = {{"phase", std::string(id)}, {"name", std::string(name)}};
      if (*step) event.figures["step"] = std::string(step);
    }
  }
  void phases() {
    drill("run.began", kBegan);
    phase("P0", "plan", "", 0, 1);
    phase("P1", "readiness", "", 1, 4);
    phase("P2", "baseline", "", 4, 19);
    phase("P3", "inject", "s1", 19, 20);
    phase("P4", "observe", "s1", 20, 52);
    phase("P5", "heal", "s1", 52, 60);
    phase("P6", "clean-up", "", 60, 64);
    phase("P7", "read-back", "", 64, 69);
    drill("run.ended", kBegan + 70 * kSecond).figures["outcome"] = std::string("completed");
  }

  void about_fault(Event& event) const {
    event.figures.insert({{"step", std::string("s1")},
                          {"fault", std::string("kill")},
                          {"domain", std::string("broker 1")},
                          {"broker", int64_t{1}},
                          {"planned", false}});
  }
  void fault() {
    about_fault(drill("fault.commanded", kT0 - 20 * kMs));
    Event& effective = drill("fault.effective", kT0);
    about_fault(effective);
    effective.figures["how"] = std::string("the process is gone");
    effective.clock_err_ns = 100'000;
    about_fault(drill("fault.heal_commanded", kBegan + 52 * kSecond));
    about_fault(drill("fault.healed", kBegan + 54 * kSecond));
    Event& rule = drill("rollback.evaluated", kT0 + 30 * kSecond);
    rule.figures = {{"at_s", int64_t{30}},
                    {"rule", std::string("leaderless")},
                    {"decision", std::string("go_on")}};
    Event& rollback = drill("rollback.done", kBegan + 58 * kSecond);
    rollback.value = 640;
    rollback.unit = "ms";
    rollback.figures["equal"] = true;
  }

  void told_by_brokers() {
    const auto say = [this](const char* source, const char* plane, const char* type,
                            int64_t ms) -> Event& {
      Event& event = add(source, plane, type, kT0 + ms * kMs);
      event.lane = "1.7";
      event.cause_id = "1.7";
      return event;
    };
    say("paceline:2.1", "control", "broker.noticed", 120).figures["evidence"] =
        std::string("refused");
    say("paceline:2.1", "control", "broker.fenced", 150);
    for (const char* source : {"paceline:2.1", "paceline:3.1"}) {
      Event& sealed = say(source, "storage", "lane.sealed", 190);
      sealed.figures = {{"end_position", int64_t{64 << 20}},
                        {"uploaded_position", int64_t{60 << 20}}};
      sealed.value = 11.5;
      sealed.unit = "ms";
      Event& recovered = say(source, "storage", "lane.recovered", 400);
      recovered.figures = {{"bytes", int64_t{(2 << 20) + 4096}},
                           {"log_bytes", int64_t{2 << 20}},
                           {"directory_bytes", int64_t{4096}},
                           {"requests", int64_t{3}}};
      recovered.value = 210;
      recovered.unit = "ms";
      say(source, "data", "partition.serving", 500).figures["partitions"] = int64_t{1};
    }
    say("paceline:2.1", "storage", "lane.uploaded", 4'000).figures = {{"bytes", int64_t{2 << 20}},
                                                                      {"requests", int64_t{1}}};
    say("paceline:3.1", "storage", "lane.collected", 9'000);
  }

  void clients() {
    for (size_t i = 0; i < run.clients.size(); ++i)
      add("probe", "client", "client.started", kBegan + 2 * kSecond).client_id =
          run.clients[i].name;
    const auto rebalanced = [this](int64_t at) {
      Event& event = add("probe", "client", "group.rebalanced", at);
      event.figures = {{"group", std::string("drill-group")},
                       {"member", std::string("member-0")},
                       {"event", std::string("assigned")},
                       {"partitions", int64_t{kPartitions}}};
    };
    rebalanced(kBegan + 3 * kSecond);
    for (int32_t i = 0; i < kPartitions + 2; ++i) {
      const bool transfers = i >= kPartitions;
      const int32_t partition = transfers ? i - kPartitions : i;
      const std::string topic = run.topics[transfers ? 1 : 0].name;
      const auto seen = [&](int64_t at, int64_t leader, int32_t epoch) {
        Event& event = add("watcher", "client", "leader.seen", at);
        event.topic = topic;
        event.partition = partition;
        event.leader_epoch = epoch;
        event.figures = {{"leader", leader}, {"by", std::string("watcher:2")}, {"hinted", false}};
      };
      const int64_t leader = partition % 3 + 1;
      seen(kBegan + 3 * kSecond, leader, 4);
      if (leader != 1) continue;
      seen(kT0 + 600 * kMs, 2, 5);
      Event& answers = add("watcher", "client", "broker.answers", kT0 + 610 * kMs);
      answers.topic = topic;
      answers.partition = partition;
      answers.figures["broker"] = int64_t{2};
    }
    for (int64_t second = 4; second < 60; ++second) {
      Event& stale = add("probe", "business", "business.stale", kBegan + second * kSecond + kMs);
      stale.value = second == 20 ? 900 : 30;
      stale.unit = "ms";
      stale.figures = {{"sum", int64_t{0}}, {"expected", int64_t{0}}, {"behind", int64_t{0}}};
      Event& lag = add("probe", "data", "consumer.lag", kBegan + second * kSecond + 2 * kMs);
      lag.figures = {{"consumer", std::string("member-0")},
                     {"group", std::string("drill-group")},
                     {"lag", second == 20 ? int64_t{70} : int64_t{2}}};
    }
  }

  void outcome() {
    for (const char* item : {"client_behaviour", "storage_ownership", "capacity_headroom",
                             "failure_domain_routing", "rollback", "observability"}) {
      Event& checked = drill("readiness.checked", kBegan + 3 * kSecond);
      checked.figures = {
          {"item", std::string(item)},
          {"pass", std::string(std::string_view(item) == "capacity_headroom" ? "amber" : "green")},
          {"measured", std::string("as it should be")},
          {"limit", std::string("as the plan says")},
          {"evidence", std::string("timeline.ndjson")},
          {"expires", std::string("2026-01-02T00:00:00Z")}};
    }
    for (const bool after : {false, true}) {
      const int64_t at = kBegan + (after ? 61 : 18) * kSecond;
      Event& leaders = drill("metadata.snapshot", at);
      leaders.figures = {{"when", std::string(after ? "after" : "before")},
                         {"leaderless", int64_t{0}},
                         {"leaders", std::string("{\"1\":3,\"2\":3,\"3\":2}")}};
      Event& storage = add("drill", "storage", "storage.snapshot", at);
      storage.figures = {{"when", std::string(after ? "after" : "before")},
                         {"unuploaded_bytes", int64_t{4 << 20}},
                         {"requests_put", after ? int64_t{90} : int64_t{20}},
                         {"requests_get", after ? int64_t{41} : int64_t{5}},
                         {"requests_list", after ? int64_t{3} : int64_t{1}},
                         {"bytes_put", after ? int64_t{90 << 20} : int64_t{20 << 20}},
                         {"bytes_got", after ? int64_t{9 << 20} : int64_t{1 << 20}},
                         {"orphans", int64_t{0}},
                         {"replicas_out_of_sync", int64_t{0}},
                         {"reassigning", int64_t{0}}};
    }
    for (const char* of : {"broker:1", "broker:2", "broker:3"}) {
      Event& clock = drill("clock.measured", kBegan + 2 * kSecond);
      clock.figures = {{"of", std::string(of)},
                       {"offset_ns", int64_t{12'000}},
                       {"err_ns", int64_t{400'000}},
                       {"rounds", int64_t{8}}};
    }
    Event& removed = drill("cleanup.done", kBegan + 63 * kSecond);
    removed.figures = {{"removed", int64_t{3}}, {"left", std::string()}};
    Event& read = drill("action.done", kBegan + 68 * kSecond);
    read.figures = {{"action", std::string("ledger.read_back")}, {"outcome", std::string("done")}};
  }

  void put(const Load& load, Row row) {
    if (!load.on_row || load.on_row(row)) rows.push_back(row);
  }
  // Answers take 3 ms; those of broker 1 end with the fault and go on at broker 2.
  void records(const Load& load) {
    const int64_t back = kT0 + load.down_ms * kMs;
    for (uint16_t topic = 0; topic < 2; ++topic) {
      const int32_t partitions = run.topics[topic].partitions;
      for (int32_t partition = 0; partition < partitions; ++partition) {
        const auto client = static_cast<uint16_t>(topic == 1 ? 2 : partition % 2);
        uint64_t seq = 0;
        for (int64_t at = kBegan + (load.from_s + 4) * kSecond; at < kBegan + load.to_s * kSecond;
             at += load.interval_ms * kMs, ++seq) {
          Row row;
          row.client = client;
          row.topic = topic;
          row.partition = partition;
          row.seq = seq;
          row.intended_ns = at;
          row.at_ns = at + 10'000;
          if (topic == 1) {
            row.key = static_cast<uint32_t>(seq / 2 % 64);
            row.amount = seq % 2 == 0 ? 5 : -5;
          }
          put(load, row);
          const bool led_by_1 = partition % 3 == 0;
          const bool waits = led_by_1 && at + 3 * kMs > kT0 && at < back;
          row.kind = Row::Kind::acked;
          row.at_ns = (waits ? back : at) + 3 * kMs;
          row.broker = led_by_1 && at + 3 * kMs > kT0 ? 2 : partition % 3 + 1;
          row.offset = static_cast<int64_t>(seq);
          put(load, row);
          row.kind = Row::Kind::read;
          row.reader = static_cast<uint16_t>(topic == 1 ? 5 : 3);
          row.at_ns += 2 * kMs;
          put(load, row);
          row.kind = Row::Kind::read_back;
          row.at_ns = kBegan + 66 * kSecond;
          put(load, row);
        }
      }
    }
  }

  std::map<std::string, uint64_t> seqs_;
};

}  // namespace paceline::judge
