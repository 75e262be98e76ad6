#include "stream/loading_cache.h"

#include <gtest/gtest.h>

#include <map>

#include "stream/test_world.h"

namespace paceline::stream {
namespace {

struct Key {
  int number = 0;
  bool operator==(const Key&) const = default;
  size_t hash() const { return std::hash<int>{}(number); }
};
struct Value {
  int number = 0;
  uint64_t bytes = 10;
  mutable bool waited_for = false;  // by a reader that has not come yet
  uint64_t memory_bytes() const { return bytes; }
  bool in_use = false;
  bool spare_once() const { return std::exchange(waited_for, false); }
  bool unfinished() const { return in_use; }
};

class Cache {
 public:
  TestWorld world{1, 1};
  std::atomic<uint64_t> bytes{0};
  std::map<int, int> loads;
  LoadingCache<Key, Value> cache{world.shard(0), 200, bytes};

  bool waited_for = false;  // what is loaded from now on
  bool in_use = false;      // likewise

  void read(int number, uint64_t size = 10) {
    auto getting = [](Cache& self, int wanted, uint64_t of) -> Task<bool> {
      auto load = [&self, wanted, of]() -> Task<Result<Value>> {
        ++self.loads[wanted];
        co_await some_time(self.world.shard(0));
        co_return Value{wanted, of, self.waited_for, self.in_use};
      };
      auto got = co_await self.cache.get(Key{wanted}, load);
      co_return got && (*got)->number == wanted;
    };
    EXPECT_TRUE(world.wait(0, getting(*this, number, size)));
  }
};

// Several readers use ten values again and again; one reads a thousand others once.
TEST(LoadingCache, AScanFlushesNothingThatIsUsedAgain) {
  Cache cache;
  for (int number = 0; number < 10; ++number) cache.read(number);
  for (int number = 100; number < 120; ++number) cache.read(number);  // they pass once
  for (int number = 0; number < 10; ++number) cache.read(number);     // and come back
  cache.loads.clear();
  for (int scanned = 1000; scanned < 2000; ++scanned) {
    cache.read(scanned);
    if (scanned % 20 == 0)
      for (int number = 0; number < 10; ++number) cache.read(number);
  }
  for (int number = 0; number < 10; ++number) EXPECT_EQ(cache.loads[number], 0) << number;
  EXPECT_LE(cache.bytes, 200u);
}

// All that is kept is waited for, and the one that comes in for the second time is the newest: it
// must neither go nor stand in the way.
TEST(LoadingCache, WhatIsSparedGivesWayAtItsSecondTurn) {
  Cache cache;
  for (int number = 1; number <= 4; ++number) cache.read(number, 90);
  cache.waited_for = true;
  for (int number = 1; number <= 3; ++number) cache.read(number, 90);
  cache.loads.clear();
  cache.read(3, 90);
  EXPECT_EQ(cache.loads[3], 0) << "the newest is here";
  EXPECT_LE(cache.bytes, 200u);
}

// A reader takes a block in many bites: that is no reuse.
TEST(LoadingCache, ReadingOneValueManyTimesInARowDoesNotKeepIt) {
  Cache cache;
  for (int number = 0; number < 10; ++number) cache.read(number);
  for (int number = 100; number < 120; ++number) cache.read(number);
  for (int number = 0; number < 10; ++number) cache.read(number);
  cache.loads.clear();
  for (int scanned = 1000; scanned < 1500; ++scanned)
    for (int bite = 0; bite < 8; ++bite) cache.read(scanned);
  for (int number = 0; number < 10; ++number) cache.read(number);
  for (int number = 0; number < 10; ++number) EXPECT_EQ(cache.loads[number], 0) << number;
  for (int scanned = 1000; scanned < 1500; ++scanned) EXPECT_EQ(cache.loads[scanned], 1);
}

TEST(LoadingCache, WhatIsUsedNoLongerMakesRoom) {
  Cache cache;
  for (int round = 0; round < 6; ++round)
    for (int number = 0; number < 15; ++number) cache.read(round % 2 ? number : number + 200);
  // Another set of values is used from now on.
  for (int round = 0; round < 6; ++round)
    for (int number = 0; number < 12; ++number) cache.read(500 + number);
  cache.loads.clear();
  for (int round = 0; round < 3; ++round)
    for (int number = 0; number < 12; ++number) cache.read(500 + number);
  int loads = 0;
  for (const auto& [number, count] : cache.loads) loads += count;
  EXPECT_LE(loads, 12);
}

TEST(LoadingCache, TheBudgetHoldsAndTheNewestStaysWhateverItsSize) {
  Cache cache;
  for (int number = 0; number < 300; ++number)
    cache.read(number % 37, 1 + static_cast<uint64_t>(number * 7 % 60));
  EXPECT_LE(cache.bytes, 200u);
  cache.read(1000, 5000);
  EXPECT_TRUE(cache.cache.holds(Key{1000}));
  EXPECT_EQ(cache.bytes, 5000u);
  cache.read(1, 10);
  EXPECT_LE(cache.bytes, 200u);
}

TEST(LoadingCache, ConcurrentMissesLoadOnce) {
  Cache cache;
  int done = 0;
  auto getting = [](Cache& self, int& ended) -> Task<void> {
    auto load = [&self]() -> Task<Result<Value>> {
      ++self.loads[1];
      co_await some_time(self.world.shard(0));
      co_return Value{1};
    };
    auto got = co_await self.cache.get(Key{1}, load);
    EXPECT_TRUE(got.has_value());
    ++ended;
  };
  for (int i = 0; i < 20; ++i) cache.world.shard(0).spawn(getting(cache, done));
  ASSERT_TRUE(cache.world.run_until([&] { return done == 20; }));
  EXPECT_EQ(cache.loads[1], 1);
}

TEST(LoadingCache, WhatWentBeforeItsReaderWasDoneWithItIsNotKeptWhenItComesAgain) {
  Cache cache;
  cache.in_use = true;
  for (int round = 0; round < 3; ++round)
    for (int number = 0; number < 30; ++number) cache.read(number);
  EXPECT_EQ(cache.cache.room_for_fresh(), 200u);
  cache.in_use = false;
  for (int round = 0; round < 3; ++round)
    for (int number = 100; number < 130; ++number) cache.read(number);
  EXPECT_LT(cache.cache.room_for_fresh(), 200u) << "this is reuse";
}

}  // namespace
}  // namespace paceline::stream
