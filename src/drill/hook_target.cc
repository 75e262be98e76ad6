#include "drill/hook_target.h"

#include <fmt/format.h>

#include <algorithm>

#include "drill/wall_time.h"

namespace paceline::drill {
namespace {

// So late a line may be written, or so far off is the clock of whoever writes it.
constexpr int64_t kLateMs = 60'000;

// What makes two lines the same one. A leader's epoch comes once, whoever writes of it and when.
std::string key_of(const evidence::Event& event) {
  std::string when = event.t_wall.empty() ? std::to_string(event.t_mono_ns) : event.t_wall;
  if (event.leader_epoch) when = fmt::format("epoch {}", *event.leader_epoch);
  return fmt::format("{}|{}|{}|{}|{}|{}", event.type, event.topic, event.partition.value_or(-1),
                     event.lane, event.cause_id, when);
}

std::string joined(const std::vector<int32_t>& ids) {
  std::string text;
  for (int32_t id : ids) text += fmt::format("{}{}", text.empty() ? "" : ",", id);
  return text;
}

}  // namespace

HookTarget::HookTarget(env::Shard& shard, std::string bootstrap, std::string profile,
                       std::unique_ptr<Hooks> hooks, client::Security security)
    : shard_(shard),
      bootstrap_(std::move(bootstrap)),
      profile_(std::move(profile)),
      hooks_(std::move(hooks)),
      kafka_(shard, bootstrap_, std::move(security)),
      log_since_ms_(shard.wall_ms()) {}

evidence::Run::Target HookTarget::identity() const {
  evidence::Run::Target target;
  target.profile = profile_;
  target.name = hooks_ ? hooks_->file().name : bootstrap_;
  target.version = hooks_ ? hooks_->file().version : "";
  target.bootstrap = bootstrap_;
  target.external_only = true;
  if (hooks_ && hooks_->file().verb("effective")) target.observes.emplace_back("t0");
  // A log without a promise may tell anything; what it does not tell was not to be observed.
  if (const auto* log = hooks_ ? hooks_->file().verb("log") : nullptr)
    for (const std::string& milestone : log->tells) target.observes.push_back(milestone);
  target.observes.emplace_back("t13");
  return target;
}

bool HookTarget::by_hook(Fault fault) const {
  return hooks_ && hooks_->file().domains.contains(fault);
}

Result<void> HookTarget::can(Fault fault) const {
  if (by_hook(fault) || fault == Fault::drain || fault == Fault::storm || fault == Fault::cleanup)
    return {};
  return fail(Code::unsupported, fmt::format("'{}' needs a hook for it", look_of(fault).name));
}

Task<Result<void>> HookTarget::status_is_good() {
  if (!hooks_ || !hooks_->file().verb("status")) co_return Result<void>{};
  CO_TRY([[maybe_unused]] auto answer, co_await hooks_->run("status", {{"fault", "none"}}));
  co_return Result<void>{};
}

Task<std::vector<std::string>> HookTarget::objections(std::vector<Hit> hits) {
  std::vector<std::string> all;
  if (const auto status = co_await status_is_good(); !status) all.push_back(status.error().message);
  if (!hooks_ || !hooks_->file().verb("list")) co_return all;
  const auto listed = co_await hooks_->run("list", {{"fault", "none"}});
  if (!listed) {
    all.push_back(listed.error().message);
    co_return all;
  }
  if (listed->brokers.empty()) co_return all;  // it has no list of them
  for (const Hit& hit : hits)
    for (const int32_t id : hit.brokers)
      if (by_hook(hit.fault) &&
          std::ranges::find(listed->brokers, std::to_string(id)) == listed->brokers.end())
        all.push_back(fmt::format("step {}: the hooks of {} know no broker {}", hit.step,
                                  hooks_->file().name, id));
  co_return all;
}

std::string HookTarget::domain(Fault fault) const {
  if (by_hook(fault)) return hooks_->file().domains.at(fault);
  if (fault == Fault::storm) return "client";
  return fault == Fault::cleanup ? "none" : "broker";
}

Placeholders HookTarget::words_of(const Hit& hit) {
  Placeholders words = {{"fault", std::string(look_of(hit.fault).name)},
                        {"broker", joined(hit.brokers)},
                        {"zone", hit.zone},
                        {"direction", hit.direction}};
  // Only in the environment: they are no placeholders of an argv.
  for (const auto& [name, value] : hit.settings) words["setting_" + name] = value;
  return words;
}

Task<Result<std::vector<HealAction>>> HookTarget::ways_to_heal(Hit hit) {
  std::vector<HealAction> ways;
  if (by_hook(hit.fault)) {
    CO_TRY(Command command, hooks_->command("heal", words_of(hit)));
    ways.push_back({.name = hit.step, .command = std::move(command)});
  }
  co_return ways;
}

Task<Result<void>> HookTarget::inject(Hit hit) {
  if (by_hook(hit.fault)) {
    CO_TRY([[maybe_unused]] auto answer, co_await hooks_->run("inject", words_of(hit)));
    co_return Result<void>{};
  }
  if (hit.fault == Fault::drain) {
    drained_ = false;
    CO_TRY_VOID(any_broker_leads() ? co_await kafka_.drain(hit.broker())
                                   : co_await drain_by_protocol(hit.broker()));
    drained_ = true;
    co_return Result<void>{};
  }
  co_return can(hit.fault);
}

// Each partition goes to the next one of its replicas that is in sync.
Task<Result<void>> HookTarget::drain_by_protocol(int32_t broker) {
  CO_TRY(const ClusterView view, co_await kafka_.look());
  std::vector<Kafka::Named> wanted;
  for (const auto& topic : view.topics) {
    for (const auto& partition : topic.partitions) {
      if (partition.leader != broker) continue;
      Kafka::Named one{topic.name, partition.index, {}};
      for (int32_t id : partition.replicas)
        if (id != broker && std::ranges::find(partition.in_sync, id) != partition.in_sync.end())
          one.replicas.push_back(id);
      if (one.replicas.empty()) continue;  // nobody else has it
      for (int32_t id : partition.replicas)
        if (std::ranges::find(one.replicas, id) == one.replicas.end()) one.replicas.push_back(id);
      wanted.push_back(std::move(one));
    }
  }
  if (wanted.empty())
    co_return fail(Code::unavailable,
                   fmt::format("broker {} leads nothing that another one could", broker));
  co_return co_await kafka_.move(std::move(wanted));
}

Task<Result<Effect>> HookTarget::effective(Hit hit) {
  if (by_hook(hit.fault)) {
    CO_TRY(HookAnswer answer, co_await hooks_->run("effective", words_of(hit)));
    const std::string why = answer.why();
    co_return Effect{why.empty() ? std::string("the hook has observed it") : why,
                     std::move(answer.figures)};
  }
  if (hit.fault == Fault::drain && drained_) co_return Effect{"the cluster has accepted the move"};
  co_return fail(Code::unavailable, "nothing has been observed");
}

Task<Result<std::string>> HookTarget::heal(Hit hit) {
  if (!by_hook(hit.fault)) co_return "there is nothing to heal";
  CO_TRY(const HookAnswer answer, co_await hooks_->run("heal", words_of(hit)));
  const std::string why = answer.why();
  co_return why.empty() ? std::string("the hook has healed it") : why;
}

Task<Result<void>> HookTarget::whole(std::vector<int32_t> brokers) {
  CO_TRY(const ClusterView view, co_await kafka_.look());
  for (int32_t id : brokers) {
    const auto* broker = view.find_broker(id);
    if (!broker) co_return fail(Code::unavailable, fmt::format("broker {} is not back yet", id));
    const std::string address = broker->address();
    const auto answered = co_await kafka_.ping(address);
    if (!answered)
      co_return fail(Code::unavailable, fmt::format("broker {} does not answer yet", id));
  }
  if (const size_t leaderless = view.leaderless(); leaderless > 0)
    co_return fail(Code::unavailable, fmt::format("{} partitions have no leader", leaderless));
  co_return co_await status_is_good();
}

Task<Result<std::string>> HookTarget::create_topic(std::string name, int32_t partitions) {
  constexpr size_t kReplicas = 3;
  if (any_broker_leads()) co_return co_await kafka_.create_topic(std::move(name), partitions, -1);
  CO_TRY(const ClusterView view, co_await kafka_.look());
  const auto replicas = static_cast<int16_t>(std::min(kReplicas, view.brokers.size()));
  co_return co_await kafka_.create_topic(std::move(name), partitions, replicas);
}

Task<StorageFigures> HookTarget::storage() {
  StorageFigures figures;
  if (auto view = co_await kafka_.look())
    figures.replicas_out_of_sync = static_cast<int64_t>(view->out_of_sync());
  if (auto count = co_await kafka_.reassigning())
    figures.reassigning = static_cast<int64_t>(*count);
  if (auto bytes = co_await kafka_.log_bytes()) figures.log_bytes = *bytes;
  co_return figures;
}

// Nobody tells the time by Kafka's protocol.
Task<std::vector<ClockBound>> HookTarget::clocks() {
  co_return std::vector<ClockBound>{};
}

Task<Headroom> HookTarget::headroom() {
  co_return Headroom{.cpu_share = {},
                     .memory_share = {},
                     .why_not = "the brokers' machines cannot be seen from here"};
}

Task<void> HookTarget::catch_up(env::Duration) {
  if (!hooks_ || !hooks_->file().verb("log") || !tell_) co_return;
  const int64_t mono_minus_wall =
      shard_.now().since_start.count() - shard_.wall_ms() * int64_t{1'000'000};
  const int64_t asked_ms = shard_.wall_ms();
  const auto text =
      co_await hooks_->run_for_text("log", {{"fault", "log"}, {"since", rfc3339(log_since_ms_)}});
  if (!text) co_return;
  log_since_ms_ = std::max(log_since_ms_, asked_ms - kLateMs);
  auto events = parse_hook_log(*text, mono_minus_wall);
  std::ranges::stable_sort(events, {}, &evidence::Event::t_mono_ns);
  for (auto& event : events)
    if (told_.insert(key_of(event)).second) tell_(std::move(event));
}

Task<Result<std::optional<Target::Touched>>> HookTarget::plan_cleanup() {
  if (!hooks_ || !hooks_->file().verb("plan")) co_return std::optional<Touched>{};
  CO_TRY(auto answer, co_await hooks_->run("plan", {{"fault", "cleanup"}}));
  co_return Touched{std::move(answer.topics), std::move(answer.brokers)};
}

Task<Result<void>> HookTarget::clean_up() {
  CO_TRY([[maybe_unused]] auto answer, co_await hooks_->run("cleanup", {{"fault", "cleanup"}}));
  co_return Result<void>{};
}

}  // namespace paceline::drill
