#include "app/guardian.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>

#include "base/check.h"
#include "peer/ended.h"

namespace paceline::app {
namespace {

constexpr Lane kSelf{BrokerId(1), Incarnation(7)};
constexpr Uuid kCluster{{1, 2}};

// A port of a peer: what is sent to it, a connection at a time.
class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    CHECK(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0 && ::listen(fd_, 9) == 0);
    CHECK(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { ::close(fd_); }
  peer::Address address() const { return {"127.0.0.1", port_}; }
  std::string next() {
    pollfd waiting{fd_, POLLIN, 0};
    if (::poll(&waiting, 1, 20'000) != 1) return "nobody came";
    const int fd = ::accept(fd_, nullptr, nullptr);
    std::string text;
    char part[100];
    for (ssize_t size; (size = ::read(fd, part, sizeof part)) > 0;)
      text.append(part, static_cast<size_t>(size));
    ::close(fd);
    return text;
  }
  // That the broker dies, perhaps, and then that it is dead. Which of the two the kernel shows
  // first is a matter of microseconds for a small process.
  bool hears_the_end() {
    std::string word = next();
    if (word == peer::encode_ended(kCluster, kSelf, peer::kStatusNotYet)) word = next();
    return word == peer::encode_ended(kCluster, kSelf, peer::kStatusUnplanned);
  }
  bool quiet() {
    pollfd waiting{fd_, POLLIN, 0};
    return ::poll(&waiting, 1, 0) == 0;
  }

 private:
  int fd_;
  uint16_t port_ = 0;
};

// A broker, which runs `body`, and its guardian, which is ours once the broker is gone. The pipe is
// open as long as the broker is.
struct Pair {
  explicit Pair(const std::function<void(GuardianReport&)>& body) {
    CHECK(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    int ends[2];
    CHECK(::pipe(ends) == 0);
    broker = ::fork();
    if (broker == 0) {
      ::close(ends[0]);
      auto report = start_guardian();
      const int pid = report->pid();
      CHECK(::write(ends[1], &pid, sizeof pid) == sizeof pid);
      body(*report);
      CHECK(::write(ends[1], &pid, sizeof pid) == sizeof pid);
      for (;;) ::pause();
    }
    ::close(ends[1]);
    alive = ends[0];
    int ready = 0;
    CHECK(::read(alive, &guardian, sizeof guardian) == sizeof guardian);
    (void)!::read(alive, &ready, sizeof ready);
  }
  ~Pair() {
    ::kill(broker, SIGKILL);
    if (!waited) wait(broker);
    ::close(alive);
  }
  int wait(pid_t whom) {
    int status = 0;
    CHECK(::waitpid(whom, &status, 0) == whom);
    waited |= whom == broker;
    return status;
  }
  int end_of_guardian() {
    if (!waited) wait(broker);  // it is ours only then; what the broker had open is closed before
    const int status = wait(guardian);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  bool broker_ends() {  // in 20 s
    pollfd waiting{alive, POLLIN, 0};
    char rest;
    return ::poll(&waiting, 1, 20'000) == 1 && ::read(alive, &rest, 1) == 0;
  }
  pid_t broker = 0;
  pid_t guardian = 0;
  int alive = -1;
  bool waited = false;
};

TEST(Guardian, TellsAllPeersOfAKilledBrokerAndEnds) {
  Listener peers[3];
  Pair pair([&](GuardianReport& report) {
    CHECK(report.send({kCluster, kSelf, {peers[2].address()}}));  // replaced by what is said next
    CHECK(
        report.send({kCluster, kSelf, {{"no number", 1}, peers[0].address(), peers[1].address()}}));
  });
  ::kill(pair.broker, SIGKILL);
  const int status = pair.wait(pair.broker);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  for (Listener& peer : std::span(peers).first(2)) {
    EXPECT_TRUE(peer.hears_the_end());
  }
  EXPECT_EQ(pair.end_of_guardian(), 1);
  EXPECT_TRUE(peers[2].quiet());
}

TEST(Guardian, SignalsForBothAreTheBrokersAndItsStatusIsItsOwn) {
  Listener peer;
  Pair pair([&](GuardianReport& report) {
    CHECK(report.send({kCluster, kSelf, {peer.address()}}));
    ::signal(SIGTERM, [](int) { ::_exit(5); });
  });
  for (int signal : {SIGINT, SIGHUP, SIGTERM}) ::kill(pair.guardian, signal);
  ::kill(pair.broker, SIGTERM);
  const int status = pair.wait(pair.broker);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 5) << status;
  EXPECT_TRUE(peer.hears_the_end());
  EXPECT_EQ(pair.end_of_guardian(), 1);
}

TEST(Guardian, NobodyIsToldOfAPlannedEnd) {
  Listener peer;
  Pair pair([&](GuardianReport& report) {
    CHECK(report.send({kCluster, kSelf, {peer.address()}}));
    CHECK(report.send({kCluster, kSelf, {}}));
    ::_exit(0);
  });
  EXPECT_EQ(pair.end_of_guardian(), 0);
  EXPECT_TRUE(peer.quiet());
}

TEST(Guardian, ABrokerThatEndsBeforeItHasPeersEndsItToo) {
  Pair pair([](GuardianReport&) { ::_exit(3); });
  EXPECT_EQ(WEXITSTATUS(pair.wait(pair.broker)), 3);
  EXPECT_EQ(pair.end_of_guardian(), 0);
}

TEST(Guardian, APeerThatDoesNotAnswerHoldsUpNobodyForLong) {
  Listener peer;
  Pair pair([&](GuardianReport& report) {
    // An address of the documentation's network: nobody answers, or the system says so at once.
    CHECK(report.send({kCluster, kSelf, {{"192.0.2.1", 9}, {"::1", 1}, peer.address()}}));
  });
  ::kill(pair.broker, SIGKILL);
  EXPECT_TRUE(peer.hears_the_end());
  EXPECT_EQ(pair.end_of_guardian(), 1);
}

TEST(Guardian, OneThatIsKilledIsMissedByNobody) {
  Pair pair([](GuardianReport& report) {
    ::kill(report.pid(), SIGKILL);
    while (::kill(report.pid(), 0) == 0) ::usleep(1000);  // nothing of it is left to be waited for
    CHECK(!report.send({kCluster, kSelf, {}}));
  });
  pollfd waiting{pair.alive, POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 0), 0) << "the broker has ended";
}

TEST(Guardian, DoesNotLookLikeABrokerAndHoldsNothingOfIt) {
  Pair pair([](GuardianReport&) {});
  const std::string proc = "/proc/" + std::to_string(pair.guardian);
  std::string name;
  std::ifstream(proc + "/comm") >> name;
  for (int i = 0; i < 1000 && name != "paceline-guard"; ++i) {
    ::usleep(1000);
    std::ifstream(proc + "/comm") >> name;
  }
  EXPECT_EQ(name, "paceline-guard");
  ::kill(pair.broker, SIGKILL);
  EXPECT_TRUE(pair.broker_ends());  // no other process holds its end of the pipe
}

TEST(Guardian, TellsOfABigBrokerBeforeItsMemoryIsTakenDown) {
  constexpr size_t kResident = 256u << 20;
  Listener peer;
  Pair pair([&](GuardianReport& report) {
    CHECK(report.send({kCluster, kSelf, {peer.address()}}));
    void* memory =
        ::mmap(nullptr, kResident, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    ::madvise(memory, kResident, MADV_NOHUGEPAGE);
    for (size_t at = 0; at < kResident; at += 4096) static_cast<volatile char*>(memory)[at] = 1;
  });
  const auto killed = std::chrono::steady_clock::now();
  auto passed = [killed] {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - killed)
        .count();
  };
  ::kill(pair.broker, SIGKILL);
  const std::string first = peer.next();
  const double told = passed();
  EXPECT_TRUE(first == peer::encode_ended(kCluster, kSelf, peer::kStatusNotYet) ||
              first == peer::encode_ended(kCluster, kSelf, peer::kStatusUnplanned));
  EXPECT_TRUE(pair.broker_ends());
  std::printf("256 MiB resident: told after %.2f ms, descriptors closed after %.2f ms\n", told,
              passed());
}

TEST(Guardian, NewsIsReadBackAndNothingElseIs) {
  const GuardianNews news{kCluster, kSelf, {{"127.0.0.1", 1}, {"::1", 65535}}};
  const std::string text = encode(news);
  EXPECT_EQ(decode_news(text), news);
  for (size_t size = 0; size < text.size(); ++size)
    EXPECT_FALSE(decode_news(std::string_view(text).substr(0, size)));
  EXPECT_FALSE(decode_news(text + "x"));
}

}  // namespace
}  // namespace paceline::app
