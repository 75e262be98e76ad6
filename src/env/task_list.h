#pragma once

#include <coroutine>

#include "env/task.h"

namespace paceline::env {

// The spawned tasks of one shard. A frame leaves the list when it ends, or when the list destroys
// what is left, newest first: what a task spawned goes before the task itself.
class TaskList {
 public:
  TaskList() = default;
  TaskList(const TaskList&) = delete;
  TaskList& operator=(const TaskList&) = delete;
  ~TaskList() { destroy_all(); }

  // Takes `task` over; resuming what is returned starts it.
  std::coroutine_handle<> add(Task<void> task);
  void destroy_all();
  bool empty() const { return last_ == nullptr; }

 private:
  struct Root;
  struct Node {
    explicit Node(TaskList& owner) : list(owner), previous(owner.last_) {
      if (previous) previous->next = this;
      list.last_ = this;
    }
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
    ~Node();
    TaskList& list;
    Node* previous;
    Node* next = nullptr;
    std::coroutine_handle<> handle;
  };
  static Root run(TaskList& list, Task<void> task);

  Node* last_ = nullptr;
};

}  // namespace paceline::env
