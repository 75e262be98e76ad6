#include "drill/run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "drill/folder.h"
#include "drill/wall_time.h"

namespace paceline::drill {
namespace {

// As every command of ours ends.
constexpr int kFailed = 1, kUsage = 2, kRefused = 6, kCouldNotJudge = 7, kInterrupted = 130;

int code_of(const Error& error) {
  return error.code == Code::unsupported ? kRefused : kFailed;
}
int complain(int code, const std::string& message) {
  std::fprintf(stderr, "paceline: %s\n", message.c_str());
  return code;
}

std::string absolute(const std::string& path) {
  std::array<char, 4096> here{};
  if (path.starts_with('/') || !::getcwd(here.data(), here.size())) return path;
  return fmt::format("{}/{}", here.data(), path);
}

// The name is the time, so that names are in the order of runs.
std::string new_run_id(env::Shard& shard) {
  std::string digits;
  for (const char c : rfc3339(shard.wall_ms()))
    if (c >= '0' && c <= '9') digits += c;
  return fmt::format("{}-{}-{:04x}", digits.substr(0, 8), digits.substr(8),
                     shard.random() & 0xffff);
}

std::string folder_of(const RunOptions& options) {
  return absolute(options.folder.empty() ? "drills" : options.folder);
}

// Two drills at once would be two failure domains at a time.
Task<Result<std::vector<std::unique_ptr<env::FileLock>>>> take_locks(env::Shard& shard,
                                                                     RunOptions options) {
  std::vector<std::string> paths{folder_of(options) + "/drill.lock"};
  if (!options.dev_state.empty())
    paths.push_back(env::parent_dir(options.dev_state) + "/drill.lock");
  CO_TRY_VOID(shard.disk().make_dirs(folder_of(options)));
  std::vector<std::unique_ptr<env::FileLock>> locks;
  for (const std::string& path : paths) {
    auto lock = shard.disk().lock(path);
    if (!lock)
      co_return fail(lock.error().code, lock.error().code == Code::in_use
                                            ? fmt::format("another drill runs ({})", path)
                                            : lock.error().message);
    locks.push_back(std::move(*lock));
  }
  co_return std::move(locks);
}

// Everything that a run stands on.
Task<Result<std::unique_ptr<Course>>> set_up(env::Shard& shard, RunOptions options, Plan plan,
                                             std::string plan_text) {
  auto course = std::make_unique<Course>(shard, options, std::move(plan));
  Course* self = course.get();
  CO_TRY(course->target,
         co_await open_target(shard, options, course->plan, [self](std::string line) {
           self->keeper->add_hook_line(std::move(line));
         }));
  const std::string runs = folder_of(options), run_id = new_run_id(shard);
  course->run = run_of(shard.disk(), course->plan, plan_text, options, run_id);
  env::Disk* disk = &shard.disk();
  course->run.previous =
      co_await env::offload(shard, [disk, runs] { return last_manifest(*disk, runs); });
  CO_TRY(course->keeper, co_await Keeper::open(shard, fmt::format("{}/{}", runs, run_id), run_id,
                                               std::move(plan_text)));
  CO_TRY(course->watchdog, Watchdog::start(shard, {"/proc/self/exe", "drill-watchdog"},
                                           course->keeper->path("hooks.log")));
  course->progress = std::make_unique<Progress>(shard, progress_kind());
  course->start_load = probe::Load::start;
  co_return std::move(course);
}

Task<int> judge_run(env::Shard& shard, std::string folder, bool interrupted, bool strict) {
  env::Disk* disk = &shard.disk();
  auto derived = co_await env::offload(shard, [disk, folder] { return derive_in(*disk, folder); });
  if (!derived)
    co_return complain(kCouldNotJudge, fmt::format("no verdict: {}; the evidence is in {}",
                                                   derived.error().message, folder));
  std::printf("\n%s\n  report    %s/report.html\n  evidence  %s\n", derived->screen.c_str(),
              folder.c_str(), folder.c_str());
  std::fflush(stdout);
  if (interrupted) co_return kInterrupted;
  if (strict && derived->verdict == judge::State::amber) co_return kFailed;
  co_return derived->exit_code;
}

void print_outlook(const evidence::Event& event) {
  if (event.type == "plan.simulated") {
    const std::string why(event.word("why"));
    std::printf("  %-16s %s\n", std::string(event.word("step")).c_str(),
                why.empty() ? "may be done" : ("REFUSED: " + why).c_str());
  } else if (event.type == "action.done" && event.word("action") == "step.skipped") {
    std::printf("  %-16s skipped: %s\n", std::string(event.word("what")).c_str(),
                std::string(event.word("outcome")).c_str());
  }
}

void print_hits(const Course& course) {
  for (const Hit& hit : course.hits) {
    const FaultLook& look = look_of(hit.fault);
    std::string who = hit.zone.empty() ? "" : fmt::format(", zone {}", hit.zone);
    for (int32_t broker : hit.brokers) who += fmt::format(", broker {}", broker);
    std::printf("  %-16s %s %s%s\n", hit.step.c_str(), std::string(look.test).c_str(),
                std::string(look.what).c_str(), who.c_str());
  }
}

}  // namespace

Task<int> run(env::Shard& shard, RunOptions options) {
  if (const auto known = probe::check_librdkafka(); !known)
    co_return complain(kFailed, known.error().message);
  auto loaded = load_plan(shard.disk(), options);
  if (!loaded) co_return complain(kUsage, loaded.error().message);
  const auto locks = co_await take_locks(shard, options);
  if (!locks)
    co_return complain(locks.error().code == Code::in_use ? kRefused : kFailed,
                       locks.error().message);
  auto course =
      co_await set_up(shard, options, std::move(loaded->first), std::move(loaded->second));
  if (!course) co_return complain(code_of(course.error()), course.error().message);
  (*course)->progress->say(fmt::format("drill {} of {}, in {}", (*course)->run.run_id,
                                       (*course)->plan.name, (*course)->keeper->folder()));
  (*course)->progress->say(fmt::format("load by librdkafka {}, build {}", (*course)->run.librdkafka,
                                       (*course)->run.build.substr(0, 12)));
  co_await run_phases(**course);
  const bool interrupted = (*course)->halt == Halt::interrupted;
  const std::string folder = (*course)->keeper->folder();
  course->reset();
  co_return co_await judge_run(shard, folder, interrupted, options.strict);
}

Task<int> plan(env::Shard& shard, RunOptions options) {
  auto loaded = load_plan(shard.disk(), options);
  if (!loaded) co_return complain(kUsage, loaded.error().message);
  Course course(shard, options, std::move(loaded->first));
  course.keeper = Keeper::nowhere(shard);
  course.progress = std::make_unique<Progress>(shard, Progress::Kind::quiet);
  course.run = run_of(shard.disk(), course.plan, loaded->second, options, "plan");
  auto target = co_await open_target(shard, options, course.plan, [](const std::string&) {});
  if (!target) co_return complain(code_of(target.error()), target.error().message);
  course.target = std::move(*target);
  std::printf("plan %s\n", course.plan.name.c_str());
  course.keeper->listen(print_outlook);
  co_await plan_phase(course);
  print_hits(course);
  std::printf("  owner %s; rollback point: %s\n", course.run.rollback.owner.c_str(),
              course.run.rollback.point.c_str());
  if (!course.stopped()) co_return 0;
  co_return complain(course.halt == Halt::refused ? kRefused : kFailed, course.reason);
}

}  // namespace paceline::drill
