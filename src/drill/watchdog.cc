#include "drill/watchdog.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <nlohmann/json.hpp>

#include "drill/drill.h"
#include "drill/hooks.h"
#include "drill/wall_time.h"
#include "env/real_disk.h"

namespace paceline::drill {
namespace {

using Json = nlohmann::json;

constexpr int64_t kLeaseMs = 5000;

int64_t clock_ms(clockid_t clock) {
  timespec at{};
  ::clock_gettime(clock, &at);
  return at.tv_sec * 1000 + at.tv_nsec / 1'000'000;
}

// Whoever heals writes what was done, at the end of what the drill has written.
class Log {
 public:
  explicit Log(const std::string& path)
      : fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {}
  void write(const std::string& line) const {
    const std::string text = line + "\n";
    (void)!::write(fd_, text.data(), text.size());
  }

 private:
  const int fd_;
};

class Guardian {
 public:
  Guardian(int socket, const std::string& log) : socket_(socket), log_(log) {}

  // Until the drill says that it ends, is gone, or stands still.
  void watch() {
    int64_t lease_ends = clock_ms(CLOCK_BOOTTIME) + kLeaseMs;
    for (;;) {
      const int64_t left = lease_ends - clock_ms(CLOCK_BOOTTIME);
      if (left <= 0) return heal_all("the drill has stood still for 5 s");
      pollfd wanted{socket_, POLLIN, 0};
      if (::poll(&wanted, 1, static_cast<int>(left)) <= 0) continue;
      const ssize_t size = ::recv(socket_, bytes_.data(), bytes_.size(), 0);
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) return heal_all("the drill is gone");
      lease_ends = clock_ms(CLOCK_BOOTTIME) + kLeaseMs;
      const std::string_view said(bytes_.data(), static_cast<size_t>(size));
      if (said == "end") return heal_all("the drill has ended");
      hear(said);
    }
  }

 private:
  void hear(std::string_view said) {
    constexpr std::string_view kGuard = "guard ", kRelease = "release ";
    const auto forget = [this](std::string_view name) {
      std::erase_if(actions_, [&](const HealAction& action) { return action.name == name; });
    };
    if (said.starts_with(kRelease)) {
      forget(said.substr(kRelease.size()));
    } else if (said.starts_with(kGuard)) {
      auto action = parse_heal_action(said.substr(kGuard.size()));
      if (!action) return;  // no answer: the drill will not inject
      forget(action->name);
      actions_.push_back(std::move(*action));
      (void)::send(socket_, "ok", 2, MSG_NOSIGNAL);
    }
  }

  void heal_all(const std::string& because) {
    while (!actions_.empty()) {
      const HealAction action = std::move(actions_.back());
      actions_.pop_back();
      heal(action, because);
    }
  }

  void heal(const HealAction& action, const std::string& because) {
    const int64_t began = clock_ms(CLOCK_BOOTTIME);
    Command command = action.command;
    Ending ending;
    if (action.process) {
      const auto sent = send_signal(disk_, *action.process, action.signal);
      command.argv = {"kill", fmt::format("-{}", action.signal),
                      std::to_string(action.process->pid)};
      ending.exit_code = sent ? 0 : 1;
      if (!sent) ending.why = sent.error().message;
    } else {
      ending = run_program(command);
    }
    ending.err += fmt::format("{}the watchdog has healed {}: {}", ending.err.empty() ? "" : "\n",
                              action.name, because);
    log_.write(log_line_of(rfc3339(clock_ms(CLOCK_REALTIME)), "heal", command, ending,
                           std::chrono::milliseconds(clock_ms(CLOCK_BOOTTIME) - began)));
  }

  const int socket_;
  const Log log_;
  env::RealDisk disk_;
  std::vector<HealAction> actions_;
  std::array<char, 64 << 10> bytes_{};
};

}  // namespace

std::string to_json(const HealAction& action) {
  Json json = {{"name", action.name}};
  if (action.process) {
    json["pid"] = action.process->pid;
    json["start_ticks"] = action.process->start_ticks;
    json["signal"] = action.signal;
  } else {
    json["argv"] = action.command.argv;
    json["environment"] = action.command.environment;
    json["timeout_ms"] =
        std::chrono::duration_cast<std::chrono::milliseconds>(action.command.timeout).count();
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<HealAction> parse_heal_action(std::string_view text) {
  const auto wrong = [] { return fail(Code::corrupt, "no way to heal"); };
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("name") || !json["name"].is_string()) return wrong();
  HealAction action{.name = json["name"].get<std::string>()};
  if (json.contains("pid")) {
    for (const char* field : {"pid", "start_ticks", "signal"})
      if (!json.contains(field) || !json[field].is_number_unsigned()) return wrong();
    action.process = LocalProcess{json["pid"].get<pid_t>(), json["start_ticks"].get<uint64_t>()};
    action.signal = json["signal"].get<int>();
    return action;
  }
  if (!json.contains("argv") || !json["argv"].is_array() || !json.contains("environment") ||
      !json["environment"].is_object() || !json.contains("timeout_ms") ||
      !json["timeout_ms"].is_number_integer())
    return wrong();
  for (const Json& word : json["argv"]) {
    if (!word.is_string()) return wrong();
    action.command.argv.push_back(word.get<std::string>());
  }
  for (const auto& [name, value] : json["environment"].items()) {
    if (!value.is_string()) return wrong();
    action.command.environment[name] = value.get<std::string>();
  }
  action.command.timeout = std::chrono::milliseconds(json["timeout_ms"].get<int64_t>());
  return action;
}

int watchdog(int socket, const std::string& log) {
  // Whoever ends all processes called paceline does not mean this one.
  ::prctl(PR_SET_NAME, "drill-watchdog");
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) ::signal(signal, SIG_IGN);
  Guardian(socket, log).watch();
  return 0;
}

}  // namespace paceline::drill
