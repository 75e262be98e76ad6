#include "env/budget.h"

#include <algorithm>
#include <vector>

namespace paceline::env {

struct Budget::Awaiter {
  Budget& budget;
  Shard& shard;
  uint64_t bytes;
  std::coroutine_handle<> handle{};
  bool queued = false;
  bool granted = false;  // bytes are counted in held_, and no Permit has them yet

  Awaiter(Budget& b, Shard& s, uint64_t n) : budget(b), shard(s), bytes(n) {}
  Awaiter(const Awaiter&) = delete;
  Awaiter& operator=(const Awaiter&) = delete;
  ~Awaiter() {
    bool give_back = false;
    {
      std::lock_guard lock(budget.mutex_);
      if (queued) std::erase(budget.waiters_, this);
      give_back = granted;
    }
    // Zero bytes still matter: the head of the queue may have been the one that left.
    if (give_back || queued) budget.give_back(give_back ? bytes : 0);
  }

  bool await_ready() noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> self) {
    std::lock_guard lock(budget.mutex_);
    if (budget.waiters_.empty() && budget.fits(bytes)) {
      budget.held_ += bytes;
      granted = true;
      return false;
    }
    handle = self;
    queued = true;
    budget.waiters_.push_back(this);
    return true;
  }
  Permit await_resume() {
    std::lock_guard lock(budget.mutex_);
    granted = false;
    return Permit(budget, bytes);
  }
};

void Budget::Permit::release() {
  if (Budget* budget = std::exchange(budget_, nullptr)) budget->give_back(std::exchange(bytes_, 0));
}

std::optional<Budget::Permit> Budget::try_acquire(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  if (!waiters_.empty() || !fits(bytes)) return std::nullopt;
  held_ += bytes;
  return Permit(*this, bytes);
}

Task<Budget::Permit> Budget::acquire(Shard& shard, uint64_t bytes) {
  co_return co_await Awaiter(*this, shard, bytes);
}

uint64_t Budget::bytes_held() const {
  std::lock_guard lock(mutex_);
  return held_;
}

void Budget::give_back(uint64_t bytes) {
  std::vector<std::pair<Shard*, std::coroutine_handle<>>> woken;
  {
    std::lock_guard lock(mutex_);
    CHECK(held_ >= bytes);
    held_ -= bytes;
    while (!waiters_.empty() && fits(waiters_.front()->bytes)) {
      Awaiter& waiter = *waiters_.front();
      waiters_.pop_front();
      held_ += waiter.bytes;
      waiter.queued = false;
      waiter.granted = true;
      woken.emplace_back(&waiter.shard, waiter.handle);
    }
  }
  for (auto& [shard, handle] : woken) shard->post([handle] { handle.resume(); });
}

}  // namespace paceline::env
