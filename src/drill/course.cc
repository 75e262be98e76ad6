#include "drill/course.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace paceline::drill {
namespace {

constexpr env::Duration kLook = std::chrono::milliseconds(50);
constexpr env::Duration kShareOf = std::chrono::seconds(10);  // what errors_share_10s looks at

// What a record takes besides its value: without lingering each is a batch of its own.
constexpr int64_t kFraming = 80;

double seconds_of(env::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

void Course::stop(Halt why, std::string because) {
  if (stopped()) return;
  halt = why;
  reason = std::move(because);
  progress->say(fmt::format("stops: {}", reason));
}

void Course::expect_errors() {
  const auto window =
      std::chrono::duration_cast<env::Duration>(std::chrono::duration<double>(plan.guard.window_s));
  tolerant_until = std::max(tolerant_until, shard.now() + window + kShareOf);
}

void Course::heed_interrupt() {
  if (options.interrupted && *options.interrupted) stop(Halt::interrupted, "interrupted");
}

void Course::look_after() {
  heed_interrupt();
  if (watchdog && watchdog->lost())
    stop(Halt::failed, "the watchdog is gone: what it watched is healed, and nothing more is done");
  if (!keeper->failure().empty())
    stop(Halt::failed, fmt::format("evidence cannot be written: {}", keeper->failure()));
  if (!load) return;
  const probe::Glance glance = load->glance();
  progress->look(glance);
  if (stopped() || shard.now() < tolerant_until) return;
  const auto trip = [&](std::string_view rule, double measured, double limit) {
    auto tripped = event("guard.tripped");
    tripped.figures = {{"rule", std::string(rule)}, {"measured", measured}, {"limit", limit}};
    add(std::move(tripped));
    stop(Halt::guarded,
         fmt::format("guard {}: {:.3f}, and the limit is {:.3f}", rule, measured, limit));
  };
  if (glance.errors_share_10s > plan.guard.errors_share) {
    trip("client_errors_share", glance.errors_share_10s, plan.guard.errors_share);
  } else if (seconds_of(glance.staleness) > plan.guard.staleness_s) {
    trip("staleness_s", seconds_of(glance.staleness), plan.guard.staleness_s);
  }
}

Task<bool> Course::wait(env::Duration duration) {
  const env::Instant until = shard.now() + duration;
  for (;;) {
    look_after();
    if (stopped()) co_return false;
    if (shard.now() >= until) co_return true;
    co_await env::sleep_until(shard, std::min(until, shard.now() + kLook));
  }
}

std::string Course::act(std::string_view action, std::string_view what, std::string_view outcome) {
  auto done = event("action.done");
  done.figures = {{"action", std::string(action)},
                  {"what", std::string(what)},
                  {"outcome", std::string(outcome)},
                  {"principal", std::string("paceline-drill")}};
  return add(std::move(done));
}

void Course::note_storage(std::string_view when, const StorageFigures& figures) {
  auto snapshot = event("storage.snapshot");
  snapshot.plane = "storage";
  snapshot.figures["when"] = std::string(when);
  const auto set = [&](const char* name, const std::optional<int64_t>& value) {
    if (value) snapshot.figures[name] = *value;
  };
  set("unuploaded_bytes", figures.unuploaded_bytes);
  set("requests_put", figures.requests_put);
  set("requests_get", figures.requests_get);
  set("requests_list", figures.requests_list);
  set("bytes_put", figures.bytes_put);
  set("bytes_got", figures.bytes_got);
  set("orphans", figures.orphans);
  set("replicas_out_of_sync", figures.replicas_out_of_sync);
  set("reassigning", figures.reassigning);
  set("log_bytes", figures.log_bytes);
  set("memory_bytes", figures.memory_bytes);
  if (figures.log_bytes && load)
    snapshot.figures["produced_bytes"] = static_cast<int64_t>(load->glance().acked) *
                                         (static_cast<int64_t>(plan.load.value_bytes) + kFraming) *
                                         replicas;
  add(std::move(snapshot));
}

void Course::note_leaders(std::string_view when, const ClusterView& view) {
  nlohmann::json leaders = nlohmann::json::object();
  for (const auto& [broker, count] : view.leaders()) leaders[std::to_string(broker)] = count;
  auto snapshot = event("metadata.snapshot");
  snapshot.figures = {{"when", std::string(when)},
                      {"leaderless", static_cast<int64_t>(view.leaderless())},
                      {"leaders", leaders.dump()}};
  add(std::move(snapshot));
}

Phase::Phase(Course& course, std::string_view phase, std::string_view name, std::string step,
             env::Duration lasts)
    : course_(course), phase_(phase), name_(name), step_(std::move(step)) {
  course.add(about("phase.began"));
  course.keeper->write_soon();
  course.progress->phase(fmt::format("{} {}{}", phase_, name_, step_.empty() ? "" : " of " + step_),
                         lasts);
}

Phase::~Phase() {
  course_.add(about("phase.ended"));
  course_.keeper->write_soon();
}

evidence::Event Phase::about(std::string_view type) const {
  auto event = course_.event(type);
  event.figures = {{"phase", phase_}, {"name", name_}};
  if (!step_.empty()) event.figures["step"] = step_;
  return event;
}

bool ours_to_move(const Course& course, const ClusterView::Topic& topic) {
  if (topic.internal || topic.name.starts_with("__")) return false;
  if (topic.name.starts_with(kTopicPrefix)) return true;
  return course.options.allow_production_topics || !course.target->production();
}

}  // namespace paceline::drill
