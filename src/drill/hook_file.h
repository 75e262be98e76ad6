#pragma once

#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "drill/fault.h"
#include "drill/program.h"
#include "evidence/event.h"

namespace paceline::drill {

// How somebody else's cluster is broken and healed: README.md. No shell runs any of it.
struct HookFile {
  struct Verb {
    std::vector<std::string> argv;
    double timeout_s = 30;
    std::vector<std::string> tells = {};  // of `log`: milestones that it promises
  };
  std::string name, profile, version;
  std::map<Fault, std::string> domains;  // what it can do → its failure domain
  std::map<std::string, Verb> verbs;     // list, plan, inject, effective, heal, status, …

  const Verb* verb(std::string_view name) const;
};
// One sentence for each thing that is wrong, with its line.
std::expected<HookFile, std::vector<std::string>> parse_hook_file(std::string_view text);

// What stands for {broker} {zone} {topic} {partition} {fault}; as PACELINE_DRILL_BROKER=… too.
using Placeholders = std::map<std::string, std::string>;
// invalid_argument: a placeholder that nothing stands for.
Result<Command> command_of(const HookFile::Verb& verb, const Placeholders& values);

// What a hook printed: one line of JSON, an object; nothing is as good as {}.
struct HookAnswer {
  std::map<std::string, evidence::Figure> figures;
  std::vector<std::string> topics, brokers;  // of `plan`: what it would touch
  std::string why() const;
};
Result<HookAnswer> parse_hook_answer(std::string_view out);

}  // namespace paceline::drill
