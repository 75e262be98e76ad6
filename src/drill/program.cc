#include "drill/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

extern char** environ;

namespace paceline::drill {
namespace {

constexpr size_t kOutputBytesMax = 64u << 10;

// There is no shard where a watchdog runs commands.
int64_t now_ms() {
  timespec at{};
  ::clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1000 + at.tv_nsec / 1'000'000;
}

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) ends_ = {-1, -1};
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_writer();
    close_reader();
  }
  bool good() const { return ends_[0] >= 0; }
  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void close_writer() { close_end(ends_[1]); }
  void close_reader() { close_end(ends_[0]); }

 private:
  static void close_end(int& end) {
    if (end >= 0) ::close(std::exchange(end, -1));
  }
  std::array<int, 2> ends_{-1, -1};
};

std::vector<std::string> environment_of(const Command& command) {
  std::map<std::string, std::string> variables = command.environment;
  variables.merge(own_environment());  // ours are weaker
  std::vector<std::string> all;
  for (const auto& [name, value] : variables) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

// 0, or what went wrong. The child is the first of a group, so that all of it can be killed.
int spawn(const Command& command, const Pipe& out, const Pipe& err, pid_t& pid) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&files, out.writer(), 1);
  ::posix_spawn_file_actions_adddup2(&files, err.writer(), 2);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<std::string> argv = command.argv, environment = environment_of(command);
  const std::vector<char*> words = pointers(argv), variables = pointers(environment);
  const int error =
      ::posix_spawnp(&pid, words.front(), &files, &attributes, words.data(), variables.data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  return error;
}

// False at the end of the stream.
bool take_from(int fd, std::string& into) {
  std::array<char, 4096> bytes{};
  const ssize_t count = ::read(fd, bytes.data(), bytes.size());
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  const size_t room = kOutputBytesMax - std::min(into.size(), kOutputBytesMax);
  into.append(bytes.data(), std::min(static_cast<size_t>(count), room));
  return count > 0;
}

// Until both streams have ended, or false at the deadline.
bool read_until(Pipe& out, Pipe& err, Ending& ending, int64_t deadline_ms) {
  while (out.reader() >= 0 || err.reader() >= 0) {
    const int64_t left = deadline_ms - now_ms();
    if (left <= 0) return false;
    std::array<pollfd, 2> wanted{{{out.reader(), POLLIN, 0}, {err.reader(), POLLIN, 0}}};
    if (::poll(wanted.data(), wanted.size(), static_cast<int>(std::min<int64_t>(left, 1000))) <= 0)
      continue;
    if (wanted[0].revents && !take_from(out.reader(), ending.out)) out.close_reader();
    if (wanted[1].revents && !take_from(err.reader(), ending.err)) err.close_reader();
  }
  return true;
}

// Until it has ended, or false at the deadline.
bool wait_until(pid_t pid, int& status, int64_t deadline_ms) {
  for (;;) {
    const pid_t ended = ::waitpid(pid, &status, WNOHANG);
    if (ended == pid) return true;
    if (ended < 0 && errno != EINTR) return true;
    if (now_ms() >= deadline_ms) return false;
    ::poll(nullptr, 0, 5);
  }
}

}  // namespace

std::map<std::string, std::string> own_environment() {
  std::map<std::string, std::string> variables;
  for (char** at = environ; *at; ++at) {
    const std::string_view text(*at);
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos)
      variables[std::string(text.substr(0, equals))] = text.substr(equals + 1);
  }
  return variables;
}

Ending run_program(const Command& command) {
  Ending ending;
  if (command.argv.empty() || command.argv.front().empty()) {
    ending.why = "there is no command";
    return ending;
  }
  Pipe out, err;
  if (!out.good() || !err.good()) {
    ending.why = fmt::format("no pipe: {}", std::strerror(errno));
    return ending;
  }
  const int64_t deadline =
      now_ms() + std::chrono::duration_cast<std::chrono::milliseconds>(command.timeout).count();
  pid_t pid = 0;
  if (const int error = spawn(command, out, err, pid); error != 0) {
    ending.why = fmt::format("{}: {}", command.argv.front(), std::strerror(error));
    return ending;
  }
  out.close_writer();
  err.close_writer();
  int status = 0;
  // What it has started may hold its streams for longer than it lives; it is not waited for.
  if (!read_until(out, err, ending, deadline) || !wait_until(pid, status, deadline)) {
    const bool ended = ::waitpid(pid, &status, WNOHANG) == pid;
    ::kill(-pid, SIGKILL);
    if (!ended) ::waitpid(pid, &status, 0);
    ending.timed_out = true;
    ending.why =
        fmt::format("not done after {} ms",
                    std::chrono::duration_cast<std::chrono::milliseconds>(command.timeout).count());
    return ending;
  }
  if (WIFEXITED(status)) {
    ending.exit_code = WEXITSTATUS(status);
    // What posix_spawnp says where it cannot find the program until it is the child.
    if (ending.exit_code == 127 && ending.err.empty())
      ending.why = fmt::format("{} cannot be run", command.argv.front());
  } else {
    ending.why = fmt::format("killed by signal {}", WTERMSIG(status));
  }
  return ending;
}

}  // namespace paceline::drill
