#include "app/drill_command.h"

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>

#include "app/commands.h"
#include "app/dev_state.h"
#include "drill/drill.h"
#include "env/real_env.h"

namespace paceline::app {
namespace {

using drill::RunOptions;

// The first signal asks; the second one is the end, and the watchdog heals.
struct Interrupt {
  std::shared_ptr<bool> asked = std::make_shared<bool>(false);
  void operator()() const {
    if (std::exchange(*asked, true)) std::_Exit(128 + SIGINT);
    std::fputs("\npaceline: heals, judges what there is, and ends\n", stderr);
  }
};

// Runs one command's task on a world of one shard.
template <class Make>
int run_on_shard(Make make, const Interrupt* interrupt = nullptr) {
  env::RealEnv env({.shards = 1});
  if (interrupt) env.on_signal({SIGINT, SIGTERM, SIGHUP}, [interrupt] { (*interrupt)(); });
  int exit_code = kFailed;
  auto body = [](env::RealEnv* world, Make* start, int* code) -> Task<void> {
    *code = co_await (*start)(world->shard(0));
    world->stop();
  };
  env.shard(0).spawn(body(&env, &make, &exit_code));
  env.run();
  return exit_code;
}

// The `paceline dev` that is meant: the one in its folder, that of the bootstrap, or the only one
// of this machine. Nothing: whatever is meant, it is none.
void find_dev(RunOptions& options) {
  const auto found = find_dev_state(options.dev_folder, options.bootstrap);
  if (!found) return;
  options.dev_state = found->path;
  if (options.folder.empty() && !found->passing) options.folder = found->folder + "/drills";
}

struct Words {
  RunOptions options;
  std::string format = "table", page;
  std::vector<std::string> runs;
  uint64_t seed = 0;
};

void add_target(CLI::App& command, const std::shared_ptr<Words>& words) {
  RunOptions& options = words->options;
  command.add_option("plan,--plan", options.plan, "a plan that `drill list` names, or a file")
      ->capture_default_str();
  command
      .add_option("-b,--bootstrap-server,--bootstrap", options.bootstrap,
                  "brokers, HOST:PORT, with commas between them; a `paceline dev` without")
      ->envname("PACELINE_BROKERS");
  command.add_option("--dev-dir", options.dev_folder, "the folder of a `paceline dev`");
  command.add_option("--hooks", options.hooks, "how a cluster is broken and healed: a hook file");
  command.add_option("--profile", options.profile, "paceline, kafka or generic")
      ->check(CLI::IsMember({"paceline", "kafka", "generic"}));
  command.add_option("--owner", options.owner, "who decides on a rollback");
  command.add_flag("--allow-production-topics", options.allow_production_topics,
                   "topics that are not of a drill may feel it");
  command.add_flag("--quick", options.quick, "short phases, to try the machinery");
  command.add_option("--sabotage", options.sabotage,
                     "falsify the ledger on purpose: drop-ack, double-record");
}

// All is written and told by then. The end of a client of librdkafka may wait for its threads for
// ever, and nobody is to wait for that.
Task<int> run_and_leave(env::Shard& shard, RunOptions options) {
  const int code = co_await drill::run(shard, std::move(options));
  std::fflush(nullptr);
  std::_Exit(code);
}

int start_run(Words& words) {
  RunOptions& options = words.options;
  find_dev(options);
  const Interrupt interrupt;
  options.interrupted = interrupt.asked;
  std::signal(SIGPIPE, SIG_IGN);  // whoever reads what we print may leave; the drill goes on
  return run_on_shard([&](env::Shard& shard) { return run_and_leave(shard, options); }, &interrupt);
}

void add_run(CLI::App& drill, int& exit_code) {
  auto words = std::make_shared<Words>();
  CLI::App& command = *drill.add_subcommand("run", "real faults under load, and a verdict");
  add_target(command, words);
  command.add_option("--out", words->options.folder, "the folder of all runs; `drills` without");
  CLI::Option* seed = command.add_option("--seed", words->seed, "of the load");
  command.add_flag("--strict", words->options.strict, "amber ends with code 1");
  command.callback([words, seed, &exit_code] {
    if (seed->count() > 0) words->options.seed = words->seed;
    exit_code = start_run(*words);
  });
}

void add_plan(CLI::App& drill, int& exit_code) {
  auto words = std::make_shared<Words>();
  CLI::App& command = *drill.add_subcommand("plan", "what would happen; changes nothing");
  add_target(command, words);
  command.callback([words, &exit_code] {
    find_dev(words->options);
    exit_code = run_on_shard([&](env::Shard& shard) { return drill::plan(shard, words->options); });
  });
}

void add_list(CLI::App& drill, int& exit_code) {
  auto words = std::make_shared<Words>();
  words->options.folder = "drills";
  CLI::App& command = *drill.add_subcommand("list", "plans, and earlier runs");
  command.add_option("--out", words->options.folder, "the folder of all runs")
      ->capture_default_str();
  command.add_option("--format", words->format, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  command.callback([words, &exit_code] {
    exit_code = run_on_shard([&](env::Shard& shard) {
      return drill::list(shard, words->options.folder, words->format == "json");
    });
  });
}

// A command with the folders of runs as its words.
CLI::App& add_of_runs(CLI::App& drill, const std::string& name, const std::string& what,
                      const std::shared_ptr<Words>& words, int count) {
  CLI::App& command = *drill.add_subcommand(name, what);
  command.add_option("run", words->runs, count == 1 ? "its folder" : "two folders")
      ->required()
      ->expected(count);
  return command;
}

void add_reports(CLI::App& drill, int& exit_code) {
  auto words = std::make_shared<Words>();
  add_of_runs(drill, "watch", "follows a run of another terminal", words, 1)
      .callback([words, &exit_code] {
        exit_code = run_on_shard(
            [&](env::Shard& shard) { return drill::watch(shard, words->runs.front()); });
      });
  CLI::App& report = add_of_runs(drill, "report", "makes the report anew", words, 1);
  report.add_option("--format", words->format, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  report.callback([words, &exit_code] {
    exit_code = run_on_shard([&](env::Shard& shard) {
      return drill::report(shard, words->runs.front(), words->format == "json");
    });
  });
  CLI::App& compare = add_of_runs(drill, "compare", "two runs side by side", words, 2);
  compare.add_option("--page", words->page, "writes a page of it, too");
  compare.callback([words, &exit_code] {
    exit_code = run_on_shard([&](env::Shard& shard) {
      return drill::compare(shard, words->runs.front(), words->runs.back(), words->page);
    });
  });
  add_of_runs(drill, "verify", "hashes, and the verdict from the raw files alone", words, 1)
      .callback([words, &exit_code] {
        exit_code = run_on_shard(
            [&](env::Shard& shard) { return drill::verify(shard, words->runs.front()); });
      });
}

void add_watchdog(CLI::App& app, int& exit_code) {
  auto socket = std::make_shared<int>(-1);
  auto log = std::make_shared<std::string>();
  CLI::App& command = *app.add_subcommand("drill-watchdog", "what a drill starts by itself");
  command.group("");  // not for people
  command.add_option("socket", *socket)->required();
  command.add_option("log", *log)->required();
  command.callback([socket, log, &exit_code] { exit_code = drill::watchdog(*socket, *log); });
}

}  // namespace

void add_drill(CLI::App& app, int& exit_code) {
  CLI::App& drill = *app.add_subcommand(
      "drill", "rehearses a failover: run, plan, list, watch, report, compare, verify");
  drill.require_subcommand(1);
  add_run(drill, exit_code);
  add_plan(drill, exit_code);
  add_list(drill, exit_code);
  add_reports(drill, exit_code);
  add_watchdog(app, exit_code);
}

}  // namespace paceline::app
