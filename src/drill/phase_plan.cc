#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "drill/course.h"

// P0: who is hit by which step, and whether that may be done at all.

namespace paceline::drill {
namespace {

std::string listed(const std::vector<std::string>& all) {
  std::string text;
  for (const std::string& one : all) text += (text.empty() ? "" : "; ") + one;
  return text;
}

// The broker that a step's word stands for.
Task<Result<int32_t>> chosen_broker(Course& course, const ClusterView& view, std::string word) {
  if (word == "controller") co_return view.controller;
  if (word == "coordinator") {
    // Of whatever group: the coordinator of ours is known when there is one.
    co_return co_await course.target->coordinator_of(
        fmt::format("{}{}", kTopicPrefix, course.run.run_id));
  }
  if (word == "leader-of-most") {
    const int32_t most = view.leads_most();
    // A cluster without a topic: any broker is as good.
    co_return most >= 0 ? most : view.brokers.empty() ? -1 : view.brokers.front().id;
  }
  int32_t id = -1;
  std::from_chars(word.data(), word.data() + word.size(), id);
  co_return id;
}

Task<Result<Hit>> aim(Course& course, const ClusterView& view, const Plan::Step& step) {
  Hit hit{.step = step.id,
          .fault = step.fault,
          .brokers = {},
          .zone = step.zone,
          .direction = step.direction,
          .settings = step.settings};
  if (!step.zone.empty()) {
    for (const auto& broker : view.brokers)
      if (broker.rack == step.zone) hit.brokers.push_back(broker.id);
    if (hit.brokers.empty())
      co_return fail(Code::not_found, fmt::format("no broker is in zone {}", step.zone));
  } else if (!step.broker.empty()) {
    CO_TRY(const int32_t broker, co_await chosen_broker(course, view, step.broker));
    hit.brokers = {broker};
  }
  co_return hit;
}

}  // namespace

void note_outlook(Course& course, const Outlook& outlook) {
  auto event = course.event("plan.simulated");
  event.figures = {{"step", outlook.step},
                   {"leaderless", static_cast<int64_t>(outlook.leaderless.size())},
                   {"zones_empty", static_cast<int64_t>(outlook.zones_empty.size())},
                   {"refused", outlook.refused()},
                   {"why", outlook.why}};
  course.add(std::move(event));
}

namespace {

// Whose work a broker's end would touch, but for ours and for what nobody has written himself.
std::optional<std::string> production_topic(const Course& course, const ClusterView& view) {
  for (const auto& topic : view.topics)
    if (!topic.internal && !topic.name.starts_with("__") && !ours_to_move(course, topic))
      return topic.name;
  return std::nullopt;
}

Task<std::vector<std::string>> simulate_all(Course& course, const ClusterView& view) {
  std::vector<std::string> refused;
  for (const Plan::Step& step : course.plan.steps) {
    if (auto can = course.target->can(step.fault); !can) {
      if (step.if_possible) {
        course.act("step.skipped", step.id, can.error().message);
      } else {
        refused.push_back(fmt::format("step {}: {}", step.id, can.error().message));
      }
      continue;
    }
    auto hit = co_await aim(course, view, step);
    Outlook outlook{.step = step.id, .leaderless = {}, .zones_empty = {}, .why = {}};
    if (hit) {
      outlook = simulate_step(view, step, hit->brokers, course.target->any_broker_leads());
      course.hits.push_back(*hit);
    } else {
      outlook.why = hit.error().message;
    }
    if (outlook.refused()) refused.push_back(fmt::format("step {}: {}", step.id, outlook.why));
    note_outlook(course, outlook);
  }
  // Of what is not there yet: nothing else may go.
  Outlook cleanup{.step = "clean-up", .leaderless = {}, .zones_empty = {}, .why = {}};
  if (const auto why = check_cleanup(view, course.made, course.made); !why.empty())
    cleanup.why = listed(why);
  note_outlook(course, cleanup);
  co_return refused;
}

void describe_target(Course& course, const ClusterView& view) {
  evidence::Run& run = course.run;
  run.target = course.target->identity();
  run.target.cluster_id = view.cluster_id;
  run.target.sabotage = course.plan.sabotage;
  for (const auto& broker : view.brokers) {
    run.target.brokers.push_back({broker.id, broker.host, broker.port, broker.rack});
    course.brokers.push_back(broker.id);
  }
  for (const Plan::Step& step : course.plan.steps) {
    if (step.if_possible && !course.target->can(step.fault)) continue;
    const FaultLook& look = look_of(step.fault);
    run.plan.steps.push_back({.id = step.id,
                              .fault = std::string(look.name),
                              .test = std::string(look.test),
                              .domain = course.target->domain(step.fault),
                              .owner = step.owner,
                              .planned = look.planned});
  }
}

}  // namespace

Task<void> plan_phase(Course& course) {
  Phase phase(course, "P0", "plan");
  const auto view = co_await course.target->look();
  if (!view) {
    course.stop(Halt::failed, fmt::format("the cluster does not answer: {}", view.error().message));
    co_return;
  }
  describe_target(course, *view);
  std::vector<std::string> refused = check_rollback(course.plan, course.run.rollback.owner);
  if (view->brokers.size() < course.plan.needs.brokers)
    refused.push_back(fmt::format("the plan wants {} brokers, and there are {}",
                                  course.plan.needs.brokers, view->brokers.size()));
  if (const size_t leaderless = view->leaderless(); leaderless > 0)
    refused.push_back(
        fmt::format("{} partitions have no leader before anything is done", leaderless));
  if (const auto topic = production_topic(course, *view))
    refused.push_back(fmt::format(
        "topic {} is not of a drill: --allow-production-topics if it may be touched", *topic));
  for (std::string& why : co_await simulate_all(course, *view)) refused.push_back(std::move(why));
  for (std::string& why : co_await course.target->objections(course.hits))
    refused.push_back(std::move(why));
  course.keeper->describe(course.run);
  if (!refused.empty()) course.stop(Halt::refused, listed(refused));
}

Task<void> choose_transactions(Course& course) {
  const std::optional<bool>& wanted = course.plan.load.transactions;
  if (wanted && !*wanted) co_return;
  const auto taken =
      co_await course.target->begin_transactions(fmt::format("drill-{}-trial", course.run.run_id));
  course.transactions = taken.has_value();
  const std::string how = taken ? "in transactions" : "idempotent: " + taken.error().message;
  course.act("load.transactions", "transfers", how);
  course.progress->say(fmt::format("   transfers {}", how));
  if (!taken && wanted)
    course.stop(Halt::refused,
                fmt::format("the plan wants transactions: {}", taken.error().message));
}

}  // namespace paceline::drill
