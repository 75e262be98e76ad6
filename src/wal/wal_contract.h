#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "wal/wal.h"

// What every write-ahead log promises, whatever it stands on. A log's test gives a factory of
// worlds and instantiates WalContract with it.

namespace paceline::wal {

// A log and three shards to call it from.
class WalWorld {
 public:
  virtual ~WalWorld() = default;
  virtual env::Shard& shard(size_t index) = 0;
  virtual Wal& wal() = 0;
  virtual void run(size_t shard, Task<void> task) = 0;  // to its end
  virtual void settle() = 0;                            // until nothing moves any more

  template <class T>
  T wait(size_t on, Task<T> task) {
    std::optional<T> value;
    auto body = [](Task<T> inner, std::optional<T>& out) -> Task<void> {
      out.emplace(co_await std::move(inner));
    };
    run(on, body(std::move(task), value));
    return std::move(*value);
  }
};

struct WalParam {
  std::string name;
  std::unique_ptr<WalWorld> (*make)();
};
inline void PrintTo(const WalParam& param, std::ostream* out) {
  *out << param.name;
}

class WalContract : public testing::TestWithParam<WalParam> {
 protected:
  static constexpr Lane kLane{BrokerId(3), Incarnation(7)};
  static constexpr StreamId kStream{Uuid{{9}}, 4};

  void SetUp() override {
    world = GetParam().make();
    auto made = world->wait(0, world->wal().create(world->shard(0), kLane));
    ASSERT_TRUE(made) << made.error().to_string();
    writer = std::move(*made);
  }
  static Entry batch(int64_t base, uint32_t count, size_t bytes, Epoch epoch = Epoch(1),
                     StreamId stream = kStream) {
    Entry entry;
    entry.header = {.stream = stream, .epoch = epoch, .base = Offset(base), .count = count};
    entry.payload =
        Slice::copy_of(as_bytes(std::string(bytes, static_cast<char>('a' + base % 26))));
    return entry;
  }
  Result<Written> append(std::vector<Entry> entries, size_t on = 0) {
    return world->wait(on, writer->append(world->shard(on), std::move(entries)));
  }
  Result<Written> append_one(Entry entry, size_t on = 0) {
    return append(std::vector<Entry>(1, std::move(entry)), on);
  }
  Result<Position> seal(Lane lane = kLane, Position trimmed = Position(0)) {
    return world->wait(2, world->wal().seal(world->shard(2), lane, trimmed));
  }
  Result<std::vector<Group>> read(Position from, std::optional<Position> end) {
    auto body = [](Wal& log, env::Shard& shard, Position start,
                   std::optional<Position> known) -> Task<Result<std::vector<Group>>> {
      CO_TRY(auto reader, co_await log.read(shard, kLane, start, known));
      std::vector<Group> groups;
      for (;;) {
        CO_TRY(auto group, co_await reader->next());
        if (!group) co_return groups;
        groups.push_back(std::move(*group));
      }
    };
    return world->wait(2, body(world->wal(), world->shard(2), from, end));
  }

  std::unique_ptr<WalWorld> world;
  std::unique_ptr<Writer> writer;
};

}  // namespace paceline::wal
