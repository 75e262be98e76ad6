#include "app/dev_process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/check.h"
#include "env/real_env.h"

namespace paceline::app {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

class DevProcess : public testing::Test {
 protected:
  DevProcess() {
    std::string path = testing::TempDir() + "dev-process-XXXXXX";
    CHECK(::mkdtemp(path.data()));
    folder_ = path;
  }
  ~DevProcess() override { std::filesystem::remove_all(folder_); }
  Program shell(std::string script) const {
    return {.name = "the shell",
            .argv = {"sh", "-c", std::move(script)},
            .environment = {{"DEV_WORD", "hello"}},
            .folder = folder_,
            .log = folder_ + "/log"};
  }
  std::string folder_;
};

// Runs `body` on a world that hears of its children's ends.
template <class Body>
void in_world(Body body) {
  env::RealEnv env({.shards = 1});
  Processes processes(env.shard(0));
  env.on_signal({SIGCHLD}, [&] { processes.reap(); });
  auto run = [](env::RealEnv* world, Processes* own, Body* steps) -> Task<void> {
    co_await (*steps)(world->shard(0), *own);
    world->stop();
  };
  env.shard(0).spawn(run(&env, &processes, &body));
  env.run();
}

bool is_there(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(in, text);
  const size_t name_end = text.rfind(')');
  return name_end != std::string::npos && text[name_end + 2] != 'Z';
}

template <class Holds>
bool within_20_s(Holds holds) {
  for (int i = 0; i < 2000; ++i) {
    if (holds()) return true;
    ::usleep(10'000);
  }
  return false;
}

TEST_F(DevProcess, AProgramRunsInItsFolderWithItsEnvironmentAndLog) {
  in_world([this](env::Shard&, Processes& processes) -> Task<void> {
    auto done = co_await processes.run(shell("echo $DEV_WORD; pwd"), seconds(20));
    EXPECT_TRUE(done) << done.error().message;
    EXPECT_EQ(last_line(folder_ + "/log"), folder_);
    auto failed = co_await processes.run(shell("echo that is why >&2; exit 3"), seconds(20));
    EXPECT_FALSE(failed);
    EXPECT_EQ(failed.error().message, "the shell ended with code 3: that is why");
    auto late = co_await processes.run(shell("sleep 100"), seconds(0));
    EXPECT_EQ(late.error().code, Code::timed_out);
  });
}

TEST_F(DevProcess, WhatIsNotThereIsNamedWithItsPackage) {
  EXPECT_EQ(missing_packages({"sh"}), "");
  EXPECT_EQ(missing_packages({"sh", "no-such-program"}).substr(0, 32),
            "no-such-program is not installed");
  const std::string path = ::getenv("PATH");
  ::setenv("PATH", folder_.c_str(), 1);
  EXPECT_EQ(missing_packages({"etcd"}), "etcd is not installed: apt-get install etcd-server");
  EXPECT_EQ(missing_packages({"radosgw", "ceph", "radosgw-admin"}),
            "radosgw, ceph, radosgw-admin are not installed: apt-get install radosgw ceph-common");
  in_world([this](env::Shard&, Processes& processes) -> Task<void> {
    auto started = processes.start(shell("true"));
    EXPECT_FALSE(started);
    EXPECT_THAT(started.error().message, HasSubstr("the shell cannot be started: sh is not"));
    co_return;
  });
  ::setenv("PATH", path.c_str(), 1);
}

TEST_F(DevProcess, AFolderThatIsGoneIsNamed) {
  in_world([this](env::Shard&, Processes& processes) -> Task<void> {
    Program program = shell("true");
    program.folder = "/no/such/folder";
    auto started = processes.start(program);
    EXPECT_FALSE(started);
    EXPECT_THAT(started.error().message, HasSubstr("/no/such/folder: No such file"));
    co_return;
  });
}

TEST_F(DevProcess, AStoppedProcessHearsThatItIsToEnd) {
  in_world([this](env::Shard& shard, Processes& processes) -> Task<void> {
    auto pid =
        processes.start(shell("trap 'exit 5' TERM; touch ready; while :; do sleep 0.01; done"));
    CHECK(pid);
    while (!std::filesystem::exists(folder_ + "/ready"))
      co_await env::sleep_for(shard, std::chrono::milliseconds(5));
    ::kill(*pid, SIGSTOP);
    processes.signal(*pid, SIGTERM);
    EXPECT_TRUE(co_await processes.end_of(*pid, shard.now() + seconds(20)));
    EXPECT_EQ(ending_text(*processes.ended(*pid)), "ended with code 5");
  });
}

TEST_F(DevProcess, WhatAProcessLeavesBehindMayFinishItsWorkUntilAllOfThemEnd) {
  pid_t guardian = 0;
  in_world([&](env::Shard& shard, Processes& processes) -> Task<void> {
    auto pid = processes.start(shell("sleep 100 & echo $! >child; mv child ready; wait"));
    CHECK(pid);
    while (!std::filesystem::exists(folder_ + "/ready"))
      co_await env::sleep_for(shard, std::chrono::milliseconds(5));
    std::ifstream(folder_ + "/ready") >> guardian;
    ::kill(*pid, SIGKILL);
    EXPECT_TRUE(co_await processes.end_of(*pid, shard.now() + seconds(20)));
    EXPECT_EQ(ending_text(*processes.ended(*pid)), "was killed by signal 9 (Killed)");
    EXPECT_TRUE(is_there(guardian));
  });
  EXPECT_FALSE(std::filesystem::exists("/proc/" + std::to_string(guardian)));
}

TEST_F(DevProcess, TheListenerOnAPortIsKnownByName) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  CHECK(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 && ::listen(fd, 1) == 0);
  CHECK(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  EXPECT_THAT(port_owner(ntohs(address.sin_port)),
              HasSubstr("(pid " + std::to_string(::getpid()) + ")"));
  ::close(fd);
  EXPECT_EQ(port_owner(ntohs(address.sin_port)), "");
}

// A process that has made a passing folder and started a child that writes into it. `body` is what
// it does then.
struct Owner {
  explicit Owner(const std::string& log, bool leave) {
    int ends[2];
    CHECK(::pipe2(ends, O_CLOEXEC) == 0);
    pid = ::fork();
    if (pid == 0) {
      ::signal(SIGCHLD, SIG_DFL);
      auto made = PassingFolder::make();
      CHECK(made);
      env::RealEnv env({.shards = 1});
      Processes processes(env.shard(0));
      auto started = processes.start({.name = "writer",
                                      .argv = {"sh", "-c", "while :; do date >>file; done"},
                                      .environment = {},
                                      .folder = made->path(),
                                      .log = log});
      CHECK(started);
      while (!std::filesystem::exists(made->path() + "/file")) ::usleep(1000);
      const std::string told = fmt::format("{} {}", *started, made->path());
      CHECK(::write(ends[1], told.data(), told.size()) > 0);
      if (!leave) {
        for (;;) ::pause();
      }
      processes.signal(*started, SIGKILL);
      while (!processes.ended(*started)) processes.reap();
      // The folder goes with the scope of whoever has it.
      {
        const PassingFolder gone = std::move(*made);
      }
      ::_exit(0);
    }
    ::close(ends[1]);
    char text[1000];
    const ssize_t size = ::read(ends[0], text, sizeof text);
    CHECK(size > 0);
    std::istringstream words(std::string(text, static_cast<size_t>(size)));
    words >> child >> folder;
    ::close(ends[0]);
  }
  pid_t pid = 0;
  pid_t child = 0;
  std::string folder;
};

TEST_F(DevProcess, KillNineOfTheOwnerLeavesNeitherProcessNorFolder) {
  const Owner owner(folder_ + "/log", false);
  ASSERT_TRUE(is_there(owner.child));
  ASSERT_TRUE(std::filesystem::exists(owner.folder + "/file"));
  ::kill(owner.pid, SIGKILL);
  ::waitpid(owner.pid, nullptr, 0);
  EXPECT_TRUE(within_20_s([&] { return !is_there(owner.child); }));
  EXPECT_TRUE(within_20_s([&] { return !std::filesystem::exists(owner.folder); }));
}

TEST_F(DevProcess, TheFolderIsGoneWhenItsOwnerHasEnded) {
  const Owner owner(folder_ + "/log", true);
  int status = 0;
  ::waitpid(owner.pid, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_FALSE(is_there(owner.child));
  EXPECT_FALSE(std::filesystem::exists(owner.folder));
}

}  // namespace
}  // namespace paceline::app
