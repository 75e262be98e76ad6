#include "app/guardian.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <optional>
#include <thread>

#include "base/check.h"
#include "base/codec.h"
#include "base/log.h"
#include "peer/ended.h"

namespace paceline::app {
namespace {

constexpr size_t kNewsBytesMax = 60'000;  // a message of the socket pair is whole or not at all
constexpr char kLocked = 'L';
constexpr int kTellMs = 300;  // at most; who cannot be reached in it learns otherwise
constexpr int32_t kStatusUnknown = -1;
constexpr int kForwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

sigset_t forwarded_set() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : kForwarded) sigaddset(&set, signal);
  return set;
}

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

// Ends as the child has ended.
[[noreturn]] void end_like(int status) {
  if (WIFSIGNALED(status)) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);  // the child has left the one that matters
    const int signal = WTERMSIG(status);
    ::signal(signal, SIG_DFL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
    ::raise(signal);
    ::_exit(128 + signal);
  }
  ::_exit(WEXITSTATUS(status));
}

class Guardian {
 public:
  Guardian(pid_t child, int news, pthread_mutex_t* mutex)
      : child_(child), news_(news), mutex_(mutex) {
    const sigset_t set = forwarded_set();
    signals_ = ::signalfd(-1, &set, SFD_CLOEXEC);
    gone_ = ::eventfd(0, EFD_CLOEXEC);
    ended_ = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));  // glibc 2.36: not for C++
    CHECK(signals_ >= 0 && gone_ >= 0 && ended_ >= 0);
  }

  [[noreturn]] void watch() {
    for (;;) {
      pollfd all[] = {
          {ended_, POLLIN, 0}, {gone_, POLLIN, 0}, {news_, POLLIN, 0}, {signals_, POLLIN, 0}};
      if (::poll(all, std::size(all), -1) < 0) continue;
      if (all[2].revents) take_news();
      if (all[1].revents) tell_gone();
      if (all[3].revents) forward();
      if (all[0].revents) end();
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
      const std::string_view message(text.data(), static_cast<size_t>(size));
      if (message == std::string_view(&kLocked, 1)) {
        wait_for_mutex();
      } else if (auto news = decode_news(message)) {
        latest_ = std::move(*news);
      }
    }
  }

  // Nothing but the death of its owner gives the mutex up.
  void wait_for_mutex() {
    std::thread([mutex = mutex_, gone = gone_] {
      const int outcome = ::pthread_mutex_lock(mutex);
      const uint64_t one = 1;
      if (outcome == EOWNERDEAD) (void)!::write(gone, &one, sizeof one);
    }).detach();
  }

  void tell_gone() {
    uint64_t count = 0;
    (void)!::read(gone_, &count, sizeof count);
    take_news();
    if (latest_) tell_all(*latest_, kStatusUnknown);
  }

  void forward() {
    signalfd_siginfo info;
    if (::read(signals_, &info, sizeof info) != sizeof info) return;
    // A terminal's signal went to the whole group: the child has it already.
    if (info.ssi_code == SI_KERNEL) return;
    ::kill(child_, static_cast<int>(info.ssi_signo));
  }

  [[noreturn]] void end() {
    int status = 0;
    while (::waitpid(child_, &status, 0) < 0) CHECK(errno == EINTR);
    take_news();
    if (latest_) tell_all(*latest_, status);
    end_like(status);
  }

  const pid_t child_;
  int news_;
  pthread_mutex_t* const mutex_;
  int signals_ = -1;
  int gone_ = -1;
  int ended_ = -1;
  std::optional<GuardianNews> latest_;
};

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
  if (!in.done()) return fail(Code::corrupt, "the broker told its parent what does not decode");
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
    return fail(Code::unavailable, "the parent process does not listen");
  return {};
}

GuardianReport split_off_guardian() {
  pthread_mutex_t* const mutex = make_shared_mutex();
  int pair[2];
  CHECK(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
  const sigset_t forwarded = forwarded_set();
  sigset_t before;
  ::sigprocmask(SIG_BLOCK, &forwarded, &before);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  CHECK(child >= 0);
  if (child > 0) {
    ::close(pair[1]);
    ::prctl(PR_SET_NAME, "paceline-guard");
    Guardian(child, pair[0], mutex).watch();
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it died before we asked
  ::close(pair[0]);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  CHECK(::pthread_mutex_lock(mutex) == 0);  // for ever
  CHECK(::send(pair[1], &kLocked, 1, MSG_NOSIGNAL) == 1);
  return GuardianReport(pair[1]);
}

}  // namespace paceline::app
