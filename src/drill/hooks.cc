#include "drill/hooks.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "drill/secrets.h"
#include "drill/wall_time.h"

namespace paceline::drill {
namespace {

std::map<std::string, std::string> secrets_of(const Command& command) {
  std::map<std::string, std::string> all = command.environment;
  all.merge(own_environment());
  return all;
}

std::string first_line(const std::string& text) {
  return text.substr(0, std::min(text.find('\n'), size_t{400}));
}

}  // namespace

std::string log_line_of(const std::string& wall, const std::string& verb, const Command& command,
                        const Ending& ending, env::Duration took) {
  nlohmann::ordered_json line;
  const auto secrets = secrets_of(command);
  line["t_wall"] = wall;
  line["verb"] = verb;
  line["argv"] = nlohmann::ordered_json::array();
  for (const std::string& word : command.argv) line["argv"].push_back(redact(word, secrets));
  line["environment"] = redact(command.environment);
  line["exit_code"] = ending.exit_code < 0 ? nlohmann::ordered_json(nullptr)
                                           : nlohmann::ordered_json(ending.exit_code);
  line["why"] =
      ending.why.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(ending.why);
  line["took_ms"] = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  line["out"] = redact(ending.out, secrets);
  line["err"] = redact(ending.err, secrets);
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Result<Command> Hooks::command(const std::string& verb, const Placeholders& values) const {
  const auto* found = file_.verb(verb);
  if (!found)
    return fail(Code::not_found, fmt::format("the hook file of {} has no [{}]", file_.name, verb));
  return command_of(*found, values);
}

Task<Result<std::string>> Hooks::run_for_text(std::string verb, Placeholders values) {
  CO_TRY(Command wanted, command(verb, values));
  const env::Instant began = shard_.now();
  const std::string wall = rfc3339(shard_.wall_ms());
  const Ending ending = co_await env::offload(shard_, [wanted] { return run_program(wanted); });
  log_(log_line_of(wall, verb, wanted, ending, shard_.now() - began));
  if (ending.exit_code == 0) co_return ending.out;
  if (ending.timed_out)
    co_return fail(Code::timed_out, fmt::format("hook {}: {}", verb, ending.why));
  const auto answer = parse_hook_answer(ending.out);
  std::string why = answer ? answer->why() : std::string();
  if (why.empty()) why = ending.why.empty() ? first_line(ending.err) : ending.why;
  if (why.empty()) why = fmt::format("it ended with code {}", ending.exit_code);
  why = redact(why, secrets_of(wanted));
  if (ending.exit_code == 2)
    co_return fail(Code::permission_denied, fmt::format("hook {} refuses: {}", verb, why));
  co_return fail(Code::io_error, fmt::format("hook {}: {}", verb, why));
}

Task<Result<HookAnswer>> Hooks::run(std::string verb, Placeholders values) {
  CO_TRY(const std::string out, co_await run_for_text(verb, std::move(values)));
  auto answer = parse_hook_answer(out);
  if (!answer)
    co_return fail(Code::corrupt, fmt::format("hook {}: {}", verb, answer.error().message));
  co_return std::move(*answer);
}

}  // namespace paceline::drill
