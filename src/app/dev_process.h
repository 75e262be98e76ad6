#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "env/shard.h"
#include "env/sync.h"

// The processes of a local cluster, and what is left of them: nothing.

namespace paceline::app {

struct Program {
  std::string name;                                     // for sentences: "broker 1"
  std::vector<std::string> argv;                        // the first one is looked for in PATH
  std::map<std::string, std::string> environment = {};  // besides our own
  std::string folder = "";                              // where it runs
  std::string log = "";                                 // what it prints, behind what is there
};

// The path of a program as a shell would find it; nothing if there is none.
std::optional<std::string> find_program(const std::string& name);
// What a program that is not there is called in Debian, as a sentence; "" if all are there.
std::string missing_packages(const std::vector<std::string>& programs);
// Where we come from, to be started again.
std::string own_binary();

// "was killed by signal 9 (Killed)", "ended with code 1"; `status` as waitpid() gives it.
std::string ending_text(int status);
// What a program said last; "" if nothing.
std::string last_line(const std::string& log);

// Children of this process. Each is the first of a group of its own, so that a terminal's Ctrl-C
// reaches us alone, and dies with the thread that has started it (PR_SET_PDEATHSIG). What it starts
// itself may outlive it, as a broker's guardian does, and becomes our child then: when this is
// destroyed nothing of it is left. One shard's, whose thread lives as long as the process.
class Processes {
 public:
  explicit Processes(env::Shard& shard);
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;
  ~Processes();  // kill -9 of all groups, and waits

  // not_found: there is no such program. The name of the program is in every message.
  Result<pid_t> start(const Program& program);
  // Runs a tool to its end. An error is a sentence with what it said last.
  Task<Result<void>> run(Program program, env::Duration at_most);
  // How a process that we have started has ended; nothing while it runs.
  std::optional<int> ended(pid_t pid) const;
  // A stopped process is woken, so that it hears it.
  void signal(pid_t pid, int signal);
  // Until it has ended, or the deadline: true, false.
  Task<bool> end_of(pid_t pid, env::Instant deadline);

  void reap();  // to be called on SIGCHLD
  // Told of every end, and of what else its users tell it of.
  env::Event& changed() { return changed_; }

 private:
  struct Child {
    std::optional<int> status;
    bool group_gone = false;
  };
  env::Shard& shard_;
  env::Event changed_;
  std::map<pid_t, Child> children_;
};

// " by etcd (pid 7)": who listens on a port of this machine; "" if we may not know.
std::string port_owner(uint16_t port);

bool interface_exists(const std::string& name);  // of this machine's network

void remove_tree(const std::string& folder);  // as far as it goes

// A folder for one run. It is removed when this process and all that inherit from it are gone, by
// a process of its own that outlives them, however they end.
class PassingFolder {
 public:
  // REQUIRES: one thread.
  static Result<PassingFolder> make();
  PassingFolder(PassingFolder&& other) noexcept;
  PassingFolder& operator=(PassingFolder&&) = delete;
  ~PassingFolder();  // removes it now. REQUIRES: nobody writes to it any more
  const std::string& path() const { return path_; }
  // Where such folders are.
  static std::vector<std::string> all();

 private:
  PassingFolder(std::string path, pid_t sweeper, int life)
      : path_(std::move(path)), sweeper_(sweeper), life_(life) {}
  std::string path_;
  pid_t sweeper_;
  int life_;
};

}  // namespace paceline::app
