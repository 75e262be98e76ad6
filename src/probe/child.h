#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace paceline::probe {

// A process that we speak with line by line, and never wait for. It leads a group of its own and
// dies with the thread that has started it. One shard's.
class Child {
 public:
  // not_found: it cannot be started, and why. REQUIRES: argv is not empty.
  static Result<Child> start(const std::vector<std::string>& argv);
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();  // kill -9 of its group, and waits

  // False: it does not listen any more, or is too slow for so much.
  bool write(std::string_view text);
  // What it has printed since the last time, at most so much.
  std::string read(size_t most);
  // Whether it has ended; asks the system.
  bool ended();
  // "was killed by signal 9", "ended with code 1", and what it said last on stderr. REQUIRES:
  // ended().
  std::string ending();

 private:
  Child(pid_t pid, int in, int out, int errors) : pid_(pid), in_(in), out_(out), errors_(errors) {}
  void read_errors();

  pid_t pid_;
  int in_, out_, errors_;  // ours: of its standard input, output and errors
  bool ended_ = false;
  int status_ = 0;
  std::string last_words_;
};

}  // namespace paceline::probe
