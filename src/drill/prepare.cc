#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

#include "drill/build_id.h"
#include "drill/digest.h"
#include "drill/paceline_target.h"
#include "drill/run.h"
#include "drill/secrets.h"
#include "env/disk.h"

// From the words of a command to a plan and a target.

namespace paceline::drill {
namespace {

constexpr uint64_t kPlanBytesMax = 1u << 20;
constexpr uint64_t kHooksBytesMax = 1u << 20;

std::string all_of(const std::vector<std::string>& problems, const std::string& where) {
  std::string text;
  for (const std::string& problem : problems)
    text += fmt::format("{}{}: {}", text.empty() ? "" : "\n", where, problem);
  return text;
}

// Whose machine it is owns what runs there for the time being.
std::string owner_of(const Plan& plan, const RunOptions& options) {
  if (!options.owner.empty()) return options.owner;
  if (!plan.rollback.owner.empty() || options.dev_state.empty()) return plan.rollback.owner;
  const passwd* user = ::getpwuid(::geteuid());
  return user ? user->pw_name : "";
}

// As a shell takes it for one word.
std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:,@%+=";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? "'\\''" : std::string(1, c);
  return text + "'";
}

Result<std::unique_ptr<Hooks>> open_hooks(env::Shard& shard, const std::string& path, HookLog log) {
  if (path.empty()) return nullptr;
  TRY(const std::string text, env::read_file(shard.disk(), path, kHooksBytesMax));
  auto file = parse_hook_file(text);
  if (!file) return fail(Code::invalid_argument, all_of(file.error(), path));
  return std::make_unique<Hooks>(shard, std::move(*file), std::move(log));
}

}  // namespace

Result<std::pair<Plan, std::string>> load_plan(env::Disk& disk, const RunOptions& options) {
  std::string text;
  if (const auto* builtin = find_builtin(options.plan)) {
    text = builtin->text;
  } else {
    auto read = env::read_file(disk, options.plan, kPlanBytesMax);
    if (!read)
      return fail(
          Code::not_found,
          fmt::format("'{}' is neither a plan that `paceline drill list` names nor a file: {}",
                      options.plan, read.error().message));
    text = std::move(*read);
  }
  auto plan = parse_plan(text);
  if (!plan) return fail(Code::invalid_argument, all_of(plan.error(), options.plan));
  TRY_VOID(take_from_environment(*plan, [](const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return value ? std::optional<std::string>(value) : std::nullopt;
  }));
  if (options.seed) plan->seed = *options.seed;
  if (!options.sabotage.empty()) {
    if (!is_sabotage(options.sabotage))
      return fail(Code::invalid_argument,
                  fmt::format("'{}' is no sabotage: drop-ack, double-record", options.sabotage));
    plan->sabotage = options.sabotage;
  }
  if (options.quick) shorten(*plan);
  return std::pair(std::move(*plan), std::move(text));
}

std::string command_of(const Plan& plan, const RunOptions& options) {
  std::string text = "paceline drill run " + quoted(options.plan);
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) text += fmt::format(" {} {}", name, quoted(value));
  };
  // A `paceline dev` is found by itself, or by its folder.
  add("--bootstrap", options.bootstrap);
  add("--dev-dir", options.dev_folder);
  add("--hooks", options.hooks);
  add("--profile", options.profile);
  add("--seed", std::to_string(plan.seed));
  add("--owner", options.owner);
  add("--sabotage", options.sabotage);
  if (options.quick) text += " --quick";
  if (options.allow_production_topics) text += " --allow-production-topics";
  return redact(std::move(text), own_environment());
}

evidence::Run run_of(env::Disk& disk, const Plan& plan, const std::string& plan_text,
                     const RunOptions& options, const std::string& run_id) {
  evidence::Run run;
  run.run_id = run_id;
  run.seed = plan.seed;
  run.tool_version = "0.1.0";
  run.build = build_id_of(disk, "/proc/self/exe").value_or("");
  run.librdkafka = probe::librdkafka_version();
  run.command = command_of(plan, options);
  run.plan.name = plan.name;
  run.plan.sha256 = sha256_hex(plan_text);
  run.plan.baseline_s = static_cast<int64_t>(plan.baseline_s);
  run.plan.observe_s = static_cast<int64_t>(plan.observe_s);
  run.plan.requires_rows = plan.needs.rows;
  run.rollback.point = plan.rollback.point;
  run.rollback.command = plan.rollback.command;
  run.rollback.owner = owner_of(plan, options);
  run.rollback.rule = plan.rollback.rule;
  run.rollback.rehearsed = plan.rollback.rehearsed;
  if (plan.rollback.rehearsed_ms > 0) run.rollback.rehearsed_ms = plan.rollback.rehearsed_ms;
  run.limits = plan.limits;
  return run;
}

Task<Result<std::unique_ptr<Target>>> open_target(env::Shard& shard, const RunOptions& options,
                                                  const Plan& plan, HookLog log) {
  CO_TRY(auto hooks, open_hooks(shard, options.hooks, std::move(log)));
  if (!options.dev_state.empty()) {
    CO_TRY(auto target, co_await PacelineTarget::open(shard, options.dev_state, std::move(hooks)));
    co_return std::unique_ptr<Target>(std::move(target));
  }
  if (options.bootstrap.empty())
    co_return fail(Code::not_found,
                   "no `paceline dev` of this machine is found: start one, or say --bootstrap");
  std::string profile = options.profile;
  if (profile.empty()) profile = hooks ? hooks->file().profile : "generic";
  // Whoever is let in as a client of the load may also ask what the drill has to know.
  auto security = client::read_security(shard.disk(), plan.load.clients);
  if (!security)
    co_return fail(security.error().code,
                   fmt::format("the drill cannot ask the cluster as the plan's clients do: {}",
                               security.error().message));
  co_return std::unique_ptr<Target>(std::make_unique<HookTarget>(
      shard, options.bootstrap, profile, std::move(hooks), std::move(*security)));
}

}  // namespace paceline::drill
