#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"

// For tests only: real etcds on loopback, processes of the test that end with it.

namespace paceline::meta {

// What a command prints; "failed: " before it if it did not end well.
inline std::string run_command(const std::string& command) {
  FILE* pipe = ::popen(("{ " + command + "; } 2>&1").c_str(), "r");
  CHECK(pipe != nullptr);
  std::string output;
  char bytes[4096];
  while (const size_t size = ::fread(bytes, 1, sizeof bytes, pipe)) output.append(bytes, size);
  if (const int status = ::pclose(pipe); status != 0) output = "failed: " + output;
  return output;
}

class EtcdCluster {
 public:
  struct Options {
    int members = 3;
    std::vector<std::string> arguments{};  // of each member
    std::string client_scheme = "http";
    std::string tool_arguments{};  // of etcdctl
  };

  EtcdCluster() : EtcdCluster(Options{}) {}
  explicit EtcdCluster(Options options) : options_(std::move(options)) {
    std::string name = std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp";
    name += "/paceline-etcd-XXXXXX";
    CHECK(::mkdtemp(name.data()) != nullptr);
    dir_ = name;
    members_.resize(static_cast<size_t>(options_.members));
    take_ports();
    for (size_t i = 0; i < members_.size(); ++i) start(i);
    await_leader();
  }
  EtcdCluster(const EtcdCluster&) = delete;
  EtcdCluster& operator=(const EtcdCluster&) = delete;
  ~EtcdCluster() {
    for (size_t i = 0; i < members_.size(); ++i) kill(i);
    std::filesystem::remove_all(dir_);
  }

  const std::string& dir() const { return dir_; }
  size_t size() const { return members_.size(); }
  std::string endpoint(size_t i) const { return fmt::format("127.0.0.1:{}", members_[i].client); }
  std::string endpoints() const {
    std::string all;
    for (size_t i = 0; i < members_.size(); ++i) all += (i ? "," : "") + endpoint(i);
    return all;
  }

  void start(size_t i) {
    // A child of another thread would end with that thread, not with the process.
    CHECK(::gettid() == ::getpid());
    std::vector<std::string> arguments = command_of(i);
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const std::string log = fmt::format("{}/{}.log", dir_, i);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    CHECK(pid >= 0);
    if (pid == 0) {
      // Only what is safe after a fork.
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(1);
      if (FILE* out = ::fopen(log.c_str(), "a")) {
        ::dup2(::fileno(out), 1);
        ::dup2(::fileno(out), 2);
      }
      ::execvp(argv[0], argv.data());
      ::_exit(127);
    }
    members_[i].pid = pid;
  }
  void kill(size_t i) {
    pid_t& pid = members_[i].pid;
    if (pid == 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    pid = 0;
  }
  // What it knew is gone. REQUIRES: killed.
  void wipe(size_t i) { std::filesystem::remove_all(fmt::format("{}/{}", dir_, i)); }
  void signal(size_t i, int number) { ::kill(members_[i].pid, number); }

  std::string tool(const std::string& command) const {
    return run_command(fmt::format("ETCDCTL_API=3 etcdctl --endpoints={} {} {}", endpoints(),
                                   options_.tool_arguments, command));
  }
  // The member that leads; -1: none.
  int leader() const {
    for (size_t i = 0; i < members_.size(); ++i) {
      if (members_[i].pid == 0) continue;
      const std::string line =
          run_command(fmt::format("ETCDCTL_API=3 etcdctl --command-timeout=2s --endpoints={} {} "
                                  "endpoint status",
                                  endpoint(i), options_.tool_arguments));
      if (line.find("B, true, ") != std::string::npos) return static_cast<int>(i);
    }
    return -1;
  }
  // The member that leads. A cluster that does not come up is the end of the test program, with
  // its reason.
  int await_leader() {
    for (int i = 0; i < 300; ++i) {
      if (const int leads = leader(); leads >= 0) return leads;
      check_alive();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    CHECK(!"etcd has no leader after many tries");
    return -1;
  }

 private:
  struct Member {
    pid_t pid = 0;
    int client = 0, peer = 0;
  };

  void check_alive() {
    for (Member& member : members_) {
      int status = 0;
      if (member.pid == 0 || ::waitpid(member.pid, &status, WNOHANG) == 0) continue;
      std::fprintf(stderr, "etcd ended at once, status %d: is etcd-server installed? See ./dev\n",
                   status);
      std::fputs(run_command("tail -n 3 " + dir_ + "/*.log").c_str(), stderr);
      ::_exit(1);
    }
  }
  // All at once, so that they differ; etcd takes them a moment later.
  void take_ports() {
    std::vector<int> sockets;
    for (Member& member : members_) {
      for (int* port : {&member.client, &member.peer}) {
        const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        CHECK(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
        CHECK(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
        *port = ntohs(address.sin_port);
        sockets.push_back(fd);
      }
    }
    for (const int fd : sockets) ::close(fd);
  }
  std::vector<std::string> command_of(size_t i) const {
    std::string all;
    for (size_t n = 0; n < members_.size(); ++n)
      all += fmt::format("{}m{}=http://127.0.0.1:{}", n ? "," : "", n, members_[n].peer);
    const std::string client = fmt::format("{}://{}", options_.client_scheme, endpoint(i));
    const std::string peer = fmt::format("http://127.0.0.1:{}", members_[i].peer);
    std::vector<std::string> command = {
        "etcd",
        fmt::format("--name=m{}", i),
        fmt::format("--data-dir={}/{}", dir_, i),
        "--listen-client-urls=" + client,
        "--advertise-client-urls=" + client,
        "--listen-peer-urls=" + peer,
        "--initial-advertise-peer-urls=" + peer,
        "--initial-cluster=" + all,
        "--initial-cluster-state=new",
        "--heartbeat-interval=20",
        "--election-timeout=250",
        "--log-level=error",
    };
    command.insert(command.end(), options_.arguments.begin(), options_.arguments.end());
    return command;
  }

  const Options options_;
  std::string dir_;
  std::vector<Member> members_;
};

}  // namespace paceline::meta
