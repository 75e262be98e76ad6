#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "drill/course.h"

// The end of the load; P6, the clean-up, proved like a fault; P7, the read-back, after which the
// run's own topics go as well.

namespace paceline::drill {
namespace {

constexpr env::Duration kFinishWithin = std::chrono::seconds(20);
constexpr env::Duration kReadBackWithin = std::chrono::seconds(60);
constexpr env::Duration kHurry = std::chrono::seconds(15);  // somebody has interrupted us

std::string listed(const std::vector<std::string>& all) {
  std::string text;
  for (const std::string& one : all) text += (text.empty() ? "" : "; ") + one;
  return text;
}

std::string named(const CleanUp& asked) {
  std::string text;
  for (const auto& topic : asked.topics)
    text += (text.empty() ? "topic " : ", topic ") + topic.name;
  for (int32_t broker : asked.brokers)
    text += fmt::format("{}broker {}", text.empty() ? "" : ", ", broker);
  return text;
}

// Removes what may be removed, by id. What may not is refused as a whole.
Task<void> clean_up(Course& course, CleanUp asked, std::string left) {
  const auto view = co_await course.target->look();
  std::vector<std::string> why =
      view ? check_cleanup(*view, asked, course.made) : std::vector{view.error().message};
  if (!why.empty()) {
    auto event = course.event("cleanup.refused");
    event.figures = {{"asked", named(asked)}, {"why", listed(why)}};
    course.add(std::move(event));
    co_return;
  }
  int64_t removed = 0;
  for (const auto& topic : asked.topics) {
    const auto done = co_await course.target->delete_topic(topic.id);
    const bool gone = done || done.error().code == Code::not_found;
    course.act("topic.delete", fmt::format("{} ({})", topic.name, topic.id),
               gone ? "done" : done.error().message);
    if (!gone) {
      left += fmt::format("{}{}", left.empty() ? "" : ", ", topic.name);
      continue;
    }
    ++removed;
    std::erase_if(course.made.topics, [&](const auto& made) { return made.id == topic.id; });
  }
  auto event = course.event("cleanup.done");
  event.figures = {{"removed", removed}, {"left", left}};
  course.add(std::move(event));
}

// N7: a clean-up with a wrong topology, as whoever mistakes one cluster for another would ask it.
Task<void> ask_for_too_much(Course& course) {
  const auto view = co_await course.target->look();
  if (!view) {
    course.stop(Halt::failed, view.error().message);
    co_return;
  }
  CleanUp wrong;
  for (const auto& topic : view->topics) wrong.topics.push_back({topic.name, topic.id});
  // The ids of another cluster: those of this one, each under its neighbour's name.
  for (size_t i = 0; i + 1 < wrong.topics.size(); ++i)
    std::swap(wrong.topics[i].id, wrong.topics[i + 1].id);
  for (const auto& broker : view->brokers) wrong.brokers.push_back(broker.id);
  const size_t before = view->topics.size();
  const size_t ours = course.made.topics.size();
  co_await clean_up(course, std::move(wrong), "");
  const auto after = co_await course.target->look();
  if (after && (after->topics.size() != before || course.made.topics.size() != ours))
    course.stop(Halt::failed, "a clean-up of what is not ours was done");
}

// What speaks, by live metadata, against what the target's own clean-up would touch; nothing: it
// tells no plan of one.
Task<std::optional<std::vector<std::string>>> objections_to_own_cleanup(Course& course) {
  const auto touched = co_await course.target->plan_cleanup();
  if (touched && !*touched) co_return std::nullopt;
  CleanUp asked;
  std::vector<std::string> why;
  if (!touched) {
    why.push_back(touched.error().message);  // it refuses by itself
  } else {
    const auto view = co_await course.target->look();
    for (const std::string& name : (*touched)->topics) {
      const auto* topic = view ? view->find_topic(name) : nullptr;
      asked.topics.push_back({name, topic ? topic->id : ""});
    }
    for (const std::string& broker : (*touched)->brokers)
      why.push_back(fmt::format("broker {} is not ours to remove", broker));
    if (view)
      for (std::string& one : check_cleanup(*view, asked, course.made))
        why.push_back(std::move(one));
  }
  co_return why;
}

Task<void> judge_own_cleanup(Course& course) {
  const auto why = co_await objections_to_own_cleanup(course);
  if (!why) co_return;
  auto event = course.event(why->empty() ? "cleanup.done" : "cleanup.refused");
  if (why->empty()) {
    event.figures = {{"removed", int64_t{0}}, {"left", std::string("the plan was judged only")}};
  } else {
    event.figures = {{"asked", std::string("the target's own clean-up")}, {"why", listed(*why)}};
  }
  course.add(std::move(event));
}

// The target's own clean-up comes last, when nothing is left that is the run's: what it would touch
// now is somebody's.
Task<void> do_own_cleanup(Course& course) {
  if (!course.target->has_cleanup()) co_return;
  const auto why = co_await objections_to_own_cleanup(course);
  if (!why) co_return;
  if (!why->empty()) {
    course.act("hook.cleanup", "what the hooks have left", "refused: " + listed(*why));
    co_return;
  }
  const auto done = co_await course.target->clean_up();
  course.act("hook.cleanup", "what the hooks have left", done ? "done" : done.error().message);
  if (!done) course.stop(Halt::failed, fmt::format("clean-up: {}", done.error().message));
}

bool wants_wrong_cleanup(const Course& course) {
  return std::ranges::any_of(course.hits,
                             [](const Hit& hit) { return hit.fault == Fault::cleanup; });
}

// Asked twice: a broker that has just come back may know of less for a moment.
constexpr env::Duration kGoneFor = std::chrono::seconds(1);

// Topics of the load that live metadata knows no more. Nothing of them can be read back, and the
// judge has to hear that it is gone and not merely unread.
Task<std::set<std::string>> gone_topics(Course& course) {
  std::set<std::string> gone;
  for (const auto& topic : course.run.topics) gone.insert(topic.name);
  for (int times = 0; times < 2; ++times) {
    const auto view = co_await course.target->look();
    if (!view) co_return std::set<std::string>{};
    for (const auto& topic : course.run.topics) {
      const auto* known = view->find_topic(topic.name);
      if (known && known->id == topic.id) gone.erase(topic.name);
    }
    if (gone.empty()) break;
    if (times == 0) co_await env::sleep_for(course.shard, kGoneFor);
  }
  for (const std::string& name : gone) {
    auto event = course.event("topic.gone");
    event.topic = name;
    course.add(std::move(event));
  }
  co_return gone;
}

}  // namespace

Task<void> cleanup_phase(Course& course) {
  Phase phase(course, "P6", "clean-up");
  const bool hurry = course.halt == Halt::interrupted;
  if (course.load) {
    co_await course.load->finish(course.shard.now() + (hurry ? kHurry : kFinishWithin));
    course.run.clients = course.load->clients();
  }
  co_await course.target->catch_up(std::chrono::seconds(3));
  if (const auto view = co_await course.target->look()) course.note_leaders("after", *view);
  course.note_storage("after", co_await course.target->storage());
  co_await measure_clocks(course);
  if (!course.stopped() && wants_wrong_cleanup(course)) {
    co_await ask_for_too_much(course);
    co_await judge_own_cleanup(course);
  }
  CleanUp removable;
  std::string left;
  for (const auto& topic : course.made.topics) {
    const bool needed = course.load && std::ranges::any_of(course.run.topics, [&](const auto& one) {
                          return one.id == topic.id;
                        });
    if (needed) {
      left += fmt::format("{}{}", left.empty() ? "" : ", ", topic.name);
    } else {
      removable.topics.push_back(topic);
    }
  }
  co_await clean_up(course, std::move(removable), std::move(left));
}

Task<void> read_back_phase(Course& course) {
  Phase phase(course, "P7", "read-back");
  course.heed_interrupt();
  if (course.load) {
    const bool hurry = course.halt == Halt::interrupted;
    auto gone = co_await gone_topics(course);
    const auto read = co_await course.load->read_back(
        std::move(gone), course.shard.now() + (hurry ? kHurry : kReadBackWithin));
    course.act("ledger.read_back", "all topics of the load", read ? "done" : read.error().message);
    if (!read && course.halt != Halt::interrupted)
      course.stop(Halt::failed, fmt::format("not all was read back: {}", read.error().message));
    course.run.clients = course.load->clients();
    course.load.reset();
  }
  if (!course.made.topics.empty()) {
    CleanUp rest;
    rest.topics = course.made.topics;
    co_await clean_up(course, std::move(rest), "");
  }
  co_await do_own_cleanup(course);
}

}  // namespace paceline::drill
