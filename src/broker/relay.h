#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <set>
#include <utility>

#include "base/ids.h"
#include "env/sync.h"

namespace paceline::broker {

// Where requests of one partition go while it moves, and for some time after: to the partition
// here, or to the broker that leads it now. Appends that pass through it are sent in the order in
// which they came, also when they have to be sent again because the partition has moved on. On the
// partition's shard.
class Relay {
 public:
  struct Target {
    Lane lane;
    Epoch epoch;
    bool operator==(const Target&) const = default;
  };
  Relay(env::Shard& shard, Target first)
      : changed_(shard), target_(first), listeners_(std::make_shared<Listeners>()) {}

  // One append on its way through. REQUIRES: gone before the relay; so it holds on to it.
  class Place {
   public:
    explicit Place(std::shared_ptr<Relay> relay)
        : relay_(std::move(relay)), number_(relay_->next_++) {
      relay_->all_.insert(number_);
      relay_->unsent_.insert(number_);
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() {
      relay_->all_.erase(number_);
      relay_->unsent_.erase(number_);
      relay_->changed_.notify_all();
    }

    // Until all before this one have been sent to where it would go now. False: the deadline came.
    Task<bool> wait_turn(env::Instant deadline);
    // It is being sent to target().
    void sent() {
      relay_->unsent_.erase(number_);
      relay_->changed_.notify_all();
    }
    // The target of that epoch did nothing with it, because the partition has left it.
    void came_back(Epoch from) {
      relay_->unsent_.insert(number_);
      if (relay_->target_.epoch == from) relay_->left_ = true;
    }

   private:
    std::shared_ptr<Relay> relay_;
    uint64_t number_;
  };

  const Target& target() const { return target_; }
  // The target is known to have lost it, and nobody knows yet who leads it.
  bool lost() const { return left_; }
  // Who comes next tries the same target: it may have been too early for it.
  void ask_again() {
    left_ = false;
    changed_.notify_all();
  }
  // A later term is known. False: it is none.
  bool retarget(Target later);
  bool empty() const { return all_.empty(); }
  Task<bool> wait_changed(env::Instant deadline) { return changed_.wait_until(deadline); }

  // Who waits for records of a partition that is led elsewhere. `changed` is called in place.
  using Listeners = std::list<std::function<void()>>;
  class Listener {
   public:
    Listener(std::shared_ptr<Listeners> of, Listeners::iterator at) : of_(std::move(of)), at_(at) {}
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener() { of_->erase(at_); }

   private:
    std::shared_ptr<Listeners> of_;
    Listeners::iterator at_;
  };
  Listener listen(std::function<void()> changed) {
    return {listeners_, listeners_->insert(listeners_->end(), std::move(changed))};
  }
  bool has_listeners() const { return !listeners_->empty(); }
  void notify() {
    for (const auto& changed : *listeners_) changed();
  }

  env::Instant until{};  // when it is of no use any more
  bool moving = false;   // a move away is under way here
  bool watched = false;  // somebody asks the leader for changes, for all listeners
  Offset start{-1};      // as the leader told last
  Offset end{-1};

 private:
  env::Event changed_;
  Target target_;
  bool left_ = false;
  uint64_t next_ = 0;
  std::set<uint64_t> all_;     // places taken
  std::set<uint64_t> unsent_;  // of them: not sent to the present target
  std::shared_ptr<Listeners> listeners_;
};

}  // namespace paceline::broker
