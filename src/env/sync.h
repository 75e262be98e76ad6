#pragma once

#include <deque>
#include <optional>
#include <utility>

#include "env/shard.h"

// What tasks of one shard wait on. Waking never runs the waiter in place: it is posted, so the
// waker's own state is settled first.

namespace paceline::env {

// A condition that many tasks wait for. A waiter may give up at a deadline.
class Event {
 public:
  explicit Event(Shard& shard) : shard_(shard) {}
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { notify_all(); }

  // Returns true when notified, false when the deadline passed first.
  Task<bool> wait_until(Instant deadline);
  Task<void> wait();
  void notify_all();
  bool has_waiters() const { return first_ != nullptr; }

 private:
  // Lives in the waiting frame; unlinked by whoever comes first, notice or deadline or the end of
  // the frame.
  struct Waiter {
    Event* event = nullptr;
    Waiter* previous = nullptr;
    Waiter* next = nullptr;
    std::coroutine_handle<> handle;
    Shard::TimerId timer = 0;
    bool timed = false;
    bool notified = false;
    bool queued = false;
    ~Waiter();
  };
  struct Awaiter;
  void unlink(Waiter& waiter);

  Shard& shard_;
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

// A queue with one consumer. close() lets the consumer drain what is there, then end.
template <class T>
class Mailbox {
 public:
  explicit Mailbox(Shard& shard) : event_(shard) {}

  void put(T item) {
    items_.push_back(std::move(item));
    event_.notify_all();
  }
  // The next item; nothing once closed and empty.
  Task<std::optional<T>> next() {
    while (items_.empty() && !closed_) co_await event_.wait();
    if (items_.empty()) co_return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    co_return item;
  }
  std::optional<T> try_next() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    return item;
  }
  void close() {
    closed_ = true;
    event_.notify_all();
  }
  bool closed() const { return closed_; }
  size_t size() const { return items_.size(); }

 private:
  std::deque<T> items_;
  bool closed_ = false;
  Event event_;
};

// Counts running tasks, so that an owner can wait for all of them before it goes.
class Gate {
 public:
  explicit Gate(Shard& shard) : event_(shard) {}

  class Pass {
   public:
    Pass() = default;
    explicit Pass(Gate& gate) : gate_(&gate) { ++gate.inside_; }
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&& other) noexcept {
      std::swap(gate_, other.gate_);
      return *this;
    }
    ~Pass() {
      if (gate_ && --gate_->inside_ == 0) gate_->event_.notify_all();
    }

   private:
    Gate* gate_ = nullptr;
  };
  Pass enter() { return Pass(*this); }
  size_t inside() const { return inside_; }
  Task<void> wait_empty() {
    while (inside_ > 0) co_await event_.wait();
  }

 private:
  friend class Pass;
  size_t inside_ = 0;
  Event event_;
};

}  // namespace paceline::env
