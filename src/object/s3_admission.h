#pragma once

#include <deque>
#include <memory>

#include "env/sync.h"
#include "object/s3_pace.h"

namespace paceline::object {

// Requests wait here, in order of arrival, while as many as the store can take are in flight. Of
// one shard.
class Admission {
 public:
  Admission(env::Shard& shard, Concurrency limit) : shard_(shard), limit_(limit) {}
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  // Held while a request is in flight. It must go before the admission does.
  class Pass {
   public:
    explicit Pass(Admission& of) : of_(&of) {}
    Pass(Pass&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (of_) of_->leave();
    }

   private:
    Admission* of_;
  };
  // Nothing if it is not our turn by the deadline.
  Task<std::optional<Pass>> enter(env::Instant deadline);

  Concurrency& limit() { return limit_; }
  size_t inside() const { return inside_; }
  size_t waiting() const { return waiters_.size(); }

 private:
  struct Waiter {
    explicit Waiter(env::Shard& shard) : turn(shard) {}
    env::Event turn;
    bool admitted = false;
  };
  void leave();
  void admit();

  env::Shard& shard_;
  Concurrency limit_;
  size_t inside_ = 0;
  std::deque<std::shared_ptr<Waiter>> waiters_;
};

}  // namespace paceline::object
