#include <fmt/format.h>

#include "drill/course.h"
#include "drill/wall_time.h"

// The rollback, rehearsed: leaders go back to where the snapshot has them, timed and compared.

namespace paceline::drill {
namespace {

constexpr env::Duration kWithin = std::chrono::seconds(15);
constexpr env::Duration kPause = std::chrono::milliseconds(100);
constexpr size_t kNamedMax = 8;

// What is led by somebody else than in the snapshot, with the one who is to lead it first.
std::vector<Kafka::Named> strayed(const Course& course, const ClusterView& now) {
  std::vector<Kafka::Named> all;
  for (const auto& topic : course.before.topics) {
    const auto* there = now.find_topic(topic.name);
    if (!there || there->id != topic.id || !ours_to_move(course, topic)) continue;
    for (const auto& partition : topic.partitions) {
      for (const auto& current : there->partitions) {
        if (current.index != partition.index || current.leader == partition.leader) continue;
        Kafka::Named one{topic.name, partition.index, {partition.leader}};
        for (int32_t id : current.replicas)
          if (id != partition.leader && one.replicas.size() < current.replicas.size())
            one.replicas.push_back(id);
        all.push_back(std::move(one));
      }
    }
  }
  return all;
}

std::string named(const std::vector<Kafka::Named>& all) {
  std::string text;
  for (size_t i = 0; i < std::min(all.size(), kNamedMax); ++i)
    text += fmt::format("{}{}-{}", i ? ", " : "", all[i].topic, all[i].partition);
  if (all.size() > kNamedMax) text += fmt::format(" and {} more", all.size() - kNamedMax);
  return text;
}

}  // namespace

Task<void> roll_back(Course& course) {
  const env::Instant began = course.shard.now();
  std::string differs = "nobody answers", failed;
  size_t asked = 0;
  do {
    auto view = co_await course.target->look();
    if (view) {
      auto all = strayed(course, *view);
      differs = named(all);
      if (all.empty()) break;
      asked = std::max(asked, all.size());
      auto moved = co_await course.target->move(std::move(all));
      failed = moved ? "" : moved.error().message;
    }
    co_await env::sleep_for(course.shard, kPause);
  } while (course.shard.now() - began < kWithin);
  if (asked > 0)
    course.act("leader.give_back", fmt::format("{} partitions", asked),
               differs.empty()  ? "done"
               : failed.empty() ? "not all of them"
                                : failed);
  auto event = course.event("rollback.done");
  event.value = std::chrono::duration<double, std::milli>(course.shard.now() - began).count();
  event.unit = "ms";
  event.figures = {
      {"equal", differs.empty()}, {"differs", differs}, {"asked", static_cast<int64_t>(asked)}};
  // Where the cluster has given all back by itself nothing was rehearsed.
  if (asked > 0) {
    course.run.rollback.rehearsed_ms = static_cast<int64_t>(*event.value);
    course.run.rollback.rehearsed = rfc3339(course.shard.wall_ms());
  }
  course.progress->say(
      differs.empty() ? fmt::format("   leaders are where they were, after {:.0f} ms", *event.value)
                      : fmt::format("   leaders are NOT where they were: {}", differs));
  course.add(std::move(event));
}

}  // namespace paceline::drill
