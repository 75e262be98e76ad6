#pragma once

#include <functional>
#include <list>
#include <memory>

#include "env/shard.h"
#include "partition/partition.h"

namespace paceline::partition {

// Who wants to hear of changes. A notice is posted, and one is under way at most for each.
class Subscribers {
 public:
  explicit Subscribers(env::Shard& shard) : shard_(shard), list_(std::make_shared<List>()) {}

  std::unique_ptr<Partition::Subscription> add(std::function<void()> changed);
  void notify();

 private:
  struct One {
    std::function<void()> changed;
    bool listening = true;
    bool pending = false;
  };
  // Shared with the subscriptions, which may outlive the partition.
  using List = std::list<std::shared_ptr<One>>;
  class Listed;

  env::Shard& shard_;
  std::shared_ptr<List> list_;
};

}  // namespace paceline::partition
