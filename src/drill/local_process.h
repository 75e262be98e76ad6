#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace paceline::env {
class Disk;
}

namespace paceline::drill {

// The beginning of a file, whatever it says its size is: what /proc holds has none until it is
// read.
Result<std::string> read_head(env::Disk& disk, const std::string& path, size_t bytes_max);

// A process of this machine, told from a later one of the same id by when it began.
struct LocalProcess {
  pid_t pid = 0;
  uint64_t start_ticks = 0;
  bool operator==(const LocalProcess&) const = default;
};

struct ProcessLook {
  LocalProcess process;
  char state = '?';      // as in /proc: R, S, T (stopped), Z, …
  bool exiting = false;  // it runs none of its own code any more
  uint64_t cpu_ticks = 0;
  int64_t resident_bytes = 0;
};
// Nothing: there is no such process.
std::optional<ProcessLook> look_at_process(env::Disk& disk, pid_t pid);
// "123 (a (b) c) S 1 …", as in /proc/PID/stat.
std::optional<ProcessLook> parse_stat(std::string_view text, int64_t page_bytes);

// It is there, it is the same one, and it is no zombie.
bool lives(env::Disk& disk, const LocalProcess& process);
// not_found: it has ended, or the id is another one's by now.
Result<void> send_signal(env::Disk& disk, const LocalProcess& process, int signal);
// It has been sent, and the process has not heard it yet.
bool signal_pending(env::Disk& disk, const LocalProcess& process, int signal);
// Both see the same clock that does not jump.
bool same_clock(pid_t one, pid_t other);

}  // namespace paceline::drill
