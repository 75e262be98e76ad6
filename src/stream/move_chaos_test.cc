#include <gtest/gtest.h>

#include "stream/test_town.h"

// Moves in the middle of everything else, by seeds: appends, trims, uploads, compaction and
// collection, moves that end at any step, deaths, fences, restarts.

namespace paceline::stream {
namespace {

constexpr uint32_t kStreams = 5;

class Chaos {
 public:
  Chaos(uint64_t seed, bool object_wal) : town(seed) {
    if (object_wal) town.use_object_wal();
    town.options.delete_grace_ms = 200;
    town.options.collection_ms = 500;
    town.options.orphan_search_ms = 2000;
    town.options.upload_age_ms = 400;
    town.options.compaction_bytes = seed % 3 == 0 ? 0 : 40'000;
  }
  void begin() {
    for (size_t i = 0; i < Town::kBrokers; ++i) ASSERT_EQ(why(town.start(i)), "");
    for (uint32_t index = 0; index < kStreams; ++index) {
      town.create(index, index % Town::kBrokers);
    }
  }
  size_t below(size_t bound) { return static_cast<size_t>(town.world.random.below(bound)); }
  bool is_open(uint32_t index) {
    const size_t broker = town.leading(index);
    return town.brokers[broker]->storage && town.brokers[broker]->open.contains(index);
  }
  // Each step on brokers that are up; what it does is in `story`.
  void step() {
    const auto index = static_cast<uint32_t>(below(kStreams));
    const size_t broker = below(Town::kBrokers);
    switch (below(12)) {
      case 0:
      case 1:
      case 2:
      case 3:
        tell("append", index, broker);
        return append(index);
      case 4:
        tell("upload", index, broker);
        ASSERT_EQ(why(town.upload(broker)), "");
        return;
      case 5:
        tell("trim", index, broker);
        if (town.acknowledged[index] > 0)
          ASSERT_EQ(why(town.trim(index, static_cast<int64_t>(below(
                                             static_cast<size_t>(town.acknowledged[index] + 1))))),
                    "");
        return;
      case 6:
      case 7:
      case 8:
        tell("move", index, broker);
        return move(index, broker);
      case 9:
        tell("restart", index, broker);
        return restart(broker);
      case 10:
        tell("fail over", index, broker);
        return fail_over(broker);
      default:
        tell("rest", index, broker);
        town.world.run_for(std::chrono::milliseconds(below(2000)));
    }
  }
  void append(uint32_t index) {
    ASSERT_EQ(why(town.append(index, static_cast<int>(1 + below(5)))), "");
  }
  void restart(size_t broker) {
    town.crash(broker);
    ASSERT_EQ(why(town.start(broker)), "");
  }
  void fail_over(size_t broker) {
    town.crash(broker);
    town.fence(broker);
    for (size_t i = 0; i < Town::kBrokers; ++i) {
      if (i == broker) continue;
      if (below(4) == 0) {  // one dies on the way
        ASSERT_EQ(why(town.take_over(i, false)), "");
        if (below(2) == 0) ASSERT_EQ(why(town.upload(i)), "");
        ASSERT_NO_FATAL_FAILURE(restart(i));
      }
      ASSERT_EQ(why(town.take_over(i)), "");
    }
    if (below(2) == 0) town.world.run_for(std::chrono::milliseconds(below(1500)));
    ASSERT_EQ(why(town.start(broker)), "");
  }
  void move(uint32_t index, size_t to) {
    const size_t from = town.leading(index);
    if (from == to) return;
    if (below(2) == 0) ASSERT_EQ(why(town.upload(from)), "");
    auto passport = town.passport(from, index);
    ASSERT_TRUE(passport) << passport.error().to_string();
    if (below(4) == 0) town.world.run_for(std::chrono::milliseconds(below(1500)));
    if (below(8) == 0) return restart(from);
    auto at = town.adopt(to, index, std::move(*passport));
    ASSERT_TRUE(at) << at.error().to_string();
    switch (below(8)) {
      case 0:
        return restart(to);
      case 1:
        return restart(from), town.brokers[to]->storage->forget_adopted(stream_id(index));
      case 2:
        town.brokers[to]->storage->forget_adopted(stream_id(index));
        return;
      case 3:
        town.world.run_for(std::chrono::milliseconds(below(1500)));
        break;
      default:
        break;
    }
    town.meta.lost_answers_percent = below(3) == 0 ? 60 : 0;
    const auto done = town.commit(to, *at, {index});
    town.meta.lost_answers_percent = 0;
    if (!done) {
      ASSERT_EQ(done.error().code, Code::conflict) << done.error().to_string();
      ASSERT_EQ(town.leading(index), from);
      town.brokers[to]->storage->forget_adopted(stream_id(index));
      return;
    }
    ASSERT_EQ(town.leading(index), to);
    switch (below(8)) {
      case 0:
        restart(to);
        break;
      case 1:
        ASSERT_TRUE(town.open(to, index));
        return restart(from);
      default:
        ASSERT_TRUE(town.open(to, index));
    }
    if (below(3) == 0) append(index);
    town.let_go(from, index);
  }
  void tell(const char* what, uint32_t index, size_t broker) {
    story += fmt::format("{} stream {} broker {}\n", what, index, broker);
  }
  void check() {
    Inspected inspected{.shard = &town.shard(0),
                        .meta = &town.meta,
                        .objects = &town.objects,
                        .wal = &town.log(),
                        .broker = {}};
    for (uint32_t index = 0; index < kStreams; ++index)
      inspected.led[stream_id(index)] = Town::id_of(town.leading(index));
    auto report = town.world.wait(0, stream::check(inspected));
    ASSERT_TRUE(report) << report.error().to_string();
    ASSERT_TRUE(report->ok()) << reasons(*report);
    for (const StreamReport& stream : report->streams)
      EXPECT_EQ(stream.end.value, town.acknowledged[stream.id.index]);
  }
  Town town;
  std::string story;
};

void play(uint64_t seed, bool object_wal) {
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Chaos chaos(seed, object_wal);
  chaos.begin();
  for (int i = 0; i < 40; ++i) {
    chaos.step();
    if (testing::Test::HasFatalFailure()) {
      FAIL() << chaos.story;
    }
    ASSERT_EQ(why(chaos.town.verify_all()), "") << chaos.story;
  }
  chaos.town.world.run_for(std::chrono::seconds(5));
  ASSERT_EQ(why(chaos.town.verify_all()), "") << chaos.story;
  chaos.check();
}

TEST(MoveChaos, NothingIsLostOnTheWay) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    play(seed, seed % 2 == 0);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace paceline::stream
