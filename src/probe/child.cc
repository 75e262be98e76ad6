#include "probe/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace paceline::probe {
namespace {

constexpr size_t kLastWordsMax = 400;

struct Ends {
  int ours = -1, theirs = -1;
};

// A socket and not a pipe: writing to one that nobody reads any more is an error, and no signal.
Ends socket_ends() {
  int both[2];
  CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both) == 0);
  return {both[0], both[1]};
}
Ends pipe_ends() {
  int both[2];
  CHECK(::pipe2(both, O_CLOEXEC) == 0);
  CHECK(::fcntl(both[0], F_SETFL, O_NONBLOCK) == 0);
  return {both[0], both[1]};
}

// In the child: system calls alone, since other threads' locks may be held for ever.
[[noreturn]] void become(char* const* argv, pid_t parent, int in, int out, int errors, int report) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it died before we asked
  ::setpgid(0, 0);
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(errors, 2);
  ::execvp(argv[0], argv);
  const int error = errno;
  (void)!::write(report, &error, sizeof error);
  ::_exit(127);
}

// What is there, without waiting; `most` bytes of it.
std::string take(int fd, size_t most) {
  std::string text(most, '\0');
  ssize_t got = 0;
  while ((got = ::read(fd, text.data(), text.size())) < 0 && errno == EINTR) {
  }
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return text;
}

}  // namespace

Result<Child> Child::start(const std::vector<std::string>& argv) {
  CHECK(!argv.empty());
  std::vector<std::string> words = argv;
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const Ends in = socket_ends(), out = pipe_ends(), errors = pipe_ends();
  int report[2];
  CHECK(::pipe2(report, O_CLOEXEC) == 0);
  sigset_t all, before;
  sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, &before);
  const pid_t self = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(arguments.data(), self, in.theirs, out.theirs, errors.theirs, report[1]);
  int error = errno;
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  for (int fd : {in.theirs, out.theirs, errors.theirs, report[1]}) ::close(fd);
  if (pid > 0) {
    ::setpgid(pid, pid);  // whoever comes first
    ssize_t size = 0;
    while ((size = ::read(report[0], &error, sizeof error)) < 0 && errno == EINTR) {
    }
    ::close(report[0]);
    if (size == 0) return Child(pid, in.ours, out.ours, errors.ours);
    ::waitpid(pid, nullptr, 0);
  } else {
    ::close(report[0]);
  }
  for (int fd : {in.ours, out.ours, errors.ours}) ::close(fd);
  return fail(Code::not_found,
              fmt::format("{} cannot be started: {}", argv[0], std::strerror(error)));
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      in_(other.in_),
      out_(other.out_),
      errors_(other.errors_),
      ended_(other.ended_),
      status_(other.status_),
      last_words_(std::move(other.last_words_)) {}

Child::~Child() {
  if (pid_ < 0) return;
  ::kill(-pid_, SIGKILL);
  if (!ended_) ::waitpid(pid_, nullptr, 0);
  for (int fd : {in_, out_, errors_}) ::close(fd);
}

bool Child::write(std::string_view text) {
  const ssize_t sent = ::send(in_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent == static_cast<ssize_t>(text.size());
}

std::string Child::read(size_t most) {
  read_errors();
  return take(out_, most);
}

void Child::read_errors() {
  constexpr size_t kAtOnce = 4096;
  last_words_ += take(errors_, kAtOnce);
  if (last_words_.size() > kLastWordsMax) last_words_.erase(0, last_words_.size() - kLastWordsMax);
}

bool Child::ended() {
  if (!ended_ && ::waitpid(pid_, &status_, WNOHANG) == pid_) ended_ = true;
  return ended_;
}

std::string Child::ending() {
  read_errors();
  std::string words = WIFSIGNALED(status_)
                          ? fmt::format("was killed by signal {}", WTERMSIG(status_))
                          : fmt::format("ended with code {}", WEXITSTATUS(status_));
  while (last_words_.ends_with('\n')) last_words_.pop_back();
  const std::string last = last_words_.substr(last_words_.rfind('\n') + 1);
  return last.empty() ? words : fmt::format("{}: {}", words, last);
}

}  // namespace paceline::probe
