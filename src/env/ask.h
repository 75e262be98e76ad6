#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "base/result.h"
#include "env/sync.h"

namespace paceline::env {

// What a request came to by its deadline.
template <class T>
struct Answer {
  std::optional<Result<T>> result;  // nothing: no answer yet
  bool late = false;                // it came behind the deadline, or never: not to be relied on
};

// Makes a request with a deadline by the monotonic clock, which counts suspended time. One without
// an answer by then goes on by itself and is heard no more; its own deadline ends it.
template <class T>
Task<Answer<T>> ask(Shard& shard, Instant deadline, Task<Result<T>> request) {
  struct State {
    explicit State(Shard& home) : answered(home) {}
    Event answered;
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

}  // namespace paceline::env
