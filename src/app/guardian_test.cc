#include "app/guardian.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
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
  // The end with its status; before it perhaps the end alone. Which of the two the kernel shows
  // first is a matter of microseconds for a small process.
  bool hears_the_end(int status) {
    std::string word = next();
    early = word == peer::encode_ended(kCluster, kSelf, -1);
    if (early) word = next();
    return word == peer::encode_ended(kCluster, kSelf, status);
  }
  bool early = false;
  bool quiet() {
    pollfd waiting{fd_, POLLIN, 0};
    return ::poll(&waiting, 1, 0) == 0;
  }

 private:
  int fd_;
  uint16_t port_ = 0;
};

// A guardian and its broker, which runs `body`. The pipe is open as long as the broker is.
struct Pair {
  explicit Pair(const std::function<void(GuardianReport&)>& body) {
    int ends[2];
    CHECK(::pipe(ends) == 0);
    guardian = ::fork();
    if (guardian == 0) {
      ::close(ends[0]);
      GuardianReport report = split_off_guardian();
      body(report);
      const pid_t self = ::getpid();
      CHECK(::write(ends[1], &self, sizeof self) == sizeof self);
      for (;;) ::pause();
    }
    ::close(ends[1]);
    alive = ends[0];
    if (::read(alive, &broker, sizeof broker) != sizeof broker) broker = 0;
  }
  ~Pair() {
    if (!waited) ::kill(guardian, SIGKILL);
    if (!waited) wait();
    ::close(alive);
  }
  int wait() {
    int status = 0;
    CHECK(::waitpid(guardian, &status, 0) == guardian);
    waited = true;
    return status;
  }
  bool broker_ends() {  // in 20 s
    pollfd waiting{alive, POLLIN, 0};
    char rest;
    return ::poll(&waiting, 1, 20'000) == 1 && ::read(alive, &rest, 1) == 0;
  }
  pid_t guardian = 0;
  pid_t broker = 0;
  int alive = -1;
  bool waited = false;
};

TEST(Guardian, TellsAllPeersOfAKilledBrokerAndEndsLikeIt) {
  Listener peers[3];
  Pair pair([&](GuardianReport& report) {
    CHECK(report.send({kCluster, kSelf, {peers[2].address()}}));  // replaced by what is said next
    CHECK(
        report.send({kCluster, kSelf, {{"no number", 1}, peers[0].address(), peers[1].address()}}));
  });
  ASSERT_GT(pair.broker, 0);
  ::kill(pair.broker, SIGKILL);
  for (Listener& peer : std::span(peers).first(2)) {
    EXPECT_TRUE(peer.hears_the_end(SIGKILL));
  }
  EXPECT_TRUE(peers[2].quiet());
  const int status = pair.wait();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
}

TEST(Guardian, PassesSignalsOnAndTellsTheStatusOfAnExit) {
  Listener peer;
  Pair pair([&](GuardianReport& report) {
    CHECK(report.send({kCluster, kSelf, {peer.address()}}));
    ::signal(SIGTERM, [](int) { ::_exit(5); });
  });
  ASSERT_GT(pair.broker, 0);
  ::kill(pair.guardian, SIGTERM);
  EXPECT_TRUE(peer.hears_the_end(5 << 8));
  const int status = pair.wait();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 5) << status;
}

TEST(Guardian, ABrokerThatEndsBeforeItHasPeersEndsTheGuardianToo) {
  Pair pair([](GuardianReport&) { ::_exit(3); });
  const int status = pair.wait();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 3) << status;
}

TEST(Guardian, APeerThatDoesNotAnswerHoldsUpNobodyForLong) {
  Listener peer;
  Pair pair([&](GuardianReport& report) {
    // An address of the documentation's network: nobody answers, or the system says so at once.
    CHECK(report.send({kCluster, kSelf, {{"192.0.2.1", 9}, {"::1", 1}, peer.address()}}));
  });
  ASSERT_GT(pair.broker, 0);
  ::kill(pair.broker, SIGKILL);
  EXPECT_TRUE(peer.hears_the_end(SIGKILL));
  EXPECT_TRUE(WIFSIGNALED(pair.wait()));
}

TEST(Guardian, AGuardianThatIsKilledTakesTheBrokerAlong) {
  Pair pair([](GuardianReport&) {});
  ASSERT_GT(pair.broker, 0);
  ::kill(pair.guardian, SIGKILL);
  EXPECT_TRUE(pair.broker_ends());
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
  ASSERT_GT(pair.broker, 0);
  const auto killed = std::chrono::steady_clock::now();
  auto passed = [killed] {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - killed)
        .count();
  };
  ::kill(pair.broker, SIGKILL);
  const std::string first = peer.next();
  const double told = passed();
  EXPECT_TRUE(first == peer::encode_ended(kCluster, kSelf, -1) ||
              first == peer::encode_ended(kCluster, kSelf, SIGKILL));
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
