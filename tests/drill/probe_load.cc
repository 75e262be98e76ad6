#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

#include "env/real_env.h"
#include "probe/admin.h"
#include "probe/probe.h"

// Runs the load of a drill for some seconds against a cluster, and counts what it saw: README.md.

namespace {

using namespace paceline;
using evidence::LedgerRow;

struct Arguments {
  std::string bootstrap;
  int seconds = 10;
  int storm_at = -1;  // seconds; -1: none
  int overhead = 0;   // seconds each; 0: not measured
  bool transactions = false;
  bool quiet = false;
  std::vector<std::vector<std::string>> external;
  std::map<std::string, std::string> settings;
};

struct Seen {
  std::map<std::string, uint64_t> rows, events, errors;
  // A record: client, topic, partition, seq.
  using Record = std::tuple<uint16_t, uint16_t, int32_t, uint64_t>;
  std::set<Record> sent, acked, failed;
  std::map<Record, int> back;
  std::map<std::pair<uint16_t, int32_t>, int64_t> last_ack_ns;
  int64_t gap_ns = 0;
  uint64_t damaged = 0;
};

const char* kind_name(LedgerRow::Kind kind) {
  constexpr const char* kNames[] = {"", "sent", "acked", "failed", "unknown", "read", "read back"};
  return kNames[static_cast<int>(kind)];
}

void see(Seen& seen, const LedgerRow& row) {
  ++seen.rows[kind_name(row.kind)];
  seen.damaged += row.damaged;
  const Seen::Record record{row.client, row.topic, row.partition, row.seq};
  if (row.kind == LedgerRow::Kind::sent) seen.sent.insert(record);
  if (row.kind == LedgerRow::Kind::failed) seen.failed.insert(record);
  if (row.kind == LedgerRow::Kind::read_back) ++seen.back[record];
  if (row.kind != LedgerRow::Kind::acked) return;
  seen.acked.insert(record);
  auto& last = seen.last_ack_ns[{row.topic, row.partition}];
  if (last > 0) seen.gap_ns = std::max(seen.gap_ns, row.at_ns - last);
  last = row.at_ns;
}

void see(Seen& seen, const evidence::Event& event, bool quiet) {
  ++seen.events[event.source + " " + event.type];
  if (event.type == "client.error") ++seen.errors[std::string(event.word("error"))];
  const bool often = event.type == "consumer.lag" || event.type == "business.stale";
  if (!quiet && !often) std::puts(evidence::to_json(event).c_str());
}

// How many there are of each fate; the exit code.
int judge(const Seen& seen) {
  uint64_t lost = 0, doubled = 0, risen = 0;
  for (const auto& record : seen.acked) lost += !seen.back.contains(record);
  for (const auto& [record, count] : seen.back) {
    doubled += count > 1;
    risen += seen.failed.contains(record) || !seen.sent.contains(record);
  }
  for (const auto& [name, count] : seen.rows) fmt::print("rows {:<28} {}\n", name, count);
  for (const auto& [name, count] : seen.events) fmt::print("events {:<26} {}\n", name, count);
  for (const auto& [name, count] : seen.errors) fmt::print("errors {:<26} {}\n", name, count);
  fmt::print("longest gap of a partition {} ms\n", seen.gap_ns / 1'000'000);
  fmt::print("lost {} doubled {} risen {} damaged {}\n", lost, doubled, risen, seen.damaged);
  return lost + doubled + risen + seen.damaged == 0 ? 0 : 1;
}

void print(const probe::Glance& glance) {
  fmt::print(
      "sent {} acked {} failed {} unanswered {} errors {:.3f} wait {} ms lag {} stale {} ms\n",
      glance.sent, glance.acked, glance.failed, glance.unanswered, glance.errors_share_10s,
      glance.longest_wait.count() / 1'000'000, glance.lag, glance.staleness.count() / 1'000'000);
  std::fflush(stdout);
}

Task<Result<int>> run(env::Shard& shard, Arguments arguments) {
  constexpr auto kPatience = std::chrono::seconds(20);
  const std::string run_id = fmt::format("r{}", shard.wall_ms());
  probe::Options options{.bootstrap = arguments.bootstrap,
                         .run_id = run_id,
                         .seed = 7,
                         .zone = "",
                         .settings = arguments.settings,
                         .topics = {{"drill-probe-" + run_id, "", 8, "probe"},
                                    {"drill-transfer-" + run_id, "", 4, "transfer"},
                                    {"drill-bystander-" + run_id, "", 2, "bystander"}},
                         .transactions = arguments.transactions,
                         .external = arguments.external};
  CO_TRY(auto admin, probe::Admin::make(shard, options.bootstrap, options.settings));
  std::vector<probe::Admin::NewTopic> topics;
  std::map<std::string, int32_t> partitions;
  std::vector<std::string> names;
  for (const auto& topic : options.topics) {
    topics.push_back({topic.name, topic.partitions});
    partitions[topic.name] = topic.partitions;
    names.push_back(topic.name);
  }
  CO_TRY_VOID(co_await admin->create_topics(topics, shard.now() + kPatience));
  CO_TRY_VOID(co_await admin->wait_led(partitions, shard.now() + kPatience));
  Seen seen;
  const bool quiet = arguments.quiet;
  CO_TRY(auto load, co_await probe::Load::start(
                        shard, options,
                        {.event = [&](evidence::Event event) { see(seen, event, quiet); },
                         .row = [&](const LedgerRow& row) { see(seen, row); }}));
  if (arguments.overhead > 0)
    co_await load->measure_overhead(std::chrono::seconds(arguments.overhead));
  for (int second = 0; second < arguments.seconds; ++second) {
    if (second == arguments.storm_at) co_await load->storm();
    co_await env::sleep_for(shard, std::chrono::seconds(1));
    print(load->glance());
  }
  co_await load->finish(shard.now() + std::chrono::seconds(60));
  print(load->glance());
  const auto back = co_await load->read_back(shard.now() + kPatience);
  if (!back) fmt::print("read back: {}\n", back.error().message);
  const int code = judge(seen);
  load.reset();
  CO_TRY_VOID(co_await admin->delete_topics(names, shard.now() + kPatience));
  co_return back ? code : 1;
}

Task<void> run_to_end(env::RealEnv& real, Arguments arguments, int& code) {
  auto outcome = co_await run(real.shard(0), std::move(arguments));
  if (!outcome) fmt::print(stderr, "{}\n", outcome.error().message);
  code = outcome ? *outcome : 2;
  real.stop();
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto next = [&] { return ++i < argc ? std::string(argv[i]) : std::string(); };
    if (word == "--seconds")
      arguments.seconds = std::atoi(next().c_str());
    else if (word == "--storm-at")
      arguments.storm_at = std::atoi(next().c_str());
    else if (word == "--overhead")
      arguments.overhead = std::atoi(next().c_str());
    else if (word == "--transactions")
      arguments.transactions = true;
    else if (word == "--quiet")
      arguments.quiet = true;
    else if (word == "--external")
      arguments.external.push_back({next()});
    else if (const size_t equals = word.find('='); equals != std::string::npos)
      arguments.settings[word.substr(0, equals)] = word.substr(equals + 1);
    else
      arguments.bootstrap = word;
  }
  if (arguments.bootstrap.empty()) {
    fmt::print(stderr,
               "usage: probe-load HOST:PORT [--seconds N] [--storm-at S] [--overhead S] "
               "[--transactions] [--external PROGRAM] [--quiet] [key=value...]\n");
    return 2;
  }
  env::RealEnv real({.shards = 1});
  int code = 2;
  real.shard(0).spawn(run_to_end(real, std::move(arguments), code));
  real.run();
  return code;
}
