#include "object/s3_admission.h"

#include <algorithm>

namespace paceline::object {

Task<std::optional<Admission::Pass>> Admission::enter(env::Instant deadline) {
  if (waiters_.empty() && inside_ < limit_.limit()) {
    ++inside_;
    co_return std::optional<Pass>(std::in_place, *this);
  }
  const auto waiter = std::make_shared<Waiter>(shard_);
  waiters_.push_back(waiter);
  // A frame that goes while it waits leaves the queue, and gives back a turn it never used.
  struct Guard {
    Admission* of;
    const std::shared_ptr<Waiter>& waiter;
    bool used = false;
    ~Guard() {
      if (used) return;
      std::erase(of->waiters_, waiter);
      if (waiter->admitted) of->leave();
    }
  } guard{this, waiter};
  while (!waiter->admitted && shard_.now() < deadline) co_await waiter->turn.wait_until(deadline);
  if (!waiter->admitted) co_return std::nullopt;
  guard.used = true;
  co_return std::optional<Pass>(std::in_place, *this);
}

void Admission::leave() {
  --inside_;
  admit();
}

void Admission::admit() {
  while (!waiters_.empty() && inside_ < limit_.limit()) {
    ++inside_;
    waiters_.front()->admitted = true;
    waiters_.front()->turn.notify_all();
    waiters_.pop_front();
  }
}

}  // namespace paceline::object
