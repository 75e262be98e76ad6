#include "app/guardian.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <thread>

#include "base/check.h"
#include "base/codec.h"
#include "base/log.h"
#include "peer/ended.h"

namespace paceline::app {
namespace {

constexpr size_t kNewsBytesMax = 60'000;  // a message of the socket pair is whole or not at all
constexpr int kTellMs = 300;              // at most; who cannot be reached in it learns otherwise
constexpr char kName[] = "paceline-guard";

// What a terminal or a supervisor sends to both is for the broker.
constexpr int kIgnored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGUSR1, SIGUSR2, SIGPIPE};

pthread_mutex_t* make_shared_mutex() {
  void* memory = ::mmap(nullptr, sizeof(pthread_mutex_t), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  auto* mutex = static_cast<pthread_mutex_t*>(memory);
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  CHECK(::pthread_mutex_init(mutex, &attributes) == 0);
  return mutex;
}

// A connection on its way to a peer, as a number.
int start_connecting(const peer::Address& to) {
  sockaddr_storage storage{};
  socklen_t size = 0;
  auto* four = reinterpret_cast<sockaddr_in*>(&storage);
  auto* six = reinterpret_cast<sockaddr_in6*>(&storage);
  if (::inet_pton(AF_INET, to.host.c_str(), &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(to.port);
    size = sizeof *four;
  } else if (::inet_pton(AF_INET6, to.host.c_str(), &six->sin6_addr) == 1) {
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(to.port);
    size = sizeof *six;
  } else {
    return -1;
  }
  const int fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&storage), size) == 0 || errno == EINPROGRESS)
    return fd;
  ::close(fd);
  return -1;
}

// To all at once. What was sent arrives also after we have closed, and after we have ended.
void tell_all(const GuardianNews& news, int32_t status) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::milliseconds(kTellMs);
  const std::string text = peer::encode_ended(news.cluster_id, news.self, status);
  std::vector<pollfd> waiting;
  for (const peer::Address& to : news.peers) {
    const int fd = start_connecting(to);
    if (fd >= 0) waiting.push_back({.fd = fd, .events = POLLOUT, .revents = 0});
  }
  while (!waiting.empty()) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left < 0) break;
    const int ready = ::poll(waiting.data(), waiting.size(), static_cast<int>(left) + 1);
    if (ready < 0 && errno != EINTR) break;
    std::erase_if(waiting, [&](pollfd& one) {
      if (ready <= 0 || one.revents == 0) return false;
      // A fresh connection takes so few bytes whole.
      (void)::send(one.fd, text.data(), text.size(), MSG_NOSIGNAL);
      ::close(one.fd);
      return true;
    });
  }
  for (const pollfd& one : waiting) ::close(one.fd);
}

class Guardian {
 public:
  Guardian(int broker, int news, pthread_mutex_t* mutex)
      : broker_(broker), news_(news), gone_(::eventfd(0, EFD_CLOEXEC)) {
    CHECK(gone_ >= 0);
    wait_for_mutex(mutex);
  }

  [[noreturn]] void watch() {
    for (;;) {
      pollfd all[] = {{broker_, POLLIN, 0}, {gone_, POLLIN, 0}, {news_, POLLIN, 0}};
      if (::poll(all, std::size(all), -1) < 0) continue;
      if (all[2].revents) take_news();
      if (all[1].revents) dying();
      if (all[0].revents) ended();
    }
  }

 private:
  // All that waits: what was said last counts, also by one who is dead.
  void take_news() {
    std::string text(kNewsBytesMax + 1, '\0');
    while (news_ >= 0) {
      const ssize_t size = ::recv(news_, text.data(), text.size(), MSG_DONTWAIT);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && errno == EAGAIN) return;
      if (size <= 0) {
        ::close(news_);
        news_ = -1;  // poll passes it over
        return;
      }
      auto news = decode_news({text.data(), static_cast<size_t>(size)});
      if (news) latest_ = std::move(*news);
    }
  }

  // Nothing but the death of its owner gives the mutex up.
  void wait_for_mutex(pthread_mutex_t* mutex) {
    std::thread([mutex, gone = gone_] {
      const int outcome = ::pthread_mutex_lock(mutex);
      const uint64_t one = 1;
      if (outcome == EOWNERDEAD) (void)!::write(gone, &one, sizeof one);
    }).detach();
  }

  void dying() {
    uint64_t count = 0;
    (void)!::read(gone_, &count, sizeof count);
    take_news();
    if (latest_) tell_all(*latest_, peer::kStatusNotYet);
  }

  // Only its parent learns with what status. As planned is what it has said itself.
  [[noreturn]] void ended() {
    take_news();
    const bool told = latest_ && !latest_->peers.empty();
    if (told) tell_all(*latest_, peer::kStatusUnplanned);
    ::_exit(told ? 1 : 0);
  }

  const int broker_;  // readable when the process has ended
  int news_;
  const int gone_;
  std::optional<GuardianNews> latest_;
};

// Among processes it must not look like a broker: `kill -9 $(pidof paceline)` would take both at
// once.
void take_name() {
  ::prctl(PR_SET_NAME, kName);
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string words(std::istreambuf_iterator<char>(file), {});
  if (words.size() < sizeof kName) return;
  // The words of the command line follow each other in memory, and these bytes are what is shown.
  std::memset(program_invocation_name, 0, words.size());
  std::memcpy(program_invocation_name, kName, sizeof kName);
}

// Lets go of all that is the broker's: its terminal, its folder, whoever waits for its pipes to
// end.
void let_go(int first, int second) {
  for (int signal : kIgnored) ::signal(signal, SIG_IGN);
  (void)!::chdir("/");
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < 3; ++fd) (void)::dup2(nothing, fd);
  const auto [low, high] = std::minmax(first, second);
  if (low > 3) ::close_range(3, static_cast<unsigned>(low) - 1, 0);
  if (high > low + 1)
    ::close_range(static_cast<unsigned>(low) + 1, static_cast<unsigned>(high) - 1, 0);
  ::close_range(static_cast<unsigned>(high) + 1, ~0u, 0);
}

}  // namespace

std::string encode(const GuardianNews& news) {
  Encoder out;
  out.put(news.cluster_id).put(news.self).varint(news.peers.size());
  for (const peer::Address& one : news.peers) out.text(one.host).put(one.port);
  return out.take();
}

Result<GuardianNews> decode_news(std::string_view text) {
  Decoder in(text);
  GuardianNews news;
  news.cluster_id = in.uuid();
  news.self = in.lane();
  const size_t count = in.count(3);
  for (size_t i = 0; i < count; ++i) {
    peer::Address one;
    one.host = in.text();
    one.port = in.get<uint16_t>();
    news.peers.push_back(std::move(one));
  }
  if (!in.done()) return fail(Code::corrupt, "the broker told its guardian what does not decode");
  return news;
}

GuardianReport::~GuardianReport() {
  ::close(fd_);
}

Result<void> GuardianReport::send(const GuardianNews& news) {
  const std::string text = encode(news);
  if (text.size() > kNewsBytesMax)
    return fail(Code::too_large, fmt::format("{} peers are too many to tell", news.peers.size()));
  if (::send(fd_, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
    return fail(Code::unavailable, "the guardian does not listen");
  return {};
}

std::unique_ptr<GuardianReport> start_guardian() {
  pthread_mutex_t* const mutex = make_shared_mutex();
  CHECK(::pthread_mutex_lock(mutex) == 0);  // for ever
  int pair[2];
  CHECK(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
  const int self = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0));  // no glibc for C++
  const int no_pidfd = errno;
  ::signal(SIGCHLD, SIG_IGN);  // one that has been killed leaves nothing behind
  // What is sent to it before it has let go of signals is not for it either.
  sigset_t all, before;
  sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, &before);
  const pid_t guardian = self < 0 ? -1 : ::fork();
  if (guardian == 0) {
    let_go(pair[0], self);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    take_name();
    Guardian(self, pair[0], mutex).watch();
  }
  const int error = self < 0 ? no_pidfd : errno;
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  ::close(pair[0]);
  if (self >= 0) ::close(self);
  if (guardian > 0) return std::make_unique<GuardianReport>(pair[1], guardian);
  ::close(pair[1]);
  // A sandbox forbids it, for example.
  log_warn(
      "no guardian can be started ({}): others will notice a death of this broker a little later",
      std::strerror(error));
  return nullptr;
}

}  // namespace paceline::app
