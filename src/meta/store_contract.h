#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "meta/limits.h"
#include "meta/store.h"

// What every metadata store promises, whatever is behind it. A store's test gives a factory of
// worlds and instantiates StoreContract with it.

namespace paceline::meta {

// A store and two shards to call it from.
class StoreWorld {
 public:
  virtual ~StoreWorld() = default;
  virtual env::Shard& shard(size_t index) = 0;
  virtual Store& store() = 0;
  virtual void reopen() = 0;  // closes the store and opens it again
  // Runs a task on a shard to its end.
  virtual void run(size_t shard, Task<void> task) = 0;

  template <class T>
  T wait(Task<T> task, size_t on_shard = 0) {
    std::optional<T> value;
    run(on_shard, store_value(std::move(task), &value));
    return std::move(*value);
  }
  // Short forms for shard 0.
  Result<Revision> commit(Transaction transaction) {
    return wait(store().commit(shard(0), std::move(transaction)));
  }
  Revision put(std::string key, std::string value) {
    auto done = commit(Transaction{}.put(std::move(key), std::move(value)));
    EXPECT_TRUE(done) << done.error().to_string();
    return done ? *done : Revision{};
  }
  std::optional<Entry> get(std::string key) {
    auto entry = wait(store().get(shard(0), std::move(key)));
    EXPECT_TRUE(entry) << entry.error().to_string();
    return entry ? *entry : std::nullopt;
  }

 private:
  template <class T>
  static Task<void> store_value(Task<T> task, std::optional<T>* into) {
    into->emplace(co_await std::move(task));
  }
};

using WorldFactory = std::function<std::unique_ptr<StoreWorld>()>;
struct StoreParam {
  std::string name;
  WorldFactory make;
};

inline void PrintTo(const StoreParam& param, std::ostream* out) {
  *out << param.name;
}

class StoreContract : public testing::TestWithParam<StoreParam> {
 protected:
  void SetUp() override { world_ = GetParam().make(); }
  StoreWorld& world() { return *world_; }

  // A watch lives and dies on its shard.
  std::unique_ptr<Watch> watch(std::string prefix, Revision after, size_t shard = 0) {
    auto make = [](Store& store, env::Shard& on, std::string p,
                   Revision r) -> Task<Result<std::unique_ptr<Watch>>> {
      co_return store.watch(on, p, r);
    };
    auto made =
        world().wait(make(world().store(), world().shard(shard), std::move(prefix), after), shard);
    EXPECT_TRUE(made);
    return std::move(*made);
  }
  void drop(std::unique_ptr<Watch> watch, size_t shard = 0) {
    auto end = [](std::unique_ptr<Watch> ended) -> Task<void> {
      ended.reset();
      co_return;
    };
    world().run(shard, end(std::move(watch)));
  }
  Lease grant(int ttl_seconds) {
    auto lease =
        world().wait(world().store().grant(world().shard(0), std::chrono::seconds(ttl_seconds)));
    EXPECT_TRUE(lease) << lease.error().to_string();
    return lease ? *lease : Lease{};
  }
  Result<void> keep_alive(LeaseId lease) {
    return world().wait(world().store().keep_alive(world().shard(0), lease));
  }
  Result<void> revoke(LeaseId lease) {
    return world().wait(world().store().revoke(world().shard(0), lease));
  }
  void pass(env::Duration time) {
    auto sleep = [](env::Shard& on, env::Duration so_long) -> Task<void> {
      co_await env::sleep_for(on, so_long);
    };
    world().run(0, sleep(world().shard(0), time));
  }
  // At least `count` changes, unless the watch fails.
  std::vector<Change> next(Watch& watch, size_t count, size_t shard = 0) {
    std::vector<Change> all;
    while (all.size() < count) {
      auto changes = world().wait(watch.next(), shard);
      EXPECT_TRUE(changes) << changes.error().to_string();
      if (!changes) break;
      for (Change& change : *changes) all.push_back(std::move(change));
    }
    return all;
  }

 private:
  std::unique_ptr<StoreWorld> world_;
};

}  // namespace paceline::meta
