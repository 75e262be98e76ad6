#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "drill/watchdog.h"

extern char** environ;

namespace paceline::drill {
namespace {

constexpr env::Duration kRenew = std::chrono::milliseconds(200);
constexpr int kAnswersWithinMs = 3000;
constexpr int kEndsWithinMs = 40'000;  // it may have to run what heals

}  // namespace

struct Watchdog::State {
  explicit State(env::Shard& on) : shard(on) {}
  ~State() {
    if (socket >= 0) ::close(socket);
  }
  bool say(std::string_view text) {
    if (socket < 0 || lost) return false;
    if (::send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
        static_cast<ssize_t>(text.size()))
      return true;
    // A full pipe is one that nobody reads.
    lost = true;
    return false;
  }

  env::Shard& shard;
  int socket = -1;
  pid_t pid = 0;
  bool lost = false;
  bool ended = false;
};

Result<std::unique_ptr<Watchdog>> Watchdog::start(env::Shard& shard, std::vector<std::string> argv,
                                                  std::string log) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return fail(Code::unavailable, fmt::format("no watchdog: {}", std::strerror(errno)));
  auto state = std::make_shared<State>(shard);
  state->socket = ends[0];
  constexpr int kTheirs = 3;
  argv.push_back(std::to_string(kTheirs));
  argv.push_back(std::move(log));
  std::vector<char*> words;
  for (std::string& word : argv) words.push_back(word.data());
  words.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawnattr_init(&attributes);
  for (int fd = 0; fd < 3; ++fd)
    ::posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
  // Also where both are the same: the copy is the one that stays open.
  ::posix_spawn_file_actions_adddup2(&files, ends[1], kTheirs);
  // A terminal's signals are not for it.
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  const int error =
      ::posix_spawn(&state->pid, words.front(), &files, &attributes, words.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  ::close(ends[1]);
  if (error != 0)
    return fail(Code::unavailable, fmt::format("no watchdog: {}", std::strerror(error)));
  shard.spawn(renew(state));
  return std::unique_ptr<Watchdog>(new Watchdog(std::move(state)));
}

Watchdog::~Watchdog() {
  state_->ended = true;
  if (state_->socket >= 0) ::close(std::exchange(state_->socket, -1));
}

Task<void> Watchdog::renew(std::shared_ptr<State> state) {
  while (!state->ended && state->say("lease")) co_await env::sleep_for(state->shard, kRenew);
}

Task<Result<void>> Watchdog::guard(HealAction action) {
  const std::string name = action.name;
  if (!state_->say("guard " + to_json(action)))
    co_return fail(Code::unavailable, "the watchdog has ended");
  const int socket = state_->socket;
  // It has one thing to answer to at a time.
  const bool answered = co_await env::offload(state_->shard, [socket] {
    std::array<char, 16> bytes{};
    pollfd wanted{socket, POLLIN, 0};
    return ::poll(&wanted, 1, kAnswersWithinMs) == 1 &&
           ::recv(socket, bytes.data(), bytes.size(), 0) > 0;
  });
  if (!answered) {
    state_->lost = true;
    co_return fail(Code::unavailable, "the watchdog does not answer");
  }
  co_return Result<void>{};
}

void Watchdog::release(std::string name) {
  (void)state_->say("release " + name);
}

bool Watchdog::lost() const {
  return state_->lost;
}

pid_t Watchdog::pid() const {
  return state_->pid;
}

Task<void> Watchdog::end() {
  (void)state_->say("end");
  state_->ended = true;
  if (state_->socket >= 0) ::close(std::exchange(state_->socket, -1));
  const pid_t pid = std::exchange(state_->pid, 0);
  if (pid == 0) co_return;
  co_await env::offload(state_->shard, [pid] {
    for (int waited = 0; waited < kEndsWithinMs; waited += 10) {
      if (::waitpid(pid, nullptr, WNOHANG) != 0) return;
      ::poll(nullptr, 0, 10);
    }
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  });
}

}  // namespace paceline::drill
