#pragma once

#include <map>
#include <string>
#include <vector>

#include "env/shard.h"

namespace paceline::drill {

// A command of somebody else's: an argv, no shell.
struct Command {
  std::vector<std::string> argv;                        // the first one is looked for in PATH
  std::map<std::string, std::string> environment = {};  // besides our own
  env::Duration timeout = std::chrono::seconds(30);
};
struct Ending {
  int exit_code = -1;      // -1: by a signal, or it never was
  std::string out, err;    // at most 64 KiB of each
  std::string why;         // why there is no exit code; empty otherwise
  bool timed_out = false;  // killed with all of its group
};
// What every command is given.
std::map<std::string, std::string> own_environment();
// Runs it to its end. Blocks: to be offloaded.
Ending run_program(const Command& command);

}  // namespace paceline::drill
