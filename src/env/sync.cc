#include "env/sync.h"

namespace paceline::env {

Event::Waiter::~Waiter() {
  if (queued) event->unlink(*this);
}

struct Event::Awaiter {
  Event& event;
  Instant deadline;
  Waiter waiter{};

  bool await_ready() noexcept { return false; }
  void await_suspend(std::coroutine_handle<> self) {
    waiter.event = &event;
    waiter.handle = self;
    waiter.previous = event.last_;
    (event.last_ ? event.last_->next : event.first_) = &waiter;
    event.last_ = &waiter;
    waiter.queued = true;
    if (deadline == Instant::never()) return;
    waiter.timed = true;
    waiter.timer = event.shard_.run_at(deadline, [this] {
      waiter.timed = false;
      waiter.event->unlink(waiter);
      waiter.handle.resume();
    });
  }
  bool await_resume() noexcept { return waiter.notified; }
};

void Event::unlink(Waiter& waiter) {
  (waiter.previous ? waiter.previous->next : first_) = waiter.next;
  (waiter.next ? waiter.next->previous : last_) = waiter.previous;
  waiter.queued = false;
  if (waiter.timed) {
    waiter.timed = false;
    shard_.cancel_timer(waiter.timer);
  }
}

void Event::notify_all() {
  while (first_) {
    Waiter& waiter = *first_;
    unlink(waiter);
    waiter.notified = true;
    shard_.post([&waiter] { waiter.handle.resume(); });
  }
}

Task<bool> Event::wait_until(Instant deadline) {
  co_return co_await Awaiter{*this, deadline};
}

Task<void> Event::wait() {
  co_await Awaiter{*this, Instant::never()};
}

}  // namespace paceline::env
