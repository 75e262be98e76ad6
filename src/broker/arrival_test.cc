#include "broker/arrival.h"

#include <gtest/gtest.h>

#include "env/test_world.h"

namespace paceline::broker {
namespace {

constexpr env::Instant kBegan{std::chrono::milliseconds(100)};

struct Told {
  std::vector<Event> events;
  size_t count(std::string_view type) const {
    return static_cast<size_t>(std::ranges::count(events, type, &Event::type));
  }
  const Event& one(std::string_view type) const {
    return *std::ranges::find(events, type, &Event::type);
  }
};
int64_t figure(const Event& event, std::string_view name) {
  const auto found = std::ranges::find(event.figures, name, &Event::Figure::name);
  return found == event.figures.end() ? -1 : std::get<int64_t>(found->value);
}
Arrival::Served served(uint32_t index, int after_ms) {
  return {"t", index, Epoch(3), Offset(10), kBegan + std::chrono::milliseconds(after_ms)};
}

struct ArrivalTest : testing::Test {
  env::SimTestWorld world{2};
  Told told;
  Arrival arrival{"1.7", [this](Event event) { told.events.push_back(std::move(event)); }, 2,
                  kBegan};
};

TEST_F(ArrivalTest, AFewAreNamedOneByOne) {
  arrival.note_open(world.shard(0), served(0, 5));
  arrival.note_open(world.shard(1), served(1, 2));
  arrival.note_offline(world.shard(1));
  arrival.tell_all();
  EXPECT_EQ(told.count("leader.moved"), 2u);
  const Event& all = told.one("partition.serving");
  EXPECT_EQ(all.cause, "1.7");
  EXPECT_EQ(figure(all, "partitions"), 2);
  EXPECT_EQ(figure(all, "offline"), 1);
  EXPECT_EQ(figure(all, "first_us"), 2000);
  EXPECT_EQ(figure(all, "last_us"), 5000);
}

TEST_F(ArrivalTest, ThousandsAreOneEvent) {
  for (uint32_t i = 0; i < 3000; ++i) arrival.note_open(world.shard(i % 2), served(i, 1));
  arrival.tell_all();
  EXPECT_EQ(told.events.size(), 1u);
  EXPECT_EQ(figure(told.one("partition.serving"), "partitions"), 3000);
}

TEST_F(ArrivalTest, NothingThatCameIsToldToo) {
  arrival.tell_all();
  EXPECT_EQ(figure(told.one("partition.serving"), "partitions"), 0);
  EXPECT_FALSE(told.one("partition.serving").took_ns);
}

TEST_F(ArrivalTest, OnlyTheFirstClientIsToldOf) {
  EXPECT_TRUE(arrival.is_first());
  arrival.tell_client("fetch", served(4, 9));
  arrival.tell_client("produce", served(5, 9));
  EXPECT_FALSE(arrival.is_first());
  ASSERT_EQ(told.count("partition.first_served"), 1u);
  EXPECT_EQ(told.one("partition.first_served").partition, 4);
  EXPECT_EQ(told.one("partition.first_served").took_ns, 9'000'000);
}

}  // namespace
}  // namespace paceline::broker
