#include "server/event_log.h"

#include <gtest/gtest.h>

#include "env/test_world.h"

namespace paceline::server {
namespace {

constexpr Lane kSelf{BrokerId(1), Incarnation(2)};

Event event(std::string_view type) {
  return {Event::Plane::control, type};
}

// Runs `body(world, log)`; the log is there until the world has ended.
template <class Body>
void with_log(Body body) {
  env::SimTestWorld world(2);
  EventLog log(world.shard(0), world.shard(0).disk(), world.dir());
  world.run(body(&world, &log));
}

Task<void> settle(env::SimTestWorld* world) {
  co_await env::sleep_for(world->shard(0), std::chrono::milliseconds(10));
}

std::string text_of(env::SimTestWorld& world, const std::string& name) {
  auto file = world.shard(0).disk().open(world.dir() + "/" + name, {});
  if (!file) return "";
  std::string text((*file)->size().value_or(0), '\0');
  (void)(*file)->read_at(0, as_writable_bytes(std::span(text.data(), text.size())));
  return text;
}

TEST(EventLog, WhatIsSaidBeforeItIsKnownWhoWeAreIsSaidAfterwards) {
  with_log([](env::SimTestWorld* world, EventLog* log) -> Task<void> {
    log->record(event("early"));
    co_await settle(world);
    EXPECT_TRUE(log->empty());
    log->begin(kSelf);
    log->record(event("late"));
    co_await settle(world);
    const auto lines = log->oldest(1 << 20);
    EXPECT_EQ(lines.size(), 2u);
    EXPECT_NE(lines.at(0).json.find(R"("id":"1.2-1")"), std::string::npos);
    EXPECT_NE(lines.at(0).json.find(R"("type":"early")"), std::string::npos);
    EXPECT_NE(lines.at(1).json.find(R"("id":"1.2-2")"), std::string::npos);
    EXPECT_EQ(text_of(*world, "events.jsonl"), lines.at(0).json + "\n" + lines.at(1).json + "\n");
  });
}

TEST(EventLog, RoutineStaysInTheFileAndMakesNoHole) {
  with_log([](env::SimTestWorld* world, EventLog* log) -> Task<void> {
    log->begin(kSelf);
    log->record(event("a"));
    log->record(event("upload.committed").as_routine());
    log->record(event("b"));
    co_await settle(world);
    const auto lines = log->oldest(1 << 20);
    EXPECT_EQ(lines.size(), 2u);
    EXPECT_NE(lines.at(1).json.find(R"("id":"1.2-2")"), std::string::npos);
    EXPECT_NE(text_of(*world, "events.jsonl").find(R"("id":"1.2/routine-1")"), std::string::npos);
  });
}

TEST(EventLog, MoreThanCanWaitIsAHoleThatIsCounted) {
  with_log([](env::SimTestWorld* world, EventLog* log) -> Task<void> {
    log->begin(kSelf);
    for (int i = 0; i < 5000; ++i) log->record(event("a"));
    co_await settle(world);
    const EventLog::Figures full = log->figures();
    EXPECT_EQ(full.recorded, 5000u);
    EXPECT_EQ(full.waiting + full.lost, 5000u);
    EXPECT_GT(full.lost, 0u);
    log->drop_oldest(full.waiting, true);
    log->record(event("b"));
    co_await settle(world);
    EXPECT_EQ(log->oldest(1 << 20).size(), 1u);
    EXPECT_NE(log->oldest(1 << 20).at(0).json.find(R"("id":"1.2-5001")"), std::string::npos);
    EXPECT_EQ(log->figures().written, full.waiting);
  });
}

TEST(EventLog, TheTimeIsThatOfWhatHappened) {
  with_log([](env::SimTestWorld* world, EventLog* log) -> Task<void> {
    log->begin(kSelf);
    const env::Instant then = world->shard(0).now();
    const int64_t wall = world->shard(0).wall_ms();
    co_await env::sleep_for(world->shard(0), std::chrono::seconds(3));
    log->record(event("a").at(then).took(std::chrono::milliseconds(2)));
    co_await settle(world);
    EXPECT_EQ(log->oldest(1).at(0).at_ms, wall);
    EXPECT_NE(
        log->oldest(1).at(0).json.find(fmt::format("\"t_mono_ns\":{},", then.since_start.count())),
        std::string::npos);
    EXPECT_EQ(log->phases().at("a").sum_us.load(), 2000u);
  });
}

TEST(EventLog, TheFileIsBounded) {
  with_log([](env::SimTestWorld* world, EventLog* log) -> Task<void> {
    log->begin(kSelf);
    for (int i = 0; i < 30; ++i) {
      for (int j = 0; j < 100; ++j)
        log->record(event("a").as_routine().with("words", std::string(3000, 'x')));
      co_await settle(world);
    }
    EXPECT_GT(text_of(*world, "events.old.jsonl").size(), 4u << 20);
    EXPECT_LT(text_of(*world, "events.jsonl").size(), 6u << 20);
    EXPECT_TRUE(log->empty());
  });
}

}  // namespace
}  // namespace paceline::server
