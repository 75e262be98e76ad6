#include "drill/watchdog.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>

#include "drill/drill.h"
#include "env/real_disk.h"
#include "env/test_shards.h"

namespace paceline::drill {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

// Started anew, this program is the watchdog.
__attribute__((constructor)) void become(int argc, char** argv, char**) {
  if (argc == 4 && std::string_view(argv[1]) == "drill-watchdog")
    std::_Exit(watchdog(std::atoi(argv[2]), argv[3]));
}

bool comes_true(const std::function<bool()>& what, int within_ms = 15'000) {
  for (int waited = 0; waited < within_ms; waited += 10) {
    if (what()) return true;
    ::usleep(10'000);
  }
  return false;
}

std::string text_of(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> ourselves() {
  return {"/proc/self/exe", "drill-watchdog"};
}

HealAction touch(const std::string& name, const std::string& path) {
  return {.name = name, .command = {.argv = {"/usr/bin/touch", path}}};
}

class WatchdogTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return shards_.dir() + "/" + name; }
  std::string log() const { return path("hooks.log"); }
  bool there(const std::string& name) const { return std::filesystem::exists(path(name)); }

  void start() {
    auto started = std::make_shared<Result<std::unique_ptr<Watchdog>>>();
    auto body = [](env::Shard* shard, std::string where, auto into) -> Task<void> {
      *into = Watchdog::start(*shard, ourselves(), where);
      co_return;
    };
    shards_.run(0, body(&shards_.shard(0), log(), started));
    ASSERT_TRUE(*started) << started->error().message;
    dog_ = std::move(**started);
  }
  Result<void> guard(HealAction action) {
    Result<void> done;
    auto body = [](Watchdog* dog, HealAction what, Result<void>* into) -> Task<void> {
      *into = co_await dog->guard(std::move(what));
    };
    shards_.run(0, body(dog_.get(), std::move(action), &done));
    return done;
  }
  void on_shard(std::function<void()> work) {
    auto body = [](std::function<void()>* what) -> Task<void> {
      (*what)();
      co_return;
    };
    shards_.run(0, body(&work));
  }
  void end() {
    auto body = [](Watchdog* dog) -> Task<void> { co_await dog->end(); };
    shards_.run(0, body(dog_.get()));
  }
  bool gone(pid_t pid) { return ::kill(pid, 0) != 0; }

  env::RealTestShards shards_;
  std::unique_ptr<Watchdog> dog_;
};

TEST(HealAction, IsTheSameAfterJson) {
  const HealAction wake{.name = "a", .process = LocalProcess{7, 99}, .signal = 18};
  const auto again = parse_heal_action(to_json(wake));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->process, wake.process);
  EXPECT_EQ(again->signal, 18);
  const auto run = parse_heal_action(
      to_json({.name = "b", .command = {.argv = {"x", "y"}, .environment = {{"k", "v"}}}}));
  ASSERT_TRUE(run);
  EXPECT_EQ(run->command.argv, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(run->command.environment.at("k"), "v");
  for (const char* wrong : {"", "[]", "{}", "{\"name\":\"a\"}", "{\"name\":\"a\",\"pid\":-1}"})
    EXPECT_FALSE(parse_heal_action(wrong)) << wrong;
}

TEST_F(WatchdogTest, ACleanEndHealsNothingThatWasReleasedAndLeavesNobody) {
  start();
  const pid_t pid = dog_->pid();
  ASSERT_TRUE(guard(touch("one", path("one"))));
  on_shard([this] { dog_->release("one"); });
  end();
  EXPECT_TRUE(gone(pid));
  EXPECT_FALSE(there("one"));
}

TEST_F(WatchdogTest, WhatIsStillRegisteredAtTheEndIsHealed) {
  start();
  ASSERT_TRUE(guard(touch("one", path("one"))));
  ASSERT_TRUE(guard(touch("two", path("two"))));
  on_shard([this] { dog_->release("one"); });
  end();
  EXPECT_FALSE(there("one"));
  EXPECT_TRUE(there("two"));
  EXPECT_THAT(text_of(log()), HasSubstr("the watchdog has healed two"));
}

TEST_F(WatchdogTest, WakesTheProcessThatWasMeantAndNoOther) {
  const pid_t sleeper = ::fork();
  if (sleeper == 0) {
    ::execl("/bin/sleep", "sleep", "100", nullptr);
    std::_Exit(1);
  }
  env::RealDisk disk;
  ASSERT_TRUE(comes_true([&] { return look_at_process(disk, sleeper).has_value(); }));
  const LocalProcess process = look_at_process(disk, sleeper)->process;
  ::kill(sleeper, SIGSTOP);
  ASSERT_TRUE(comes_true([&] { return look_at_process(disk, sleeper)->state == 'T'; }));
  start();
  // The same id, another life.
  ASSERT_TRUE(guard({.name = "other",
                     .process = LocalProcess{sleeper, process.start_ticks + 1},
                     .signal = SIGKILL}));
  ASSERT_TRUE(guard({.name = "wake", .process = process, .signal = SIGCONT}));
  end();
  EXPECT_TRUE(comes_true([&] { return look_at_process(disk, sleeper)->state == 'S'; }));
  ::kill(sleeper, SIGKILL);
  ::waitpid(sleeper, nullptr, 0);
  EXPECT_THAT(text_of(log()), HasSubstr("is not there any more"));
}

TEST_F(WatchdogTest, ItsOwnEndIsSeen) {
  start();
  ::kill(dog_->pid(), SIGKILL);
  EXPECT_TRUE(comes_true([&] { return dog_->lost(); }));
  EXPECT_FALSE(guard(touch("one", path("one"))));
}

// A drill in a process of its own: kill -9, or it stands still.
class Drill {
 public:
  explicit Drill(const std::string& folder) {
    pid_ = ::fork();
    if (pid_ != 0) return;
    env::RealEnv env({.shards = 1});
    auto body = [](env::Shard* shard, std::string in) -> Task<void> {
      auto dog = Watchdog::start(*shard, ourselves(), in + "/hooks.log");
      if (dog && co_await (*dog)->guard(touch("fault", in + "/healed")))
        std::ofstream(in + "/watchdog") << (*dog)->pid() << "\n";
      co_await env::sleep_for(*shard, std::chrono::hours(1));
    };
    env.shard(0).spawn(body(&env.shard(0), folder));
    env.run();
    std::_Exit(0);
  }
  ~Drill() { end(); }
  void signal(int signal) const { ::kill(pid_, signal); }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(std::exchange(pid_, 0), nullptr, 0);
  }

 private:
  pid_t pid_ = 0;
};

class DeadDrillTest : public testing::Test {
 protected:
  DeadDrillTest() {
    char name[] = "/tmp/paceline-drill-test-XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  ~DeadDrillTest() override { std::filesystem::remove_all(folder_); }
  bool there(const char* name) const { return std::filesystem::exists(folder_ + "/" + name); }
  // It heals first, and says so then.
  bool told(const char* words) const {
    return text_of(folder_ + "/hooks.log").find(words) != std::string::npos;
  }
  pid_t watchdog_pid() const { return std::atoi(text_of(folder_ + "/watchdog").c_str()); }
  std::string folder_;
};

TEST_F(DeadDrillTest, KillNineHealsAndLeavesNobody) {
  Drill drill(folder_);
  ASSERT_TRUE(comes_true([&] { return watchdog_pid() > 0; }));
  EXPECT_FALSE(there("healed"));
  drill.end();
  EXPECT_TRUE(comes_true([&] { return there("healed"); }));
  EXPECT_TRUE(comes_true([&] {
    env::RealDisk disk;
    const auto look = look_at_process(disk, watchdog_pid());
    return !look || look->state == 'Z';
  }));
  EXPECT_TRUE(comes_true([&] { return told("the drill is gone"); }));
}

TEST_F(DeadDrillTest, StandingStillForFiveSecondsHeals) {
  Drill drill(folder_);
  ASSERT_TRUE(comes_true([&] { return watchdog_pid() > 0; }));
  drill.signal(SIGSTOP);
  ::usleep(2'000'000);
  EXPECT_FALSE(there("healed"));
  EXPECT_TRUE(comes_true([&] { return there("healed"); }));
  EXPECT_TRUE(comes_true([&] { return told("has stood still"); }));
}

}  // namespace
}  // namespace paceline::drill
