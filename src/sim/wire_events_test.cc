#include <algorithm>
#include <set>

#include "protocol/gen/delete_topics.h"
#include "sim/wire_cluster_test.h"

// The topic of events: what it holds of failovers and moves, and who may write to it.

namespace paceline::sim {
namespace {

constexpr std::string_view kTopic = "__paceline_events";

struct Seen {
  std::string key;
  std::string json;
  int64_t timestamp = 0;

  // The first value of that name that is not null, as it stands there: good enough for what we
  // write ourselves.
  std::string field(std::string_view name) const {
    const std::string wanted = fmt::format("\"{}\":", name);
    const size_t at = json.rfind(wanted);
    if (at == std::string::npos) return "";
    const size_t from = at + wanted.size();
    if (json[from] == '"') return json.substr(from + 1, json.find('"', from + 1) - from - 1);
    return json.substr(from, json.find_first_of(",}", from) - from);
  }
};
std::vector<Seen> seen_in(const std::vector<Got>& records) {
  std::vector<Seen> all;
  std::map<std::string, uint64_t> last;
  for (const Got& got : records) {
    Seen one{got.key.value_or(""), got.value.value_or(""), got.timestamp};
    // What nobody had answered for was written again.
    const uint64_t sequence = std::stoull(one.field("source_seq"));
    if (sequence <= std::exchange(last[one.key], std::max(last[one.key], sequence))) continue;
    all.push_back(std::move(one));
  }
  return all;
}
std::vector<Seen> of(const std::vector<Seen>& all, std::string_view cause, std::string_view type) {
  std::vector<Seen> some;
  for (const Seen& one : all)
    if (one.field("cause_id") == cause && one.field("type") == type) some.push_back(one);
  return some;
}
// Each source has said everything, in order.
void expect_whole(const std::vector<Seen>& all) {
  std::map<std::string, uint64_t> last;
  for (const Seen& one : all) {
    EXPECT_EQ(one.key, one.field("source"));
    const uint64_t sequence = std::stoull(one.field("source_seq"));
    EXPECT_EQ(sequence, last[one.key] + 1) << one.json;
    last[one.key] = sequence;
  }
}

class WireEvents : public WireTest {
 protected:
  WireEvents() { settings().events_topic = true; }
  std::vector<Seen> seen() { return seen_in(records_of(fetch(kTopic, 0, 0))); }
};
PACELINE_ON_ONE_AND_TWO_SHARDS(WireEvents);

TEST_P(WireEvents, ARestartIsAFailoverThatIsTold) {
  create_topic("t");
  produce("t", 0, batch({"a"}));
  world_.run_for(1s);
  restart(End::kill);
  EXPECT_EQ(values_from("t", 0), (std::vector<std::string>{"a"}));
  world_.run_for(60s);
  const std::vector<Seen> all = seen();
  expect_whole(all);
  for (const char* type :
       {"broker.noticed", "broker.fenced", "lane.sealed", "lane.recovered", "partition.serving",
        "partition.first_served", "lane.uploaded", "lane.collected"})
    EXPECT_EQ(of(all, "1.1", type).size(), 1u) << type;
  EXPECT_EQ(of(all, "1.1", "broker.noticed").at(0).field("evidence"), "registered_anew");
  EXPECT_EQ(of(all, "1.1", "partition.serving").at(0).field("partitions"), "2");
  EXPECT_EQ(of(all, "1.1", "partition.first_served").at(0).field("request"), "fetch");
  // By name, because they are few.
  EXPECT_EQ(of(all, "1.1", "leader.moved").size(), 2u);
}

TEST_P(WireEvents, EachIsACloudEvent) {
  (void)client();
  world_.run_for(1s);
  const std::vector<Seen> all = seen();
  ASSERT_FALSE(all.empty());
  for (const Seen& one : all) {
    EXPECT_TRUE(one.json.starts_with(fmt::format(
        R"({{"specversion":"1.0","id":"{}","source":"paceline:1.1","type":"paceline.{}","time":")",
        one.field("event_id"), one.field("type"))))
        << one.json;
    EXPECT_EQ(one.field("datacontenttype"), "application/json");
    // Null, never absent.
    for (const char* name : {"run_id", "clock_err_ns", "topic", "partition", "leader_epoch",
                             "offset", "object_key", "request_id", "client_id", "cause_id", "unit"})
      EXPECT_NE(one.field(name), "") << name;
  }
}

// An event that made events would go on for ever.
TEST_P(WireEvents, ABrokerAtRestHasNothingToTell) {
  create_topic("t");
  produce("t", 0, batch({"a"}));
  world_.run_for(120s);
  const size_t before = seen().size();
  world_.run_for(300s);
  EXPECT_EQ(seen().size(), before);
}

TEST_P(WireEvents, OnlyBrokersWriteThere) {
  (void)client();
  world_.run_for(1s);
  const size_t before = seen().size();
  EXPECT_EQ(name(produce(kTopic, 0, batch({"forged"})).error_code), "INVALID_TOPIC_EXCEPTION");
  protocol::DeleteTopicsRequest request;
  request.topic_names = {kTopic};
  auto deleted = ask<protocol::DeleteTopicsResponse>(5, request);
  EXPECT_EQ(name(deleted.responses.at(0).error_code), "INVALID_REQUEST");
  EXPECT_EQ(seen().size(), before);
}

TEST_P(WireEvents, WhatIsLeftGoesWithAPlannedEnd) {
  (void)client();
  world_.run_for(1s);
  restart(End::stop);
  world_.run_for(1s);
  const std::vector<Seen> all = seen();
  const auto last = std::ranges::find_if(
      all, [](const Seen& one) { return one.field("type") == "broker.stopping"; });
  ASSERT_NE(last, all.end());
  EXPECT_EQ(last->key, "1.1");
}

class WireEventsOfBrokers : public WireClusterTest {
 protected:
  WireEventsOfBrokers()
      : WireClusterTest(3, 0,
                        [](int, broker::Settings& settings) { settings.events_topic = true; }) {}
  void settle() {
    CHECK(world_.run_until([&] { return knows_everywhere(kTopic); }, kPatience));
    world_.run_for(2s);
  }
  int keeper(int as_seen_by) { return leader(kTopic, 0, as_seen_by); }
  std::vector<Seen> seen_at(int number) {
    auto answer = ask_at<protocol::FetchResponse>(number, 11, fetch_request(kTopic, 0, 0));
    return seen_in(records_of(only_partition(answer)));
  }
  int other_than(std::set<int> not_these) {
    for (int number = 1; number <= 3; ++number)
      if (!not_these.contains(number)) return number;
    return 0;
  }
  void kill_and_take_over(int dead, int witness) {
    hosts_[static_cast<size_t>(dead - 1)]->kill();
    clients_[static_cast<size_t>(dead - 1)].reset();
    CHECK(world_.run_until(
        [&] { return leader("t", 0, witness) != dead && keeper(witness) != dead; }, kPatience));
    world_.run_for(1s);  // until it is open there
    expect_produced(leader("t", 0, witness), "t", 0, 1);
    world_.run_for(60s);
  }
  // Of a failover, by both who survive it.
  void expect_failover(const std::vector<Seen>& all, int dead) {
    const std::string cause = fmt::format("{}.1", dead);
    EXPECT_GE(of(all, cause, "broker.noticed").size(), 1u);
    EXPECT_EQ(of(all, cause, "broker.fenced").size(), 1u);
    for (const char* type : {"lane.sealed", "lane.recovered", "partition.serving", "lane.uploaded"})
      EXPECT_EQ(of(all, cause, type).size(), 2u) << type;
    // One of them has read the log, and told the other.
    int told = 0;
    for (const Seen& sealed : of(all, cause, "lane.sealed"))
      told += sealed.json.contains("\"told_by\"");
    EXPECT_EQ(told, 1);
    EXPECT_GE(of(all, cause, "lane.collected").size(), 1u);
    EXPECT_EQ(of(all, cause, "partition.first_served").size(), 1u);
  }
};
PACELINE_ON_ONE_AND_TWO_SHARDS(WireEventsOfBrokers);

TEST_P(WireEventsOfBrokers, EveryStepOfAFailoverIsThereWhoeverDidIt) {
  settle();
  create("t", 1);
  const int dead = other_than({keeper(3)});
  move("t", 0, dead);
  expect_produced(dead, "t", 0, 0);
  const int witness = keeper(3);
  kill_and_take_over(dead, witness);
  const std::vector<Seen> all = seen_at(witness);
  expect_whole(all);
  expect_failover(all, dead);
}

TEST_P(WireEventsOfBrokers, EventsWaitWhileTheTopicHasNoLeader) {
  settle();
  create("t", 1);
  const int dead = keeper(3);
  move("t", 0, dead);
  expect_produced(dead, "t", 0, 0);
  world_.run_for(2s);
  const int witness = other_than({dead});
  kill_and_take_over(dead, witness);
  const std::vector<Seen> all = seen_at(keeper(witness));
  expect_whole(all);
  expect_failover(all, dead);
}

TEST_P(WireEventsOfBrokers, BothSidesOfAMoveHaveOneCause) {
  settle();
  create("t", 1);
  move("t", 0, 1);
  expect_produced(1, "t", 0, 0);
  world_.run_for(1s);
  const size_t before = seen_at(keeper(3)).size();
  move("t", 0, 2);
  expect_produced(1, "t", 0, 1);  // sent on
  world_.run_for(2s);
  std::vector<Seen> all = seen_at(keeper(3));
  expect_whole(all);
  all.erase(all.begin(), all.begin() + static_cast<ptrdiff_t>(before));
  const auto begun =
      std::ranges::find_if(all, [](const Seen& one) { return one.field("type") == "move.begun"; });
  ASSERT_NE(begun, all.end());
  const std::string cause = begun->field("cause_id");
  EXPECT_TRUE(cause.starts_with("move-t-0@")) << cause;
  const std::pair<const char*, const char*> steps[] = {
      {"move.begun", "1.1"},         {"move.paused", "1.1"},
      {"move.passport_sent", "1.1"}, {"move.adopted", "2.1"},
      {"move.committed", "2.1"},     {"leader.moved", "2.1"},
      {"partition.serving", "2.1"},  {"partition.first_served", "2.1"},
      {"move.forwarding", "1.1"},    {"move.ended", "1.1"}};
  for (const auto& [type, source] : steps) {
    const auto found = of(all, cause, type);
    ASSERT_EQ(found.size(), 1u) << type;
    EXPECT_EQ(found[0].key, source) << type;
  }
  EXPECT_EQ(of(all, cause, "move.ended")[0].field("outcome"), "moved");
  EXPECT_EQ(of(all, cause, "partition.first_served")[0].field("request"), "produce");
}

TEST_P(WireEventsOfBrokers, TheTopicMovesLikeAnyOtherAndNothingOfItIsLost) {
  settle();
  create("t", 1);
  for (int to : {1, 2, 3, 1}) {
    move(kTopic, 0, to);
    move("t", 0, to % 3 + 1);
  }
  world_.run_for(2s);
  const std::vector<Seen> all = seen_at(1);
  expect_whole(all);
}

}  // namespace
}  // namespace paceline::sim
