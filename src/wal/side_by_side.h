#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/result.h"
#include "env/sync.h"

namespace paceline::wal {

// What a request to the store came to by its deadline.
template <class T>
struct Answer {
  std::optional<Result<T>> result;  // nothing: no answer yet
  bool late = false;                // it came behind the deadline, or never: not to be relied on
};

// Makes a request with a deadline by the monotonic clock, which counts suspended time. One without
// an answer by then goes on by itself and is heard no more; the store's own deadline ends it.
template <class T>
Task<Answer<T>> ask(env::Shard& shard, env::Instant deadline, Task<Result<T>> request) {
  struct State {
    explicit State(env::Shard& home) : answered(home) {}
    env::Event answered;
    std::optional<Result<T>> result;
  };
  auto state = std::make_shared<State>(shard);
  auto run = [](std::shared_ptr<State> to, Task<Result<T>> task) -> Task<void> {
    auto result = co_await std::move(task);
    to->result.emplace(std::move(result));
    to->answered.notify_all();
  };
  shard.spawn(run(state, std::move(request)));
  while (!state->result && shard.now() < deadline) co_await state->answered.wait_until(deadline);
  Answer<T> answer;
  answer.result = std::move(state->result);
  answer.late = !answer.result || shard.now() > deadline;
  co_return answer;
}

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
