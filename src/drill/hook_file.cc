#include "drill/hook_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "drill/toml_text.h"

namespace paceline::drill {
namespace {

using Json = nlohmann::json;

constexpr const char* kVerbs[] = {"list", "plan",   "inject",  "effective",
                                  "heal", "status", "cleanup", "log"};
constexpr std::string_view kDomains[] = {"broker", "zone", "cluster"};
constexpr std::string_view kNames[] = {"broker", "zone",      "topic", "partition",
                                       "fault",  "direction", "since"};
// The others are seen from outside, or by nobody.
constexpr std::string_view kOfLogs[] = {"t2", "t3", "t4", "t5", "t6"};

HookFile::Verb verb_of(Reader& top, const char* name, std::vector<std::string>& problems) {
  const Node* table = top.table(name);
  HookFile::Verb verb;
  if (!table) return verb;
  Reader reader(table, fmt::format("[{}]", name), problems);
  verb.argv = reader.words("argv");
  verb.timeout_s = reader.number("timeout_s", verb.timeout_s, 0.1, 3600);
  if (verb.argv.empty()) reader.complain(table->line, "has no argv");
  if (std::string_view(name) == "log") {
    verb.tells = reader.words("tells");
    for (const std::string& milestone : verb.tells)
      if (std::ranges::find(kOfLogs, milestone) == std::end(kOfLogs))
        reader.complain(table->line, fmt::format("tells '{}', and can be asked for {}", milestone,
                                                 fmt::join(kOfLogs, ", ")));
  }
  return verb;
}

void read_domains(Reader& top, HookFile& file) {
  const Node* faults = top.table("faults");
  if (!faults) return;
  for (const auto& [name, domain] : faults->fields) {
    const auto fault = parse_fault(name);
    if (!fault) {
      top.complain(domain.line, fmt::format("knows no fault '{}'", name));
    } else if (std::ranges::find(kDomains, domain.text) == std::end(kDomains)) {
      top.complain(domain.line,
                   fmt::format("the domain of '{}' is to be broker, zone or cluster", name));
    } else {
      file.domains[*fault] = domain.text;
    }
  }
}

// What must be there for a fault to be healed again, whatever happens.
void check_verbs(Reader& top, const HookFile& file) {
  // What it would touch is judged before it is done.
  if (file.verb("cleanup") && !file.verb("plan"))
    top.complain(top.line(), "has [cleanup] and no [plan] of what that would touch");
  if (file.domains.empty()) return;
  for (const char* name : {"inject", "effective", "heal"})
    if (!file.verb(name))
      top.complain(top.line(), fmt::format("declares faults and has no [{}]", name));
}

evidence::Figure figure_of(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::vector<std::string> names_of(const Json& object, const char* name) {
  std::vector<std::string> all;
  const auto found = object.find(name);
  if (found == object.end() || !found->is_array()) return all;
  for (const Json& one : *found)
    all.push_back(one.is_string() ? one.get<std::string>()
                                  : one.dump(-1, ' ', false, Json::error_handler_t::replace));
  return all;
}

}  // namespace

const HookFile::Verb* HookFile::verb(std::string_view wanted) const {
  const auto found = verbs.find(std::string(wanted));
  return found == verbs.end() ? nullptr : &found->second;
}

std::expected<HookFile, std::vector<std::string>> parse_hook_file(std::string_view text) {
  const auto root = parse_toml(text);
  if (!root) return std::unexpected(std::vector{root.error().message});
  std::vector<std::string> problems;
  HookFile file;
  {
    Reader top(&*root, "the hook file", problems);
    file.name = top.word("name", "a cluster");
    file.profile = top.word("profile", "generic");
    file.version = top.word("version");
    if (file.profile != "paceline" && file.profile != "kafka" && file.profile != "generic")
      top.complain(1, "'profile' is to be paceline, kafka or generic");
    read_domains(top, file);
    for (const char* name : kVerbs)
      if (auto verb = verb_of(top, name, problems); !verb.argv.empty())
        file.verbs[name] = std::move(verb);
    check_verbs(top, file);
  }
  if (!problems.empty()) return std::unexpected(std::move(problems));
  return file;
}

Result<Command> command_of(const HookFile::Verb& verb, const Placeholders& values) {
  Command command{.argv = {},
                  .environment = {},
                  .timeout = std::chrono::milliseconds(static_cast<int64_t>(verb.timeout_s * 1e3))};
  for (const std::string& word : verb.argv) {
    std::string filled;
    for (size_t at = 0; at < word.size();) {
      const size_t end = word[at] == '{' ? word.find('}', at) : std::string::npos;
      if (end == std::string::npos) {
        filled += word[at++];
        continue;
      }
      const std::string name = word.substr(at + 1, end - at - 1);
      if (std::ranges::find(kNames, name) == std::end(kNames)) {  // braces of its own
        filled += word[at++];
        continue;
      }
      const auto value = values.find(name);
      if (value == values.end() || value->second.empty())
        return fail(Code::invalid_argument, fmt::format("nothing stands for {{{}}} here", name));
      filled += value->second;
      at = end + 1;
    }
    command.argv.push_back(std::move(filled));
  }
  for (const auto& [name, value] : values) {
    std::string upper = name;
    std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
    command.environment["PACELINE_DRILL_" + upper] = value;
  }
  return command;
}

std::string HookAnswer::why() const {
  for (const char* name : {"why", "reason", "error"}) {
    const auto found = figures.find(name);
    if (found == figures.end()) continue;
    if (const auto* text = std::get_if<std::string>(&found->second)) return *text;
  }
  return {};
}

Result<HookAnswer> parse_hook_answer(std::string_view out) {
  while (!out.empty() && std::isspace(static_cast<unsigned char>(out.back()))) out.remove_suffix(1);
  HookAnswer answer;
  if (out.empty()) return answer;
  if (out.find('\n') != std::string_view::npos)
    return fail(Code::corrupt, "a hook printed more than one line");
  const Json root = Json::parse(out, nullptr, false);
  if (!root.is_object()) return fail(Code::corrupt, "a hook printed no JSON object");
  answer.topics = names_of(root, "topics");
  answer.brokers = names_of(root, "brokers");
  for (const auto& [name, value] : root.items())
    if (name != "topics" && name != "brokers") answer.figures[name] = figure_of(value);
  return answer;
}

}  // namespace paceline::drill
