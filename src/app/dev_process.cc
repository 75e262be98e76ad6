#include "app/dev_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/check.h"

extern char** environ;

namespace paceline::app {
namespace {

// What Debian calls the package of a program that we start.
constexpr std::pair<std::string_view, std::string_view> kPackages[] = {
    {"etcd", "etcd-server"},          {"ceph-mon", "ceph-mon"},
    {"ceph-osd", "ceph-osd"},         {"radosgw", "radosgw"},
    {"radosgw-admin", "ceph-common"}, {"ceph", "ceph-common"},
    {"monmaptool", "ceph-base"},      {"ip", "iproute2"},
    {"nsenter", "util-linux"},        {"unshare", "util-linux"},
};

// What a child says before it is the program: where it failed.
struct Failure {
  enum What : int { folder, log, program };
  int what;
  int error;
};

std::vector<std::string> environment_of(const Program& program) {
  std::vector<std::string> all;
  for (char** at = environ; *at; ++at) {
    const std::string_view text(*at);
    if (!program.environment.contains(std::string(text.substr(0, text.find('=')))))
      all.emplace_back(text);
  }
  for (const auto& [name, value] : program.environment) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

struct Image {
  const char* path;
  char* const* argv;
  char* const* environment;
  const char* folder;
  const char* log;
};

// In the child: system calls alone, since other threads' locks may be held for ever.
[[noreturn]] void become(const Image& image, pid_t parent, int report) {
  auto give_up = [report](Failure::What what) {
    const Failure failure{what, errno};
    (void)!::write(report, &failure, sizeof failure);
    ::_exit(127);
  };
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it died before we asked
  ::setpgid(0, 0);
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::chdir(image.folder) != 0) give_up(Failure::folder);
  const int in = ::open("/dev/null", O_RDONLY);
  const int out = ::open(image.log, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (in < 0 || out < 0) give_up(Failure::log);
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(out, 2);
  ::execve(image.path, image.argv, image.environment);
  give_up(Failure::program);
  ::_exit(127);
}

std::string sentence(const Program& program, const Failure& failure) {
  const std::string& object = failure.what == Failure::folder ? program.folder
                              : failure.what == Failure::log  ? program.log
                                                              : program.argv.front();
  return fmt::format("{} cannot be started: {}: {}", program.name, object,
                     std::strerror(failure.error));
}

std::string temporary_folder() {
  const char* told = ::getenv("TMPDIR");
  return told && *told ? told : "/tmp";
}
constexpr std::string_view kPassing = "paceline-dev-";

// "socket:[INODE]", as it is found among the descriptors of its process; "" if nobody listens.
std::string listening_socket(uint16_t port) {
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream in(table);
    std::string line;
    std::getline(in, line);  // the names of the columns
    while (std::getline(in, line)) {
      std::istringstream words(line);
      std::string slot, local, peer, state, skipped, inode;
      words >> slot >> local >> peer >> state;
      for (int i = 0; i < 5; ++i) words >> skipped;
      words >> inode;
      if (state == "0A" && local.ends_with(fmt::format(":{:04X}", port)))
        return fmt::format("socket:[{}]", inode);
    }
  }
  return "";
}

// Among processes it must not look like a broker: `kill -9 $(pidof paceline)` would take it along.
void take_name() {
  constexpr char kName[] = "paceline-sweep";
  ::prctl(PR_SET_NAME, kName);
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string words(std::istreambuf_iterator<char>(file), {});
  if (words.size() < sizeof kName) return;
  // The words of the command line follow each other in memory, and these bytes are what is shown.
  std::memset(program_invocation_name, 0, words.size());
  std::memcpy(program_invocation_name, kName, sizeof kName);
}

// Waits until nobody holds the other end any more, and removes the folder.
[[noreturn]] void sweep(const std::string& path, int life) {
  ::setsid();  // a terminal's signals are not for us
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::signal(signal, SIG_IGN);
  take_name();
  const int null = ::open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
  (void)!::chdir("/");
  char byte;
  while (::read(life, &byte, 1) < 0 && errno == EINTR) {
  }
  remove_tree(path);
  ::_exit(0);
}

}  // namespace

std::optional<std::string> find_program(const std::string& name) {
  if (name.find('/') != std::string::npos)
    return ::access(name.c_str(), X_OK) == 0 ? std::optional(name) : std::nullopt;
  const char* told = ::getenv("PATH");
  std::string_view path = told ? told : "/usr/local/bin:/usr/bin:/bin";
  while (!path.empty()) {
    const size_t colon = std::min(path.find(':'), path.size());
    const std::string file = fmt::format("{}/{}", path.substr(0, colon), name);
    if (::access(file.c_str(), X_OK) == 0) return file;
    path.remove_prefix(std::min(colon + 1, path.size()));
  }
  return std::nullopt;
}

std::string missing_packages(const std::vector<std::string>& programs) {
  std::vector<std::string> names, packages;
  for (const std::string& program : programs) {
    if (find_program(program)) continue;
    names.push_back(program);
    for (const auto& [name, package] : kPackages) {
      if (name == program && std::ranges::find(packages, package) == packages.end())
        packages.emplace_back(package);
    }
  }
  if (names.empty()) return "";
  return fmt::format("{} {} not installed: apt-get install {}", fmt::join(names, ", "),
                     names.size() == 1 ? "is" : "are", fmt::join(packages, " "));
}

std::string own_binary() {
  return std::filesystem::read_symlink("/proc/self/exe").string();
}

std::string ending_text(int status) {
  if (WIFSIGNALED(status))
    return fmt::format("was killed by signal {} ({})", WTERMSIG(status),
                       ::strsignal(WTERMSIG(status)));
  return fmt::format("ended with code {}", WEXITSTATUS(status));
}

std::string last_line(const std::string& log) {
  constexpr size_t kCharactersMax = 400;
  std::ifstream in(log, std::ios::binary);
  std::string line, last;
  while (std::getline(in, line)) {
    if (!line.empty()) last = line;
  }
  return last.substr(0, kCharactersMax);
}

Processes::Processes(env::Shard& shard) : shard_(shard), changed_(shard) {
  // Orphans of our children become our children, so that we know when all are gone.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

Processes::~Processes() {
  for (const auto& [pid, child] : children_) {
    if (child.group_gone) continue;
    ::kill(-pid, SIGKILL);
    if (!child.status) ::waitpid(pid, nullptr, 0);
    while (::waitpid(-pid, nullptr, 0) > 0) {
    }
  }
}

Result<pid_t> Processes::start(const Program& program) {
  const auto path = find_program(program.argv.front());
  if (!path)
    return fail(Code::not_found, fmt::format("{} cannot be started: {}", program.name,
                                             missing_packages({program.argv.front()})));
  std::vector<std::string> argv = program.argv, environment = environment_of(program);
  const std::vector<char*> arguments = pointers(argv), variables = pointers(environment);
  const Image image{path->c_str(), arguments.data(), variables.data(), program.folder.c_str(),
                    program.log.c_str()};
  int report[2];
  CHECK(::pipe2(report, O_CLOEXEC) == 0);
  // A signal that comes before the child is the program would be taken for ours.
  sigset_t all, before;
  sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, &before);
  const pid_t self = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(image, self, report[1]);
  const int error = errno;
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  ::close(report[1]);
  if (pid < 0) {
    ::close(report[0]);
    return fail(Code::unavailable,
                fmt::format("{} cannot be started: fork: {}", program.name, std::strerror(error)));
  }
  ::setpgid(pid, pid);  // whoever comes first
  Failure failure{};
  ssize_t size = 0;
  while ((size = ::read(report[0], &failure, sizeof failure)) < 0 && errno == EINTR) {
  }
  ::close(report[0]);
  if (size == sizeof failure) {
    ::waitpid(pid, nullptr, 0);
    return fail(Code::not_found, sentence(program, failure));
  }
  children_[pid] = Child{};
  return pid;
}

Task<Result<void>> Processes::run(Program program, env::Duration at_most) {
  CO_TRY(const pid_t pid, start(program));
  if (!co_await end_of(pid, shard_.now() + at_most)) {
    signal(pid, SIGKILL);
    co_return fail(Code::timed_out, fmt::format("{} does not end", program.name));
  }
  const int status = *ended(pid);
  if (status != 0)
    co_return fail(Code::io_error, fmt::format("{} {}: {}", program.name, ending_text(status),
                                               last_line(program.log)));
  co_return Result<void>{};
}

std::optional<int> Processes::ended(pid_t pid) const {
  const auto found = children_.find(pid);
  CHECK(found != children_.end());
  return found->second.status;
}

void Processes::signal(pid_t pid, int signal) {
  // An id that has been waited for may be somebody else's by now.
  if (ended(pid)) return;
  ::kill(pid, signal);
  ::kill(pid, SIGCONT);
}

Task<bool> Processes::end_of(pid_t pid, env::Instant deadline) {
  while (!ended(pid)) {
    if (shard_.now() >= deadline) co_return false;
    co_await changed_.wait_until(deadline);
  }
  co_return true;
}

void Processes::reap() {
  for (auto& [pid, child] : children_) {
    int status = 0;
    if (!child.status && ::waitpid(pid, &status, WNOHANG) == pid) child.status = status;
    if (!child.status || child.group_gone) continue;
    pid_t orphan = 0;
    while ((orphan = ::waitpid(-pid, nullptr, WNOHANG)) > 0) {
    }
    child.group_gone = orphan < 0;
  }
  changed_.notify_all();
}

std::string port_owner(uint16_t port) {
  const std::string socket = listening_socket(port);
  if (socket.empty()) return "";
  std::error_code ignored;
  for (const auto& process : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string pid = process.path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    for (const auto& fd : std::filesystem::directory_iterator(process.path() / "fd", ignored)) {
      if (std::filesystem::read_symlink(fd.path(), ignored) != socket) continue;
      std::string name;
      std::getline(std::ifstream(process.path() / "comm"), name);
      return fmt::format(" by {} (pid {})", name, pid);
    }
  }
  return "";
}

bool interface_exists(const std::string& name) {
  std::error_code ignored;
  return std::filesystem::exists("/sys/class/net/" + name, ignored);
}

void remove_tree(const std::string& folder) {
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
}

Result<PassingFolder> PassingFolder::make() {
  std::string path = fmt::format("{}/{}XXXXXX", temporary_folder(), kPassing);
  if (!::mkdtemp(path.data()))
    return fail(Code::io_error, fmt::format("no folder can be made in {}: {}", temporary_folder(),
                                            std::strerror(errno)));
  // Not closed by exec: whoever runs on holds it, and so keeps the folder.
  int life[2];
  CHECK(::pipe(life) == 0);
  const pid_t sweeper = ::fork();
  CHECK(sweeper >= 0);
  if (sweeper == 0) {
    ::close(life[1]);
    sweep(path, life[0]);
  }
  ::close(life[0]);
  return PassingFolder(std::move(path), sweeper, life[1]);
}

PassingFolder::PassingFolder(PassingFolder&& other) noexcept
    : path_(std::move(other.path_)),
      sweeper_(std::exchange(other.sweeper_, 0)),
      life_(std::exchange(other.life_, -1)) {}

PassingFolder::~PassingFolder() {
  if (sweeper_ == 0) return;
  remove_tree(path_);
  ::kill(sweeper_, SIGKILL);
  ::waitpid(sweeper_, nullptr, 0);
  ::close(life_);
}

std::vector<std::string> PassingFolder::all() {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(temporary_folder(), ignored)) {
    struct stat status{};
    // Another user's is not ours to look into.
    if (entry.path().filename().string().starts_with(kPassing) &&
        ::lstat(entry.path().c_str(), &status) == 0 && S_ISDIR(status.st_mode) &&
        status.st_uid == ::geteuid())
      found.push_back(entry.path().string());
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace paceline::app
