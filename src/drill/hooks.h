#pragma once

#include <functional>
#include <string>

#include "drill/hook_file.h"

namespace paceline::drill {

// One line of hooks.log, JSON: what ran, what it was given and printed, how it ended. Values of our
// own environment that look secret are not in it either.
std::string log_line_of(const std::string& wall, const std::string& verb, const Command& command,
                        const Ending& ending, env::Duration took);

using HookLog = std::function<void(std::string line)>;

// Runs the verbs of a hook file, one at a time.
class Hooks {
 public:
  Hooks(env::Shard& shard, HookFile file, HookLog log)
      : shard_(shard), file_(std::move(file)), log_(std::move(log)) {}

  const HookFile& file() const { return file_; }
  // permission_denied: it refused (exit 2), with its reason; io_error: it failed (exit 1, another
  // one, a signal); timed_out; corrupt: it printed something else. not_found: there is no such
  // verb.
  Task<Result<HookAnswer>> run(std::string verb, Placeholders values);
  // Of `log`: as many lines as it likes.
  Task<Result<std::string>> run_for_text(std::string verb, Placeholders values);
  // What heals a fault, to be run by somebody else. REQUIRES: there is such a verb.
  Result<Command> command(const std::string& verb, const Placeholders& values) const;

 private:
  env::Shard& shard_;
  const HookFile file_;
  const HookLog log_;
};

}  // namespace paceline::drill
