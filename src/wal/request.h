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

// Runs all tasks side by side and returns their values in their order.
template <class T>
Task<std::vector<T>> all_of(env::Shard& shard, std::vector<Task<T>> tasks) {
  struct State {
    State(env::Shard& home, size_t count) : values(count), left(count), done(home) {}
    std::vector<std::optional<T>> values;
    size_t left;
    env::Event done;
  };
  auto state = std::make_shared<State>(shard, tasks.size());
  auto run = [](std::shared_ptr<State> to, size_t index, Task<T> task) -> Task<void> {
    auto value = co_await std::move(task);
    to->values[index].emplace(std::move(value));
    if (--to->left == 0) to->done.notify_all();
  };
  for (size_t i = 0; i < tasks.size(); ++i) shard.spawn(run(state, i, std::move(tasks[i])));
  while (state->left > 0) co_await state->done.wait();
  std::vector<T> values;
  values.reserve(state->values.size());
  for (auto& value : state->values) values.push_back(std::move(*value));
  co_return values;
}

}  // namespace paceline::wal
