#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "drill/paceline_target.h"
#include "drill/store_faults.h"

// What a drill does to a `paceline dev` without a hook.

namespace paceline::drill {
namespace {

constexpr const char* kStoreWay = "store-proxy";
constexpr const char* kStoreFaults = "/faults";

// What a signal to its processes does.
bool is_signal(Fault fault) {
  return fault == Fault::stop || fault == Fault::kill || fault == Fault::freeze ||
         fault == Fault::zombie || fault == Fault::control_freeze;
}

}  // namespace

bool PacelineTarget::ours(Fault fault) const {
  return !by_hook(fault) && (is_signal(fault) || fault == Fault::cut || fault == Fault::slow_store);
}

Result<void> PacelineTarget::can(Fault fault) const {
  if (!ours(fault)) return HookTarget::can(fault);
  if (fault == Fault::cut) {
    if (dev_.network.empty())
      return fail(Code::unsupported,
                  "its brokers are no hosts of their own: `paceline dev --hosts` makes them so, or "
                  "a hook cuts their ways");
    if (::geteuid() != 0) return fail(Code::unsupported, "to cut ways of a network takes root");
  } else if (fault == Fault::slow_store) {
    if (!dev_.named(kStoreWay))
      return fail(Code::unsupported,
                  "its store is a folder: `paceline dev --store s3` has one that can be slow");
  } else if (!dev_.restart) {
    return fail(Code::unsupported,
                "the cluster runs with --no-restart: what has ended would stay away");
  }
  return {};
}

std::string PacelineTarget::domain(Fault fault) const {
  if (!ours(fault)) return HookTarget::domain(fault);
  if (fault == Fault::cut) return "zone";
  return fault == Fault::control_freeze || fault == Fault::slow_store ? "cluster" : "broker";
}

Task<std::vector<std::string>> PacelineTarget::objections(std::vector<Hit> hits) {
  std::vector<std::string> all = co_await HookTarget::objections(hits);
  for (const Hit& hit : hits) {
    if (hit.fault != Fault::slow_store || !ours(hit.fault)) continue;
    if (auto settings = store_faults_json(hit.settings); !settings)
      all.push_back(fmt::format("step {}: {}", hit.step, settings.error().message));
  }
  co_return all;
}

bool PacelineTarget::stopped(const LocalProcess& process) {
  const auto look = look_at_process(shard().disk(), process.pid);
  return look && look->process == process && look->state == 'T';
}

// Others hear of its end before the kernel has taken it apart.
bool PacelineTarget::gone(const LocalProcess& process) {
  const auto look = look_at_process(shard().disk(), process.pid);
  return !look || look->process != process || look->state == 'Z' || look->exiting;
}

Task<Result<std::vector<HealAction>>> PacelineTarget::ways_to_heal(Hit hit) {
  if (!ours(hit.fault)) co_return co_await HookTarget::ways_to_heal(hit);
  CO_TRY_VOID(co_await refresh());
  if (hit.fault == Fault::cut) {
    CO_TRY(cuts_[hit.step], plan_cut(dev_, hit.brokers, hit.direction));
    std::vector<HealAction> mends;
    for (const CutPlace& place : cuts_[hit.step])
      mends.push_back({.name = fmt::format("{}/{}", hit.step, place.where),
                       .command = place.command(place.mend)});
    co_return mends;
  }
  if (hit.fault == Fault::slow_store) {
    const auto* way = dev_.named(kStoreWay);
    if (!way) co_return fail(Code::not_found, "there is no way to the store");
    CO_TRY(const LocalProcess process, process_of(*way));
    co_return std::vector{HealAction{.name = hit.step, .process = process, .signal = SIGUSR1}};
  }
  std::vector<LocalProcess>& sleeping = sleeping_[hit.step];
  sleeping.clear();
  CO_TRY(hit_[hit.step], broker_process(hit.broker()));
  if (hit.fault == Fault::freeze || hit.fault == Fault::zombie) sleeping = {hit_[hit.step]};
  if (hit.fault == Fault::control_freeze) {
    CO_TRY(sleeping, quorum());
  }
  std::vector<HealAction> ways;
  for (const LocalProcess& process : sleeping)
    ways.push_back({.name = fmt::format("{}/{}", hit.step, process.pid),
                    .process = process,
                    .signal = SIGCONT});
  co_return ways;
}

Task<Result<void>> PacelineTarget::inject(Hit hit) {
  if (!ours(hit.fault)) co_return co_await HookTarget::inject(hit);
  if (hit.fault == Fault::cut) co_return co_await cut(std::move(hit));
  if (hit.fault == Fault::slow_store) {
    CO_TRY(std::string settings, store_faults_json(hit.settings));
    CO_TRY([[maybe_unused]] auto told, co_await ask_store_way("POST", std::move(settings)));
    co_return Result<void>{};
  }
  env::Disk& disk = shard().disk();
  for (const LocalProcess& process : sleeping_[hit.step])
    CO_TRY_VOID(send_signal(disk, process, SIGSTOP));
  if (hit.fault == Fault::stop) co_return send_signal(disk, hit_[hit.step], SIGTERM);
  if (hit.fault == Fault::kill || hit.fault == Fault::control_freeze)
    co_return send_signal(disk, hit_[hit.step], SIGKILL);
  co_return Result<void>{};
}

Task<Result<Effect>> PacelineTarget::effective(Hit hit) {
  if (!ours(hit.fault)) co_return co_await HookTarget::effective(hit);
  if (hit.fault == Fault::cut) co_return co_await cut_is_seen(std::move(hit));
  if (hit.fault == Fault::slow_store) co_return co_await slow_store_is_seen(std::move(hit));
  const LocalProcess process = hit_[hit.step];
  for (const LocalProcess& one : sleeping_[hit.step])
    if (!stopped(one))
      co_return fail(Code::unavailable, fmt::format("process {} does not stand still", one.pid));
  if (hit.fault == Fault::freeze || hit.fault == Fault::zombie)
    co_return Effect{fmt::format("process {} stands still", process.pid)};
  if (gone(process))
    co_return Effect{
        fmt::format("process {} is gone{}", process.pid,
                    hit.fault == Fault::control_freeze ? ", and the quorum stands still" : "")};
  // A signal that is not pending any more has been heard.
  if (hit.fault == Fault::stop && !signal_pending(shard().disk(), process, SIGTERM))
    co_return Effect{fmt::format("process {} has heard SIGTERM", process.pid)};
  co_return fail(Code::unavailable, fmt::format("process {} still lives", process.pid));
}

Task<Result<std::string>> PacelineTarget::heal(Hit hit) {
  if (!ours(hit.fault)) co_return co_await HookTarget::heal(hit);
  if (hit.fault == Fault::cut) co_return co_await mend(std::move(hit));
  if (hit.fault == Fault::slow_store) {
    CO_TRY([[maybe_unused]] auto told, co_await ask_store_way("POST", "{}"));
    co_return "the way to the store lets all through as it comes";
  }
  size_t woken = 0;
  for (const LocalProcess& process : sleeping_[hit.step])
    if (send_signal(shard().disk(), process, SIGCONT)) ++woken;
  if (sleeping_[hit.step].empty()) co_return "the cluster starts again what has ended";
  co_return fmt::format("SIGCONT to {} of {} processes", woken, sleeping_[hit.step].size());
}

Task<Result<void>> PacelineTarget::run(Command command) {
  const Ending ending = co_await env::offload(
      shard(), [command = std::move(command)] { return run_program(command); });
  if (ending.exit_code == 0) co_return Result<void>{};
  co_return fail(Code::unavailable, ending.why.empty() ? ending.err : ending.why);
}

Task<Result<void>> PacelineTarget::cut(Hit hit) {
  const std::vector<CutPlace> places = cuts_[hit.step];
  for (const CutPlace& place : places) {
    if (auto done = co_await run(place.command(place.cut)); !done)
      co_return fail(done.error().code, fmt::format("{}: {}", place.where, done.error().message));
  }
  co_return Result<void>{};
}

Task<Result<Effect>> PacelineTarget::cut_is_seen(Hit hit) {
  const std::vector<CutPlace> places = cuts_[hit.step];
  for (const CutPlace& place : places) {
    if (!co_await run(place.command(place.seen)))
      co_return fail(Code::unavailable, fmt::format("not all ways of {} are cut", place.where));
  }
  co_return Effect{fmt::format("the network of {} namespaces is cut, direction {}", places.size(),
                               hit.direction)};
}

Task<Result<std::string>> PacelineTarget::mend(Hit hit) {
  const std::vector<CutPlace> places = cuts_[hit.step];
  for (const CutPlace& place : places) (void)co_await run(place.command(place.mend));
  for (const CutPlace& place : places) {
    if (auto whole = co_await run(place.command(place.mended)); !whole)
      co_return fail(Code::unavailable, fmt::format("{} is still cut off", place.where));
  }
  co_return fmt::format("the network of {} namespaces is mended", places.size());
}

Task<Result<std::string>> PacelineTarget::ask_store_way(std::string method, std::string body) {
  const auto* way = dev_.named(kStoreWay);
  if (!way) co_return fail(Code::not_found, "there is no way to the store");
  co_return co_await fetch(*way, kStoreFaults, std::move(method), std::move(body));
}

Task<Result<Effect>> PacelineTarget::slow_store_is_seen(Hit hit) {
  CO_TRY(const std::string told, co_await ask_store_way("GET", ""));
  CO_TRY(const int64_t met, met_of(told));
  if (met == 0) co_return fail(Code::unavailable, "no request has met it yet");
  Effect effect{"requests of the brokers have met it"};
  if (const auto added = hit.settings.find("latency_ms"); added != hit.settings.end())
    effect.figures["added_ms"] = std::strtod(added->second.c_str(), nullptr);
  co_return effect;
}

}  // namespace paceline::drill
