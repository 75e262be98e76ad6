#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "env/sync.h"

namespace paceline::wal {

// Tasks of one kind that run side by side. Whoever needs no more of them drops it: what still runs
// ends by itself.
template <class T>
class SideBySide {
 public:
  explicit SideBySide(env::Shard& shard) : shard_(shard) {}

  void start(Task<T> task) {
    auto run = [](std::shared_ptr<One> into, Task<T> inner) -> Task<void> {
      auto value = co_await std::move(inner);
      into->value.emplace(std::move(value));
      into->done.notify_all();
    };
    all_.push_back(std::make_shared<One>(shard_));
    shard_.spawn(run(all_.back(), std::move(task)));
  }
  size_t count() const { return all_.size(); }
  // What the `index`-th came to; asked once.
  Task<T> value(size_t index) {
    const std::shared_ptr<One> one = all_[index];
    while (!one->value) co_await one->done.wait();
    co_return std::move(*one->value);
  }

 private:
  struct One {
    explicit One(env::Shard& shard) : done(shard) {}
    std::optional<T> value;
    env::Event done;
  };
  env::Shard& shard_;
  std::vector<std::shared_ptr<One>> all_;
};

}  // namespace paceline::wal
