#include "env/commits_first.h"

namespace paceline::env {

void CommitsFirst::give_way() {
  std::unique_lock lock(mutex_);
  if (in_flight_ == 0) return;
  ++waiting_;
  synced_.wait_for(lock, wait_max_, [this, seen = syncs_] { return syncs_ != seen; });
  --waiting_;
}

unsigned CommitsFirst::waiting() const {
  std::lock_guard lock(mutex_);
  return waiting_;
}

void CommitsFirst::begin() {
  std::lock_guard lock(mutex_);
  ++in_flight_;
}

void CommitsFirst::end(bool sync) {
  std::unique_lock lock(mutex_);
  --in_flight_;
  if (!sync) return;
  ++syncs_;
  if (waiting_ == 0) return;
  lock.unlock();
  synced_.notify_all();
}

}  // namespace paceline::env
