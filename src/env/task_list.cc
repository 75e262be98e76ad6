#include "env/task_list.h"

#include <exception>
#include <utility>

namespace paceline::env {

struct TaskList::Root {
  struct promise_type : Node, task_internal::FrameMemory {
    promise_type(TaskList& owner, Task<void>&) : Node(owner) {
      handle = std::coroutine_handle<promise_type>::from_promise(*this);
    }
    Root get_return_object() { return Root{handle}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }  // the frame destroys itself
    void return_void() noexcept {}
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
  };
  std::coroutine_handle<> start;
};

TaskList::Node::~Node() {
  if (previous) previous->next = next;
  if (next) {
    next->previous = previous;
  } else {
    list.last_ = previous;
  }
}

TaskList::Root TaskList::run(TaskList&, Task<void> task) {
  co_await std::move(task);
}

std::coroutine_handle<> TaskList::add(Task<void> task) {
  return run(*this, std::move(task)).start;
}

void TaskList::destroy_all() {
  while (last_) last_->handle.destroy();
}

}  // namespace paceline::env
