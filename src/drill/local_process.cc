#include "drill/local_process.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "env/disk.h"

namespace paceline::drill {
namespace {

constexpr uint64_t kStatBytesMax = 8192;
constexpr int64_t kExiting = 4;  // the kernel's PF_EXITING

template <class Number>
bool take_number(std::string_view& rest, Number& number) {
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (parsed.ec != std::errc{}) return false;
  rest.remove_prefix(static_cast<size_t>(parsed.ptr - rest.data()));
  return true;
}

}  // namespace

Result<std::string> read_head(env::Disk& disk, const std::string& path, size_t bytes_max) {
  TRY(auto file, disk.open(path, {}));
  std::string text(bytes_max, '\0');
  TRY(const size_t count,
      file->read_at(0, std::as_writable_bytes(std::span(text.data(), text.size()))));
  text.resize(count);
  return text;
}

std::optional<ProcessLook> parse_stat(std::string_view text, int64_t page_bytes) {
  ProcessLook look;
  std::string_view rest = text;
  int64_t pid = 0;
  if (!take_number(rest, pid) || pid <= 0 || pid > INT32_MAX) return std::nullopt;
  look.process.pid = static_cast<pid_t>(pid);
  // The name may hold anything, so that only its last bracket tells where it ends.
  const size_t bracket = rest.rfind(')');
  if (bracket == std::string_view::npos || bracket + 3 > rest.size()) return std::nullopt;
  look.state = rest[bracket + 2];
  rest.remove_prefix(bracket + 3);
  // Field 4 comes next; those that are looked for are 9, 14, 15, 22 and 24.
  int64_t user = 0, system = 0, pages = 0;
  for (int field = 4; field <= 24; ++field) {
    int64_t number = 0;
    if (field == 22) {
      if (!take_number(rest, look.process.start_ticks)) return std::nullopt;
      continue;
    }
    if (field == 23) {  // the address space: it may not fit into a signed number
      uint64_t skipped = 0;
      if (!take_number(rest, skipped)) return std::nullopt;
      continue;
    }
    if (!take_number(rest, number)) return std::nullopt;
    if (field == 9) look.exiting = (number & kExiting) != 0;
    if (field == 14) user = number;
    if (field == 15) system = number;
    if (field == 24) pages = number;
  }
  if (user < 0 || system < 0 || pages < 0 || pages > INT64_MAX / 65'536) return std::nullopt;
  look.cpu_ticks = static_cast<uint64_t>(user) + static_cast<uint64_t>(system);
  look.resident_bytes = pages * page_bytes;
  return look;
}

std::optional<ProcessLook> look_at_process(env::Disk& disk, pid_t pid) {
  if (pid <= 0) return std::nullopt;
  const auto text = read_head(disk, fmt::format("/proc/{}/stat", pid), kStatBytesMax);
  if (!text) return std::nullopt;
  return parse_stat(*text, ::sysconf(_SC_PAGESIZE));
}

bool lives(env::Disk& disk, const LocalProcess& process) {
  const auto look = look_at_process(disk, process.pid);
  return look && look->process == process && look->state != 'Z' && look->state != 'X';
}

Result<void> send_signal(env::Disk& disk, const LocalProcess& process, int signal) {
  if (!lives(disk, process))
    return fail(Code::not_found, fmt::format("process {} is not there any more", process.pid));
  if (::kill(process.pid, signal) != 0)
    return fail(errno == EPERM ? Code::permission_denied : Code::not_found,
                fmt::format("process {}: {}", process.pid, std::strerror(errno)));
  return {};
}

bool signal_pending(env::Disk& disk, const LocalProcess& process, int signal) {
  const auto status = read_head(disk, fmt::format("/proc/{}/status", process.pid), kStatBytesMax);
  if (!status) return false;
  const std::string_view text = *status;
  const uint64_t bit = uint64_t{1} << (signal - 1);
  for (std::string_view name : {"SigPnd:\t", "ShdPnd:\t"}) {
    const size_t at = text.find(name);
    if (at == std::string_view::npos) continue;
    uint64_t mask = 0;
    const char* begin = text.data() + at + name.size();
    (void)std::from_chars(begin, text.data() + text.size(), mask, 16);
    if (mask & bit) return true;
  }
  return false;
}

bool same_clock(pid_t one, pid_t other) {
  const auto clock_of = [](pid_t pid) {
    std::array<char, 128> text{};
    const ssize_t size =
        ::readlink(fmt::format("/proc/{}/ns/time", pid).c_str(), text.data(), text.size());
    return std::string(text.data(), static_cast<size_t>(std::max<ssize_t>(size, 0)));
  };
  const std::string first = clock_of(one);
  return !first.empty() && first == clock_of(other);
}

}  // namespace paceline::drill
