#include <gtest/gtest.h>

#include <algorithm>

#include "base/log.h"
#include "env/network.h"
#include "env/sim_world.h"
#include "env/sync.h"
#include "peer/ended.h"
#include "peer/frame.h"
#include "peer/peer.h"

namespace paceline::peer {
namespace {

using namespace std::chrono_literals;
using Kind = PeerEvent::Kind;

constexpr Uuid kCluster{{7, 7}};
constexpr uint16_t kPort = 9090;

// One broker of a simulated cluster: what it was told, and when.
struct Node {
  Lane lane;
  env::SimHost* host = nullptr;
  std::unique_ptr<Peers> peers;
  std::vector<std::pair<env::Instant, Notice>> notices;
  std::vector<PeerEvent> events;
  int count(Kind kind) const {
    return static_cast<int>(
        std::ranges::count_if(events, [kind](const auto& one) { return one.kind == kind; }));
  }
};

class Cluster {
 public:
  explicit Cluster(int brokers, uint64_t seed = 1) : world(seed) {
    set_log_level(LogLevel::off);
    for (int id = 1; id <= brokers; ++id) {
      Node& node = nodes.emplace_back();
      node.lane = {BrokerId(id), Incarnation(10)};
      node.host = &world.add_host(name(id));
    }
    for (Node& node : nodes) start(node);
    follow_all();
  }
  // The shards end before what used them.
  ~Cluster() {
    for (Node& one : nodes)
      if (one.host->running()) one.host->kill();
    set_log_level(LogLevel::info);
  }
  static std::string name(int id) { return "b" + std::to_string(id); }
  Node& node(int id) { return nodes[static_cast<size_t>(id - 1)]; }
  void start(Node& node) {
    env::Shard& shard = *node.host->start().front();
    Options options{.cluster_id = cluster_id, .self = node.lane, .listen = {"", kPort}};
    options.call_bytes_max = 10'000;
    options.calls_max = 4;
    options.calls_bytes_max = 30'000;
    auto opened = Peers::open(shard, options);
    ASSERT_TRUE(opened) << opened.error().message;
    node.peers = std::move(*opened);
    node.peers->on_dead(
        [this, &node](const Notice& notice) { node.notices.emplace_back(world.now(), notice); });
    node.peers->on_event([&node](const PeerEvent& event) { node.events.push_back(event); });
    node.peers->on_call([&shard](Lane from, Slice body) { return echo(shard, from, body); });
  }
  // Sends back what it gets; "wait" first waits, "fail" is refused.
  static Task<Result<Slice>> echo(env::Shard& shard, Lane, Slice body) {
    if (as_text(body.bytes()).starts_with("wait")) co_await env::sleep_for(shard, 100ms);
    if (as_text(body.bytes()) == "fail") co_return fail(Code::conflict, "not here");
    co_return body;
  }
  std::vector<Peer> living() const {
    std::vector<Peer> all;
    for (const Node& node : nodes) all.push_back({node.lane, {node.host->name(), kPort}});
    return all;
  }
  void follow_all() {
    for (Node& node : nodes)
      if (node.host->running()) node.peers->set_living(living());
  }
  void kill(int id) {
    node(id).host->kill();
    node(id).peers.reset();
  }
  bool all_connected() {
    return std::ranges::all_of(nodes, [](const Node& node) {
      if (!node.host->running()) return true;
      return std::ranges::all_of(node.peers->health(), &PeerHealth::connected);
    });
  }
  void connect() {
    ASSERT_TRUE(world.run_until([this] { return all_connected(); }, 5s));
  }
  size_t notice_count() const {
    size_t count = 0;
    for (const Node& node : nodes) count += node.notices.size();
    return count;
  }
  void run(Node& node, Task<void> task) {
    bool done = false;
    auto until = [](Task<void> body, bool* flag) -> Task<void> {
      co_await std::move(body);
      *flag = true;
    };
    node.host->shard(0).spawn(until(std::move(task), &done));
    ASSERT_TRUE(world.run_until([&] { return done; }, 1min));
  }

  Uuid cluster_id = kCluster;
  env::SimWorld world;
  std::deque<Node> nodes;
};

TEST(Peers, AKilledBrokerIsNoticedByAllAtOnce) {
  Cluster c(4);
  c.connect();
  c.world.run_for(3s);
  EXPECT_EQ(c.notice_count(), 0u);
  const env::Instant killed = c.world.now();
  c.kill(1);
  ASSERT_TRUE(c.world.run_until([&] { return c.notice_count() == 3; }, 10s));
  for (int id : {2, 3, 4}) {
    const auto& [when, notice] = c.node(id).notices.front();
    EXPECT_EQ(notice.peer, c.node(1).lane);
    EXPECT_EQ(notice.evidence, Evidence::refused) << notice.words;
    EXPECT_LT(when - killed, 10ms);  // virtual time: some round trips, and no ping
  }
  c.world.run_for(10s);
  EXPECT_EQ(c.notice_count(), 3u);
}

TEST(Peers, AFrozenBrokerIsSilentConfirmedAndAccusesNobodyWhenItWakes) {
  Cluster c(3);
  c.connect();
  const env::Instant frozen = c.world.now();
  c.node(1).host->pause(5s);
  ASSERT_TRUE(c.world.run_until([&] { return c.notice_count() == 2; }, 3s));
  for (int id : {2, 3}) {
    const auto& [when, notice] = c.node(id).notices.front();
    EXPECT_EQ(notice.evidence, Evidence::silent);
    EXPECT_EQ(notice.confirmed_by, BrokerId(5 - id));
    EXPECT_GE(when - frozen, 900ms);
    EXPECT_LT(when - frozen, 1300ms);
  }
  c.world.run_for(10s);
  EXPECT_TRUE(c.node(1).notices.empty());
  EXPECT_EQ(c.node(1).count(Kind::slept), 1);
  EXPECT_EQ(c.node(2).count(Kind::recovered), 1);
  EXPECT_EQ(c.notice_count(), 2u);
  EXPECT_TRUE(c.all_connected());
}

TEST(Peers, AVanishedHostIsConfirmedAndItselfConfirmsNothing) {
  Cluster c(3);
  c.connect();
  for (int id : {2, 3}) c.world.cut("b1", Cluster::name(id));
  c.world.run_for(10s);
  EXPECT_EQ(c.node(2).notices.size(), 1u);
  EXPECT_EQ(c.node(3).notices.size(), 1u);
  EXPECT_EQ(c.node(2).notices[0].second.evidence, Evidence::silent);
  EXPECT_TRUE(c.node(1).notices.empty());
  EXPECT_EQ(c.node(1).count(Kind::silent_unconfirmed), 2);
  c.world.heal_all();
  c.world.run_for(5s);
  EXPECT_EQ(c.node(1).count(Kind::recovered), 2);
  EXPECT_EQ(c.notice_count(), 2u);
}

TEST(Peers, ACutBetweenTwoIsContradictedByTheThird) {
  Cluster c(3);
  c.connect();
  c.world.cut("b1", "b2");
  c.world.run_for(30s);
  EXPECT_EQ(c.notice_count(), 0u);
  EXPECT_EQ(c.node(1).count(Kind::silent_unconfirmed), 1);
  EXPECT_EQ(c.node(2).count(Kind::silent_unconfirmed), 1);
  c.world.heal_all();
  c.world.run_for(5s);
  EXPECT_TRUE(c.all_connected());
}

TEST(Peers, AOneWayCutKillsNobody) {
  Cluster c(3);
  c.connect();
  c.world.cut_one_way("b1", "b2");
  c.world.run_for(30s);
  EXPECT_EQ(c.notice_count(), 0u);
  EXPECT_EQ(c.node(2).count(Kind::silent_unconfirmed), 1);
  EXPECT_EQ(c.node(1).count(Kind::silent_unconfirmed), 0);  // it hears b2's pings
}

TEST(Peers, WhoIsHeardByNobodyIsDeadThoughItHearsAll) {
  Cluster c(3);
  c.connect();
  c.world.cut_one_way("b1", "b2");
  c.world.cut_one_way("b1", "b3");
  c.world.run_for(3s);
  EXPECT_EQ(c.notice_count(), 2u);
  EXPECT_TRUE(c.node(1).notices.empty());
}

TEST(Peers, OfTwoBrokersADeadProcessIsNoticedAndASilentOneIsLeftToTheLease) {
  Cluster c(2);
  c.connect();
  c.node(1).host->pause(10s);
  c.world.run_for(20s);
  EXPECT_EQ(c.notice_count(), 0u);
  EXPECT_EQ(c.node(2).count(Kind::silent_unconfirmed), 1);
  c.kill(1);
  c.world.run_for(100ms);
  ASSERT_EQ(c.notice_count(), 1u);
  EXPECT_EQ(c.node(2).notices[0].second.evidence, Evidence::refused);
}

TEST(Peers, ARestartOnTheSamePortEndsTheIncarnationBeforeAndIsHeardItself) {
  Cluster c(3);
  c.connect();
  c.kill(1);
  c.node(1).lane.incarnation = Incarnation(11);
  c.start(c.node(1));
  c.node(1).peers->set_living(c.living());
  c.world.run_for(1s);
  ASSERT_EQ(c.notice_count(), 2u);
  for (int id : {2, 3}) {
    const Notice& notice = c.node(id).notices[0].second;
    EXPECT_EQ(notice.peer.incarnation, Incarnation(10));
    EXPECT_TRUE(notice.evidence == Evidence::refused || notice.evidence == Evidence::replaced);
  }
  c.follow_all();
  c.connect();
  c.world.run_for(5s);
  EXPECT_EQ(c.notice_count(), 2u);
}

TEST(Peers, APlannedStopIsALeaveAndNoDeath) {
  Cluster c(3);
  c.connect();
  c.run(c.node(1), c.node(1).peers->stop());
  c.world.run_for(1s);
  c.node(1).host->stop();
  c.node(1).peers.reset();
  c.world.run_for(10s);
  EXPECT_EQ(c.notice_count(), 0u);
  EXPECT_EQ(c.node(2).count(Kind::leaving), 1);
  EXPECT_EQ(c.node(2).count(Kind::disconnected), 0);
}

TEST(Peers, ABrokerThatIsStillStartingIsNotDead) {
  Cluster c(3);
  c.connect();
  c.kill(3);
  c.world.run_for(1s);
  EXPECT_EQ(c.notice_count(), 2u);
  c.node(3).lane.incarnation = Incarnation(11);  // registered, and does not listen yet
  c.follow_all();
  c.world.run_for(10s);
  EXPECT_EQ(c.notice_count(), 2u);
  c.start(c.node(3));
  c.follow_all();
  c.connect();
  EXPECT_EQ(c.notice_count(), 2u);
}

Task<void> say(env::Shard& shard, std::string host, std::string text) {
  auto socket = co_await shard.network().connect(host, kPort, shard.now() + 1s);
  CHECK(socket);
  const Slice slice = Slice::copy_of(as_bytes(text));
  (void)co_await (*socket)->write(std::span(&slice, 1));
  std::byte rest[4096];
  while (co_await (*socket)->read_some(rest)) {
  }
}

TEST(Peers, AGuardiansWordIsTakenFromItsOwnClusterOnly) {
  Cluster c(3);
  c.connect();
  const Lane dead = c.node(1).lane;
  c.run(c.node(1), say(c.node(1).host->shard(0), "b2", encode_ended(Uuid{{1}}, dead, 9)));
  EXPECT_EQ(c.notice_count(), 0u);
  c.run(c.node(1), say(c.node(1).host->shard(0), "b2", encode_ended(kCluster, dead, 9)));
  c.world.run_for(1s);
  ASSERT_EQ(c.notice_count(), 1u);
  EXPECT_EQ(c.node(2).notices[0].second.evidence, Evidence::told_by_guardian);
  EXPECT_EQ(c.node(2).notices[0].second.exit_status, 9);
}

TEST(Peers, GarbageStrangersAndSilentConnectionsAreEnded) {
  Cluster c(2);
  c.connect();
  env::Shard& shard = c.node(1).host->shard(0);
  const Lane self = c.node(1).lane;
  const Lane other = c.node(2).lane;
  Lane old = self;
  old.incarnation = Incarnation(9);
  for (const std::string& text :
       {std::string(100, 'x'), std::string("GET / HTTP/1.1\r\n\r\n-----------------"),
        std::string(), encode_empty(FrameKind::ping, 1),
        encode_frame(Hello{Uuid{{1}}, self, other}), encode_frame(Hello{kCluster, self, self}),
        encode_frame(Hello{kCluster, old, other}),
        encode_frame(Hello{kCluster, self, other}) + encode_empty(FrameKind::pong, 1),
        encode_frame(Hello{kCluster, self, other}) + std::string(28, 'y')})
    c.run(c.node(1), say(shard, "b2", text));
  EXPECT_EQ(c.node(2).count(Kind::stranger), 3);
  EXPECT_EQ(c.notice_count(), 0u);
  EXPECT_TRUE(c.all_connected());
}

TEST(Peers, AnotherClusterAtAPeersAddressIsNoPeerAndNoDeath) {
  Cluster c(2);
  c.connect();
  c.kill(1);
  c.world.run_for(100ms);
  EXPECT_EQ(c.notice_count(), 1u);
  c.cluster_id = Uuid{{9}};
  c.node(1).lane.incarnation = Incarnation(11);
  c.start(c.node(1));
  c.follow_all();
  c.world.run_for(5s);
  EXPECT_EQ(c.notice_count(), 1u);
  EXPECT_FALSE(c.all_connected());
  EXPECT_GT(c.node(2).count(Kind::stranger), 0);
}

Task<void> ask(env::Shard& shard, Peers& peers, BrokerId to, std::string text,
               env::Duration patience, Result<std::string>* got) {
  auto answer = co_await peers.call(to, Slice::copy_of(as_bytes(text)), shard.now() + patience);
  if (answer) {
    *got = to_string(answer->bytes());
  } else {
    *got = fail(answer.error());
  }
}

struct Asked {
  Result<std::string> got = fail(Code::cancelled, "not answered");
};
void start_ask(Cluster& c, int from, int to, const std::string& text, env::Duration patience,
               Asked& asked) {
  env::Shard& shard = c.node(from).host->shard(0);
  shard.spawn(ask(shard, *c.node(from).peers, BrokerId(to), text, patience, &asked.got));
}

TEST(PeerCalls, AreAnsweredSeveralAtATimeAndWithinBounds) {
  Cluster c(2);
  c.connect();
  std::deque<Asked> asked(20);
  for (size_t i = 0; i < asked.size(); ++i)
    start_ask(c, 1, 2, "wait" + std::string(i * 500, 'x') + std::to_string(i), 10s, asked[i]);
  c.world.run_for(50ms);
  EXPECT_EQ(asked[0].got.error().code, Code::cancelled);
  c.world.run_for(80ms);
  int answered = 0;
  for (const Asked& one : asked) answered += one.got.has_value();
  EXPECT_EQ(answered, 4);  // as many as may be under way
  c.world.run_for(1s);
  for (size_t i = 0; i < asked.size(); ++i) {
    ASSERT_TRUE(asked[i].got) << i << asked[i].got.error().message;
    EXPECT_TRUE(asked[i].got->ends_with(std::to_string(i)));
  }
  EXPECT_EQ(c.notice_count(), 0u);
}

TEST(PeerCalls, SayWhatIsKnownOfTheirOutcome) {
  Cluster c(3);
  c.connect();
  Asked big, refused, unknown, late, crowd[4], waits, broken, after;
  start_ask(c, 1, 2, std::string(10'001, 'x'), 1s, big);
  start_ask(c, 1, 2, "fail", 1s, refused);
  start_ask(c, 1, 9, "x", 1s, unknown);
  start_ask(c, 1, 2, "wait", 50ms, late);
  c.world.run_for(1s);
  EXPECT_EQ(big.got.error().code, Code::too_large);
  EXPECT_EQ(refused.got.error().code, Code::unavailable);
  EXPECT_EQ(refused.got.error().message, "not here");
  EXPECT_EQ(unknown.got.error().code, Code::unavailable);
  EXPECT_EQ(late.got.error().code, Code::maybe_written);
  for (Asked& one : crowd) start_ask(c, 1, 2, "wait", 5s, one);
  start_ask(c, 1, 2, "no room for me", 20ms, waits);
  c.world.run_for(50ms);
  EXPECT_EQ(waits.got.error().code, Code::timed_out);
  start_ask(c, 1, 2, "no room yet", 5s, broken);
  c.world.run_for(1ms);
  c.kill(2);
  c.world.run_for(100ms);
  for (const Asked& one : crowd) EXPECT_EQ(one.got.error().code, Code::maybe_written);
  EXPECT_EQ(broken.got.error().code, Code::unavailable);
  start_ask(c, 1, 2, "x", 5s, after);
  c.world.run_for(10ms);
  EXPECT_EQ(after.got.error().code, Code::unavailable);
}

TEST(PeerCalls, ToAPeerThatIsNotHeardEndWhenItIsSilentAndNotAtTheirDeadline) {
  Cluster c(3);
  c.connect();
  c.world.cut("b1", "b2");
  Asked before, meanwhile, elsewhere, after;
  start_ask(c, 1, 2, "x", 1min, before);
  c.world.run_for(2s);
  EXPECT_EQ(before.got.error().code, Code::maybe_written);
  start_ask(c, 1, 2, "x", 1min, meanwhile);
  start_ask(c, 1, 3, "x", 1min, elsewhere);
  c.world.run_for(100ms);
  EXPECT_EQ(meanwhile.got.error().code, Code::unavailable);
  EXPECT_TRUE(elsewhere.got);
  c.world.heal_all();
  c.world.run_for(5s);
  start_ask(c, 1, 2, "x", 1min, after);
  c.world.run_for(100ms);
  EXPECT_TRUE(after.got);
  EXPECT_EQ(c.notice_count(), 0u);
}

TEST(PeerCalls, BigBodiesPassAndPingsAreNotHeldUp) {
  Cluster c(2);
  c.connect();
  std::deque<Asked> asked(300);
  for (Asked& one : asked) start_ask(c, 1, 2, std::string(10'000, 'z'), 1min, one);
  ASSERT_TRUE(c.world.run_until(
      [&] { return std::ranges::all_of(asked, [](const Asked& one) { return !!one.got; }); },
      1min));
  EXPECT_EQ(c.notice_count(), 0u);
  EXPECT_EQ(c.node(1).count(Kind::silent_unconfirmed), 0);
}

// Resets, slow pieces, cuts of pairs, kills and freezes by seed: whoever was well is accused by
// nobody, and whoever was killed is noticed by all.
void play(uint64_t seed, uint64_t* trace) {
  Cluster c(5, seed);
  c.world.network_faults().reset = 0.005;
  c.world.network_faults().slow = 0.01;
  c.world.network_faults().slow_max = 200ms;
  c.world.run_for(3s);
  env::Random& random = c.world.random();
  std::vector<bool> well(6, true);
  const int killed = 1 + static_cast<int>(random.below(5));
  int frozen = 1 + static_cast<int>(random.below(5));
  if (frozen == killed) frozen = frozen % 5 + 1;
  const int a = 1 + static_cast<int>(random.below(5));
  const int b = a % 5 + 1;
  c.world.cut_one_way(Cluster::name(a), Cluster::name(b));
  c.world.run_for(env::Duration(random.below(3'000'000'000)));
  EXPECT_EQ(c.notice_count(), 0u) << "seed " << seed;  // a cut between two proves nothing
  c.kill(killed);
  if (random.chance(0.7)) {
    c.node(frozen).host->pause(env::Duration(500'000'000 + random.below(4'000'000'000)));
    well[static_cast<size_t>(frozen)] = false;
  }
  c.world.run_for(10s);
  well[static_cast<size_t>(killed)] = false;
  for (Node& node : c.nodes) {
    bool knows = false;
    for (const auto& [when, notice] : node.notices) {
      EXPECT_FALSE(well[static_cast<size_t>(notice.peer.broker.value)])
          << "seed " << seed << ": " << notice.words;
      knows |= notice.peer.broker.value == killed;
    }
    if (node.lane.broker.value != killed) {
      EXPECT_TRUE(knows) << "seed " << seed << " at " << node.lane.broker.value;
    }
  }
  *trace = c.world.trace_hash();
}
TEST(Peers, UnderFaultsTheWellAreNotAccusedAndTheDeadAreNoticed) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    uint64_t first = 0;
    play(seed, &first);
    if (seed > 3) continue;
    uint64_t second = 0;
    play(seed, &second);
    EXPECT_EQ(first, second) << "seed " << seed;
  }
}

}  // namespace
}  // namespace paceline::peer
