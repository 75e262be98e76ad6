#include "partition/subscribers.h"

namespace paceline::partition {

class Subscribers::Listed final : public Partition::Subscription {
 public:
  Listed(std::shared_ptr<List> list, List::iterator at) : list_(std::move(list)), at_(at) {}
  Listed(const Listed&) = delete;
  Listed& operator=(const Listed&) = delete;
  ~Listed() override {
    (*at_)->listening = false;
    list_->erase(at_);
  }

 private:
  std::shared_ptr<List> list_;
  List::iterator at_;
};

std::unique_ptr<Partition::Subscription> Subscribers::add(std::function<void()> changed) {
  auto one = std::make_shared<One>();
  one->changed = std::move(changed);
  list_->push_back(std::move(one));
  return std::make_unique<Listed>(list_, std::prev(list_->end()));
}

void Subscribers::notify() {
  for (const std::shared_ptr<One>& one : *list_) {
    if (one->pending) continue;
    one->pending = true;
    shard_.post([held = one] {
      held->pending = false;
      if (held->listening) held->changed();
    });
  }
}

}  // namespace paceline::partition
