#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "drill/run.h"
#include "env/test_shards.h"

// All phases over a cluster and a load that only pretend.

namespace paceline::drill {
namespace {

using std::chrono::milliseconds;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

struct World {
  ClusterView view;
  std::vector<std::string> done;  // what the target was asked to do
  bool broken = false;            // by a fault
  bool heals = true, takes_effect = true, refuses_inject = false;
  bool foreign = false;  // topics of somebody's
  probe::Glance glance;
  bool watched = false, ended = false;
  std::vector<std::string> guarded, released;
  std::shared_ptr<bool> interrupted = std::make_shared<bool>(false);
  std::function<void()> on_inject = [] {}, on_plan_cleanup = [] {}, on_read_back = [] {};
  std::set<std::string> gone;  // as who reads back was told
  int topics_made = 0;
  bool takes_transactions = false, has_cleanup = false;
  std::vector<std::string> objections, touched_by_cleanup;
  std::optional<probe::Options> load;  // as it was started
};

class FakeTarget final : public Target {
 public:
  explicit FakeTarget(World& world) : world_(world) {}
  evidence::Run::Target identity() const override {
    evidence::Run::Target target;
    target.profile = "generic";
    target.name = "fake";
    target.observes = {"t0"};
    return target;
  }
  bool production() const override { return world_.foreign; }
  bool any_broker_leads() const override { return true; }
  Result<void> can(Fault fault) const override {
    if (fault == Fault::slow_store) return fail(Code::unsupported, "no hook for it");
    return {};
  }
  std::string domain(Fault) const override { return "broker"; }
  Task<Result<ClusterView>> look() override { co_return world_.view; }
  Task<Result<int32_t>> coordinator_of(std::string) override { co_return 2; }
  Task<Result<std::vector<HealAction>>> ways_to_heal(Hit hit) override {
    co_return std::vector<HealAction>{{.name = hit.step, .command = {.argv = {"/bin/true"}}}};
  }
  Task<Result<void>> inject(Hit hit) override {
    EXPECT_THAT(world_.guarded, Contains(hit.step)) << "it was not registered before";
    world_.done.push_back("inject " + hit.step);
    world_.broken = true;
    world_.on_inject();
    if (world_.refuses_inject) co_return fail(Code::io_error, "the hook fell over");
    for (auto& topic : world_.view.topics)
      for (auto& partition : topic.partitions)
        if (partition.leader == hit.broker()) partition.leader = hit.broker() == 1 ? 2 : 1;
    co_return Result<void>{};
  }
  Task<Result<Effect>> effective(Hit) override {
    if (!world_.takes_effect) co_return fail(Code::unavailable, "it lives");
    co_return Effect{"seen"};
  }
  Task<Result<std::string>> heal(Hit hit) override {
    world_.done.push_back("heal " + hit.step);
    world_.broken = !world_.heals;
    co_return "healed";
  }
  Task<Result<void>> whole(std::vector<int32_t>) override {
    if (world_.broken) co_return fail(Code::unavailable, "broker 1 is not back");
    co_return Result<void>{};
  }
  Task<Result<void>> move(std::vector<Kafka::Named> wanted) override {
    for (const auto& one : wanted)
      for (auto& topic : world_.view.topics)
        for (auto& partition : topic.partitions)
          if (topic.name == one.topic && partition.index == one.partition)
            partition.leader = one.replicas.front();
    co_return Result<void>{};
  }
  Task<Result<void>> elect_preferred(std::vector<Kafka::Named>) override {
    co_return Result<void>{};
  }
  Task<Result<std::string>> create_topic(std::string name, int32_t partitions) override {
    ClusterView::Topic topic{.name = name, .id = "id-" + name, .internal = false, .partitions = {}};
    for (int32_t i = 0; i < partitions; ++i)
      topic.partitions.push_back({i, 1 + i % 2, 1, {1 + i % 2}, {1 + i % 2}});
    world_.view.topics.push_back(topic);
    ++world_.topics_made;
    co_return topic.id;
  }
  Task<Result<void>> delete_topic(std::string id) override {
    world_.done.push_back("delete " + id);
    std::erase_if(world_.view.topics, [&](const auto& topic) { return topic.id == id; });
    co_return Result<void>{};
  }
  Task<std::vector<std::string>> objections(std::vector<Hit>) override {
    co_return world_.objections;
  }
  Task<Result<void>> begin_transactions(std::string id) override {
    world_.done.push_back("begin " + id);
    if (!world_.takes_transactions) co_return fail(Code::unsupported, "it knows none");
    co_return Result<void>{};
  }
  bool has_cleanup() const override { return world_.has_cleanup; }
  Task<Result<void>> clean_up() override {
    world_.done.emplace_back("clean up");
    co_return Result<void>{};
  }
  Task<StorageFigures> storage() override {
    StorageFigures figures;
    figures.unuploaded_bytes = 1;
    co_return figures;
  }
  Task<std::vector<ClockBound>> clocks() override {
    co_return std::vector<ClockBound>{{"paceline:1", 0, 1000, 8}};
  }
  Task<Headroom> headroom() override { co_return Headroom{0.2, 0.1, ""}; }
  void follow(std::function<void(evidence::Event)>) override {}
  Task<void> catch_up(env::Duration) override { co_return; }
  Task<Result<std::optional<Touched>>> plan_cleanup() override {
    world_.on_plan_cleanup();
    if (!world_.has_cleanup) co_return std::optional<Touched>{};
    co_return Touched{world_.touched_by_cleanup, {}};
  }

 private:
  World& world_;
};

class FakeLoad final : public probe::Load {
 public:
  FakeLoad(World& world, probe::Witness witness) : world_(world), witness_(std::move(witness)) {
    evidence::Run::Client client;
    client.name = "producer-1";
    client.kind = "producer";
    client.idempotent = true;
    client.acks = "all";
    clients_.push_back(client);
  }
  const std::vector<evidence::Run::Client>& clients() const override { return clients_; }
  probe::Glance glance() const override {
    world_.glance.acked += 1;
    return world_.glance;
  }
  Task<void> measure_overhead(env::Duration) override { co_return; }
  Task<void> storm() override {
    world_.done.emplace_back("storm");
    co_return;
  }
  Task<void> finish(env::Instant) override {
    world_.done.emplace_back("finish");
    co_return;
  }
  Task<Result<void>> read_back(std::set<std::string> gone, env::Instant) override {
    world_.done.emplace_back("read back");
    world_.gone = std::move(gone);
    world_.on_read_back();
    evidence::LedgerRow row;
    row.kind = evidence::LedgerRow::Kind::read_back;
    witness_.row(row);
    co_return Result<void>{};
  }

 private:
  World& world_;
  const probe::Witness witness_;
  std::vector<evidence::Run::Client> clients_;
};

class FakeWatchdog final : public DeadMansSwitch {
 public:
  explicit FakeWatchdog(World& world) : world_(world) {}
  Task<Result<void>> guard(HealAction action) override {
    world_.guarded.push_back(action.name);
    co_return Result<void>{};
  }
  void release(std::string name) override { world_.released.push_back(name); }
  bool lost() const override { return false; }
  Task<void> end() override {
    world_.ended = true;
    co_return;
  }

 private:
  World& world_;
};

constexpr const char* kHead =
    "name = \"test\"\n[rollback]\npoint = \"p\"\ncommand = \"c\"\nowner = \"ada\"\nrule = \"r\"\n"
    "[baseline]\nseconds = 1\n[observe]\nseconds = 1\n[guard]\nwindow_s = 0\n";

class PhasesTest : public testing::Test {
 protected:
  PhasesTest() {
    world_.view.brokers = {{1, "a", 1, "x"}, {2, "b", 1, "x"}};
    world_.view.topics = {{"paceline-drill-old", "id-old", false, {{0, 1, 1, {1}, {1}}}}};
  }

  void run(const std::string& steps) {
    auto plan = parse_plan(kHead + steps);
    ASSERT_TRUE(plan) << plan.error().front();
    shards_.run(0, body(&shards_.shard(0), this, *plan));
    std::ifstream in(folder() + "/timeline.ndjson");
    timeline_ = evidence::parse_timeline(std::string{std::istreambuf_iterator<char>(in), {}});
    std::ifstream described(folder() + "/run.json");
    run_ = *evidence::parse_run(std::string{std::istreambuf_iterator<char>(described), {}});
  }
  static Task<void> body(env::Shard* shard, PhasesTest* test, Plan plan) {
    RunOptions options;
    options.quick = true;
    options.interrupted = test->world_.interrupted;
    plan.baseline_s = plan.observe_s = 0.05;
    Course course(*shard, options, plan);
    course.warm = course.canary = course.after_heal = milliseconds(10);
    World* world = &test->world_;
    course.target = std::make_unique<FakeTarget>(*world);
    course.watchdog = std::make_unique<FakeWatchdog>(*world);
    course.progress = std::make_unique<Progress>(*shard, Progress::Kind::quiet);
    course.patience = milliseconds(300);
    course.run.run_id = "r1";
    course.run.rollback.owner = course.plan.rollback.owner;
    course.run.rollback.rule = course.plan.rollback.rule;
    auto keeper = co_await Keeper::open(*shard, test->folder(), "r1", "");
    CHECK(keeper);
    course.keeper = std::move(*keeper);
    course.start_load = [world](
                            env::Shard&, probe::Options load,
                            probe::Witness witness) -> Task<Result<std::unique_ptr<probe::Load>>> {
      world->load = std::move(load);
      return start(world, std::move(witness));
    };
    co_await run_phases(course);
  }
  static Task<Result<std::unique_ptr<probe::Load>>> start(World* world, probe::Witness witness) {
    co_return std::unique_ptr<probe::Load>(new FakeLoad(*world, std::move(witness)));
  }

  std::string folder() const { return shards_.dir() + "/r1"; }
  const evidence::Event* find(std::string_view type) const {
    for (const auto& event : timeline_.events)
      if (event.type == type) return &event;
    return nullptr;
  }
  std::vector<std::string> phases() const {
    std::vector<std::string> names;
    for (const auto& event : timeline_.events)
      if (event.type == "phase.began") names.emplace_back(event.word("phase"));
    return names;
  }

  env::RealTestShards shards_;
  World world_;
  evidence::Timeline timeline_;
  evidence::Run run_;
};

TEST_F(PhasesTest, AKillGoesThroughAllOfThem) {
  run("[[step]]\nid = \"kill\"\nfault = \"kill\"\nowner = \"o\"\nbroker = 1\n");
  EXPECT_THAT(phases(), ElementsAre("P0", "P1", "P2", "P3", "P4", "P5", "P6", "P7"));
  EXPECT_EQ(run_.outcome, "completed") << run_.reason;
  EXPECT_FALSE(run_.ended.empty());
  ASSERT_NE(find("fault.effective"), nullptr);
  EXPECT_EQ(find("fault.effective")->integer("broker"), 1);
  EXPECT_EQ(find("fault.effective")->word("how"), "seen");
  ASSERT_NE(find("fault.healed"), nullptr);
  ASSERT_NE(find("rollback.done"), nullptr);
  EXPECT_EQ(find("rollback.done")->flag("equal"), true);
  size_t items = 0;
  for (const auto& event : timeline_.events) items += event.type == "readiness.checked" ? 1 : 0;
  EXPECT_EQ(items, 6u);
  EXPECT_THAT(world_.released, ElementsAre("kill"));
  EXPECT_TRUE(world_.ended);
  // What is made goes, by its id, after it was read back; what was there stays.
  EXPECT_EQ(world_.view.topics.size(), 1u);
  EXPECT_THAT(world_.done, Not(Contains("delete id-old")));
  const auto read = std::ranges::find(world_.done, "read back");
  const auto last = std::ranges::find(world_.done, "delete id-paceline-drill-r1-probe-1");
  const auto canary = std::ranges::find(world_.done, "delete id-paceline-drill-r1-canary");
  EXPECT_LT(read, last);
  EXPECT_LT(canary, read);
  EXPECT_EQ(run_.topics.size(), 3u);
  EXPECT_EQ(run_.plan.steps.front().test, "N1");
}

TEST_F(PhasesTest, WithoutAnOwnerNothingIsDone) {
  world_.view.brokers.resize(2);
  auto plan = parse_plan("[rollback]\npoint = \"p\"\n[[step]]\nfault = \"kill\"\nbroker = 1\n");
  ASSERT_TRUE(plan);
  shards_.run(0, body(&shards_.shard(0), this, *plan));
  EXPECT_THAT(world_.done, IsEmpty());
  EXPECT_EQ(world_.topics_made, 0);
}

TEST_F(PhasesTest, TheLastBrokerIsNotKilled) {
  world_.view.brokers.resize(1);
  run("[[step]]\nfault = \"kill\"\nbroker = 1\n");
  EXPECT_EQ(run_.outcome, "refused");
  EXPECT_THAT(run_.reason, HasSubstr("nobody could lead"));
  EXPECT_THAT(phases(), ElementsAre("P0"));
  EXPECT_THAT(world_.done, IsEmpty());
}

TEST_F(PhasesTest, TopicsOfSomebodyAreLeftAlone) {
  world_.foreign = true;
  world_.view.topics.push_back({"orders", "id-orders", false, {{0, 1, 1, {1}, {1}}}});
  run("[[step]]\nfault = \"kill\"\nbroker = 2\n");
  EXPECT_EQ(run_.outcome, "refused");
  EXPECT_THAT(run_.reason, HasSubstr("topic orders"));
}

TEST_F(PhasesTest, TransfersAreTransactionsWhereTheTargetTakesThem) {
  constexpr const char* kSteps = "[[step]]\nid = \"storm\"\nfault = \"storm\"\n";
  world_.takes_transactions = true;
  run(kSteps);
  EXPECT_EQ(run_.outcome, "completed") << run_.reason;
  EXPECT_TRUE(world_.load->transactions);
  EXPECT_THAT(world_.done, Contains("begin drill-r1-trial"));
}

TEST_F(PhasesTest, WhereTheTargetTakesNoTransactionsItIsToldAndTransfersStayIdempotent) {
  run("[[step]]\nid = \"storm\"\nfault = \"storm\"\n");
  EXPECT_EQ(run_.outcome, "completed") << run_.reason;
  EXPECT_FALSE(world_.load->transactions);
  ASSERT_NE(find("action.done"), nullptr);
  EXPECT_EQ(find("action.done")->word("action"), "load.transactions");
  EXPECT_EQ(find("action.done")->word("outcome"), "idempotent: it knows none");
}

TEST_F(PhasesTest, APlanMayWantTransactionsOrNone) {
  world_.takes_transactions = true;
  run("[load]\ntransactions = false\n[[step]]\nid = \"storm\"\nfault = \"storm\"\n");
  EXPECT_FALSE(world_.load->transactions);
  EXPECT_THAT(world_.done, Not(Contains("begin drill-r1-trial")));
}

TEST_F(PhasesTest, APlanThatWantsTransactionsIsRefusedWithoutThem) {
  run("[load]\ntransactions = true\n[[step]]\nid = \"storm\"\nfault = \"storm\"\n");
  EXPECT_EQ(run_.outcome, "refused");
  EXPECT_THAT(run_.reason, HasSubstr("the plan wants transactions: it knows none"));
  EXPECT_EQ(world_.topics_made, 0);
}

TEST_F(PhasesTest, WhatTheOwnerObjectsToIsRefused) {
  world_.objections = {"step kill: the hooks know no broker 1"};
  run("[[step]]\nid = \"kill\"\nfault = \"kill\"\nbroker = 1\n");
  EXPECT_EQ(run_.outcome, "refused");
  EXPECT_THAT(run_.reason, HasSubstr("know no broker 1"));
  EXPECT_THAT(world_.done, IsEmpty());
}

TEST_F(PhasesTest, ACleanUpOfTheTargetsOwnComesLast) {
  world_.has_cleanup = true;
  run("[[step]]\nid = \"storm\"\nfault = \"storm\"\n");
  EXPECT_EQ(run_.outcome, "completed") << run_.reason;
  EXPECT_EQ(world_.done.back(), "clean up");
}

TEST_F(PhasesTest, ACleanUpOfTheTargetsOwnThatWouldTouchATopicIsNotDone) {
  world_.has_cleanup = true;
  world_.touched_by_cleanup = {"paceline-drill-old"};
  run("[[step]]\nid = \"storm\"\nfault = \"storm\"\n");
  EXPECT_EQ(run_.outcome, "completed") << run_.reason;
  EXPECT_THAT(world_.done, Not(Contains("clean up")));
  bool refused = false;
  for (const auto& event : timeline_.events)
    refused |=
        event.word("action") == "hook.cleanup" && event.word("outcome").starts_with("refused: ");
  EXPECT_TRUE(refused);
}

TEST_F(PhasesTest, WhatTheTargetCannotDoIsRefusedOrSkipped) {
  run("[[step]]\nid = \"slow\"\nfault = \"slow-store\"\nif_possible = true\n"
      "[[step]]\nid = \"storm\"\nfault = \"storm\"\n");
  EXPECT_EQ(run_.outcome, "completed") << run_.reason;
  EXPECT_THAT(world_.done, Contains("storm"));
  ASSERT_EQ(run_.plan.steps.size(), 1u);
}

TEST_F(PhasesTest, AnInjectionThatFailsIsHealed) {
  world_.refuses_inject = true;
  run("[[step]]\nid = \"kill\"\nfault = \"kill\"\nbroker = 1\n");
  EXPECT_EQ(run_.outcome, "failed");
  EXPECT_THAT(world_.done, Contains("heal kill"));
  EXPECT_THAT(world_.done, Contains("read back"));
  EXPECT_NE(find("fault.not_effective"), nullptr);
}

TEST_F(PhasesTest, WhatIsNotHealedStaysWithTheWatchdog) {
  world_.heals = false;
  run("[[step]]\nid = \"kill\"\nfault = \"kill\"\nbroker = 1\n");
  EXPECT_EQ(run_.outcome, "failed");
  EXPECT_NE(find("fault.heal_failed"), nullptr);
  EXPECT_THAT(world_.released, IsEmpty());
  EXPECT_TRUE(world_.ended);
}

TEST_F(PhasesTest, AnInterruptHealsAndCleansUp) {
  world_.on_inject = [this] { *world_.interrupted = true; };
  run("[[step]]\nid = \"freeze\"\nfault = \"freeze\"\nbroker = 1\nhold_s = 600\n");
  EXPECT_EQ(run_.outcome, "interrupted");
  EXPECT_THAT(world_.done, Contains("heal freeze"));
  EXPECT_THAT(world_.done, Contains("read back"));
  EXPECT_EQ(world_.view.topics.size(), 1u);
}

TEST_F(PhasesTest, AnInterruptOfTheReadBackIsOneAsWell) {
  world_.on_read_back = [this] { *world_.interrupted = true; };
  run("[[step]]\nid = \"kill\"\nfault = \"kill\"\nbroker = 1\n");
  EXPECT_EQ(run_.outcome, "interrupted");
  EXPECT_EQ(world_.view.topics.size(), 1u);
}

TEST_F(PhasesTest, ATopicThatIsGoneIsToldAndNotReadBack) {
  std::string victim;
  world_.on_plan_cleanup = [&] {
    ClusterView::Topic& topic = world_.view.topics.at(1);  // the run's first
    victim = topic.name;
    topic.id = "id-of-another-of-that-name";
  };
  run("[[step]]\nid = \"cleanup\"\nfault = \"cleanup\"\n");
  EXPECT_EQ(run_.outcome, "completed") << run_.reason;
  EXPECT_THAT(world_.gone, ElementsAre(victim));
  ASSERT_NE(find("topic.gone"), nullptr);
  EXPECT_EQ(find("topic.gone")->topic, victim);
}

TEST_F(PhasesTest, AGuardThatTripsHeals) {
  world_.on_inject = [this] { world_.glance.staleness = std::chrono::hours(1); };
  run("[[step]]\nid = \"freeze\"\nfault = \"freeze\"\nbroker = 1\nhold_s = 600\n");
  EXPECT_EQ(run_.outcome, "guarded");
  ASSERT_NE(find("guard.tripped"), nullptr);
  EXPECT_EQ(find("guard.tripped")->word("rule"), "staleness_s");
  EXPECT_THAT(world_.done, Contains("heal freeze"));
}

TEST_F(PhasesTest, AWrongCleanUpIsRefusedWithAList) {
  run("[[step]]\nid = \"cleanup\"\nfault = \"cleanup\"\n");
  EXPECT_EQ(run_.outcome, "completed") << run_.reason;
  const auto* refused = find("cleanup.refused");
  ASSERT_NE(refused, nullptr);
  EXPECT_THAT(std::string(refused->word("why")), HasSubstr("broker 1 is not ours"));
  EXPECT_THAT(std::string(refused->word("why")), HasSubstr("paceline-drill-old"));
  EXPECT_EQ(world_.view.topics.size(), 1u);
}

TEST(Readiness, Routing) {
  ClusterView view;
  constexpr const char* kAll = "a:1,b:1,c:1";
  const std::set<int32_t> everybody{1, 2, 3};
  view.brokers = {{1, "a", 1, ""}, {2, "b", 1, "y"}};
  EXPECT_EQ(check_routing(view, kAll, everybody).pass, "grey");
  view.brokers = {{1, "a", 1, "x"}, {2, "b", 1, "y"}, {3, "c", 1, "z"}};
  view.topics = {{"t", "i", false, {{0, 1, 1, {}, {}}, {1, 2, 1, {}, {}}, {2, 3, 1, {}, {}}}}};
  EXPECT_EQ(check_routing(view, kAll, everybody).pass, "green");
  for (auto& partition : view.topics[0].partitions) partition.leader = 1;
  EXPECT_EQ(check_routing(view, kAll, everybody).pass, "amber");
  for (auto& broker : view.brokers) broker.rack = "x";
  EXPECT_EQ(check_routing(view, kAll, everybody).pass, "red");
}

TEST(Readiness, ABootstrapHasToBeLeftWhoeverIsLost) {
  ClusterView view;
  view.brokers = {{1, "a", 1, "x"}, {2, "b", 1, "y"}, {3, "c", 1, "z"}};
  view.topics = {{"t", "i", false, {{0, 1, 1, {}, {}}, {1, 2, 1, {}, {}}, {2, 3, 1, {}, {}}}}};
  const auto check = [&](const char* bootstrap, std::set<int32_t> answering) {
    return check_routing(view, bootstrap, answering);
  };
  EXPECT_EQ(check("a:1,b:1", {1, 2, 3}).pass, "green");
  const Readiness one = check("a:1", {1, 2, 3});
  EXPECT_EQ(one.pass, "amber");
  EXPECT_THAT(one.measured, HasSubstr("no bootstrap is left without broker 1, or without zone x"));
  EXPECT_EQ(check("a:1,b:1", {1, 3}).pass, "amber") << "the other one does not answer";
  EXPECT_EQ(check("a:1,elsewhere:1", {1, 2, 3}).pass, "amber") << "nobody knows whose it is";
  EXPECT_THAT(one.measured, HasSubstr("no metadata quorum is seen"));
  view.controller = 3;
  EXPECT_THAT(check("a:1", {1}).measured, HasSubstr("only broker 3, the controller, is seen"));
  view.brokers[1].rack = "x";
  EXPECT_THAT(check("a:1,b:1", {1, 2, 3}).measured, HasSubstr("without zone x"));
}

TEST(Readiness, Rollback) {
  Plan plan;
  plan.rollback = {"p", "c", "", "r", ""};
  EXPECT_EQ(check_rollback_readiness(plan, "", 0).pass, "red");
  EXPECT_EQ(check_rollback_readiness(plan, "ada", 0).pass, "amber");
  plan.rollback.rehearsed = "1970-01-01";
  EXPECT_EQ(check_rollback_readiness(plan, "ada", 10ll * 86'400'000).pass, "amber")
      << "nobody knows how long it takes";
  plan.rollback.rehearsed_ms = 300'001;
  EXPECT_EQ(check_rollback_readiness(plan, "ada", 10ll * 86'400'000).pass, "red");
  plan.rollback.rehearsed_ms = 60'001;
  EXPECT_EQ(check_rollback_readiness(plan, "ada", 10ll * 86'400'000).pass, "amber");
  plan.rollback.rehearsed_ms = 60'000;
  EXPECT_EQ(check_rollback_readiness(plan, "ada", 10ll * 86'400'000).pass, "green");
  EXPECT_EQ(check_rollback_readiness(plan, "ada", 100ll * 86'400'000).pass, "amber");
}

TEST(Readiness, Observability) {
  std::vector<std::string> all{"acked",          "read",           "move.begun",
                               "move.committed", "move.adopted",   "partition.serving",
                               "leader.seen",    "business.stale", "move.ended"};
  EXPECT_EQ(check_observability(all, {"t0"}, 0.2).pass, "green");
  EXPECT_EQ(check_observability(all, {"t0"}, std::nullopt).pass, "amber");
  EXPECT_EQ(check_observability(all, {"t0"}, 50).pass, "amber");
  EXPECT_EQ(check_observability(all, {}, 0.2).pass, "amber");
  std::erase(all, "move.adopted");
  EXPECT_EQ(check_observability(all, {}, 0.2).pass, "grey");  // t0, t4 and t5
  EXPECT_THAT(check_observability(all, {}, 0.2).measured, HasSubstr("without t0, t4, t5"));
}

TEST(Progress, WithoutATerminalFiguresComeNowAndThenAndAtTheEndOfAPhase) {
  env::RealTestShards shards;
  probe::Glance glance;
  glance.acked = 7;
  glance.longest_wait = milliseconds(40);
  testing::internal::CaptureStdout();
  {
    Progress progress(shards.shard(0), Progress::Kind::plain);
    progress.phase("P2 baseline", {});
    progress.look(glance);
    glance.acked = 8;
    progress.look(glance);  // too soon
    progress.phase("P3 inject", {});
    progress.phase("P4 observe", {});  // nothing has been seen meanwhile
  }
  const std::string said = testing::internal::GetCapturedStdout();
  EXPECT_THAT(said, HasSubstr("P2 baseline | gap 40 ms | acked 8 | errors 0 | waiting 0 | lag 0"));
  EXPECT_THAT(said, Not(HasSubstr("acked 7")));
  EXPECT_EQ(std::ranges::count(said, '\n'), 4);
}

TEST(Progress, TellsTheGapInOneLine) {
  probe::Glance glance;
  glance.acked = 7;
  EXPECT_EQ(live_line("P4 observe", std::chrono::seconds(3), milliseconds(120), glance),
            "P4 observe 3 s | gap 120 ms | acked 7 | errors 0 | waiting 0 | lag 0");
}

}  // namespace
}  // namespace paceline::drill
