#include <fmt/format.h>

#include <algorithm>

#include "drill/course.h"

// P3 to P5 of one step: the fault, what it does, and its end.

namespace paceline::drill {
namespace {

constexpr env::Duration kEffectiveWithin = std::chrono::seconds(10);
constexpr env::Duration kLookForFault = std::chrono::milliseconds(1);
constexpr env::Duration kLookForOthers = std::chrono::milliseconds(100);
constexpr env::Duration kStorageEach = std::chrono::seconds(5);
constexpr int64_t kRulesAt[] = {30, 60, 120};

env::Duration seconds(double count) {
  return std::chrono::duration_cast<env::Duration>(std::chrono::duration<double>(count));
}

class Step {
 public:
  Step(Course& course, Hit hit, const Plan::Step& step)
      : course_(course), hit_(std::move(hit)), step_(step), look_(look_of(step.fault)) {}

  // False: there is no fault, and nothing to observe.
  Task<bool> inject();
  Task<void> observe(env::Duration lasts);
  Task<void> until_others_lead(env::Duration at_most);
  Task<void> heal();
  bool injected() const { return injected_; }

 private:
  evidence::Event about(std::string_view type) const;
  Task<bool> still_safe();
  Task<bool> see_effect();
  Task<void> evaluate_rule();
  Task<void> heal_once(env::Instant began);
  Task<Result<void>> until_whole();

  Course& course_;
  const Hit hit_;
  const Plan::Step& step_;
  const FaultLook& look_;
  std::vector<std::string> watched_;  // names of what is registered
  bool injected_ = false;
  env::Instant effective_at_;
  size_t rules_ = 0;
  env::Instant storage_due_;
};

evidence::Event Step::about(std::string_view type) const {
  auto event = course_.event(type);
  event.figures = {{"step", hit_.step},
                   {"fault", std::string(look_.name)},
                   {"domain", course_.target->domain(hit_.fault)},
                   {"planned", look_.planned}};
  if (!hit_.brokers.empty()) event.figures["broker"] = static_cast<int64_t>(hit_.broker());
  if (!hit_.zone.empty()) event.figures["zone"] = hit_.zone;
  return event;
}

Task<bool> Step::inject() {
  const auto not_done = [this](const std::string& why) {
    auto event = about("fault.not_effective");
    event.figures["reason"] = why;
    course_.add(std::move(event));
    course_.stop(Halt::failed, fmt::format("step {}: {}", hit_.step, why));
  };
  if (!co_await still_safe()) co_return false;
  auto ways = co_await course_.target->ways_to_heal(hit_);
  if (!ways) {
    not_done(ways.error().message);
    co_return false;
  }
  for (HealAction& way : *ways) {
    watched_.push_back(way.name);
    if (auto guarded = co_await course_.watchdog->guard(std::move(way)); !guarded) {
      not_done(guarded.error().message);
      co_return false;
    }
  }
  const std::string commanded = course_.add(about("fault.commanded"));
  course_.expect_errors();
  injected_ = true;
  storage_due_ = course_.shard.now() + kStorageEach;
  if (hit_.fault == Fault::storm) {
    effective_at_ = course_.shard.now();
    auto event = about("fault.effective");
    event.figures["how"] = std::string("the drill ends its own clients");
    event.cause_id = commanded;
    course_.add(std::move(event));
    co_await course_.load->storm();
    co_return true;
  }
  if (auto done = co_await course_.target->inject(hit_); !done) {
    not_done(done.error().message);
    co_return false;
  }
  co_return co_await see_effect();
}

// Metadata may have changed since P0, and our own topics were not there then.
Task<bool> Step::still_safe() {
  const auto view = co_await course_.target->look();
  if (!view) {
    course_.stop(Halt::failed,
                 fmt::format("the cluster does not answer: {}", view.error().message));
    co_return false;
  }
  const Outlook outlook =
      simulate_step(*view, step_, hit_.brokers, course_.target->any_broker_leads());
  note_outlook(course_, outlook);
  if (outlook.refused())
    course_.stop(Halt::refused, fmt::format("step {}: {}", hit_.step, outlook.why));
  co_return !outlook.refused();
}

Task<bool> Step::see_effect() {
  const env::Instant deadline = course_.shard.now() + kEffectiveWithin;
  std::string last;
  while (course_.shard.now() < deadline) {
    const env::Instant looked = course_.shard.now();
    auto effect = co_await course_.target->effective(hit_);
    if (effect) {
      effective_at_ = looked;
      auto event = about("fault.effective");
      event.figures.merge(effect->figures);  // ours are stronger
      event.figures["how"] = effect->how;
      event.t_mono_ns = looked.since_start.count();
      course_.add(std::move(event));
      course_.progress->say(fmt::format("   effective: {}", effect->how));
      co_return true;
    }
    last = effect.error().message;
    co_await env::sleep_for(course_.shard, kLookForFault);
  }
  auto event = about("fault.not_effective");
  event.figures["reason"] = last;
  course_.add(std::move(event));
  course_.stop(Halt::failed, fmt::format("step {} has no effect: {}", hit_.step, last));
  co_return false;
}

Task<void> Step::observe(env::Duration lasts) {
  const env::Instant until = course_.shard.now() + lasts;
  while (course_.shard.now() < until) {
    const env::Duration left = until - course_.shard.now();
    if (!co_await course_.wait(std::min<env::Duration>(left, std::chrono::seconds(1)))) co_return;
    co_await evaluate_rule();
    if (course_.shard.now() >= storage_due_) {
      course_.note_storage("during", co_await course_.target->storage());
      storage_due_ = course_.shard.now() + kStorageEach;
    }
  }
  co_await evaluate_rule();
}

// A zombie sleeps for as long as it has to.
Task<void> Step::until_others_lead(env::Duration at_most) {
  const env::Instant deadline = course_.shard.now() + at_most;
  while (course_.shard.now() < deadline) {
    if (!co_await course_.wait(kLookForOthers)) co_return;
    const auto view = co_await course_.target->look();
    if (!view) continue;
    const auto led = view->leaders();
    const auto found = led.find(hit_.broker());
    if (found == led.end() || found->second == 0) {
      course_.progress->say(fmt::format("   broker {} leads nothing any more", hit_.broker()));
      co_return;
    }
  }
}

Task<void> Step::evaluate_rule() {
  while (rules_ < std::size(kRulesAt) &&
         course_.shard.now() - effective_at_ >= std::chrono::seconds(kRulesAt[rules_])) {
    const int64_t at = kRulesAt[rules_++];
    const auto view = co_await course_.target->look();
    const double errors = course_.load->glance().errors_share_10s;
    const size_t leaderless = view ? view->leaderless() : 0;
    // Who does not answer cannot tell that all is well.
    const bool back = !view || leaderless > 0 || errors > course_.plan.guard.errors_share;
    auto event = course_.event("rollback.evaluated");
    event.figures = {{"at_s", at},
                     {"step", hit_.step},
                     {"rule", course_.run.rollback.rule},
                     {"decision", std::string(back ? "roll_back" : "go_on")},
                     {"leaderless", static_cast<int64_t>(leaderless)},
                     {"errors_share", errors}};
    course_.add(std::move(event));
    if (back)
      course_.stop(Halt::guarded,
                   fmt::format("{} s after {}: the rule says roll back", at, hit_.step));
  }
}

Task<void> Step::heal_once(env::Instant began) {
  auto how = co_await course_.target->heal(hit_);
  // Once more, as whoever heals in our place would.
  if (!how) how = co_await course_.target->heal(hit_);
  const auto whole = how ? co_await until_whole() : Result<void>(fail(how.error()));
  auto event = about(whole ? "fault.healed" : "fault.heal_failed");
  event.value = std::chrono::duration<double, std::milli>(course_.shard.now() - began).count();
  event.unit = "ms";
  event.figures["how"] = whole ? *how : whole.error().message;
  course_.add(std::move(event));
  if (!whole) {
    course_.progress->say(fmt::format("   NOT healed: {}", whole.error().message));
    course_.stop(Halt::failed,
                 fmt::format("step {} is not healed: {}", hit_.step, whole.error().message));
    co_return;  // the watchdog tries again when we end
  }
  course_.progress->say(fmt::format("   healed: {}", *how));
  for (const std::string& name : watched_) course_.watchdog->release(name);
}

Task<void> Step::heal() {
  const env::Instant began = course_.shard.now();
  course_.add(about("fault.heal_commanded"));
  co_await heal_once(began);
  if (look_.needs_heal) course_.expect_errors();
}

Task<Result<void>> Step::until_whole() {
  const env::Instant deadline = course_.shard.now() + course_.patience;
  Result<void> whole;
  do {
    whole = co_await course_.target->whole(course_.brokers);
    if (whole) break;
    course_.look_after();
    co_await env::sleep_for(course_.shard, kLookForOthers);
  } while (course_.shard.now() < deadline);
  co_return whole;
}

}  // namespace

Task<void> fault_phases(Course& course, Hit hit, const Plan::Step& step) {
  if (hit.fault == Fault::cleanup) co_return;  // P6 is its place
  Step run(course, hit, step);
  bool effective = false;
  {
    Phase phase(course, "P3", "inject", hit.step);
    effective = co_await run.inject();
  }
  const FaultLook& look = look_of(hit.fault);
  if (effective) {
    const env::Duration lasts = seconds(look.needs_heal ? step.hold_s : course.plan.observe_s);
    Phase phase(course, "P4", "observe", hit.step, lasts);
    if (hit.fault == Fault::zombie) {
      co_await run.until_others_lead(lasts);
    } else {
      co_await run.observe(lasts);
    }
  }
  if (!run.injected()) co_return;
  Phase phase(course, "P5", "heal", hit.step);
  co_await run.heal();
  if (course.stopped()) co_return;
  // At once: a cluster that balances itself would leave nothing to be given back.
  co_await roll_back(course);
  // What wakes up is looked at for a while; the rest has been.
  const double observed = look.needs_heal ? std::max(course.plan.observe_s - step.hold_s, 0.0) : 0;
  co_await run.observe(
      std::max(seconds(observed), look.needs_heal ? course.after_heal : course.after_heal / 4));
}

}  // namespace paceline::drill
