#include "broker/relay.h"

namespace paceline::broker {

Task<bool> Relay::Place::wait_turn(env::Instant deadline) {
#ifdef PACELINE_PLANT_relay_overtakes
  co_return true;
#endif
  while (relay_->left_ || *relay_->unsent_.begin() != number_)
    if (!co_await relay_->changed_.wait_until(deadline)) co_return false;
  co_return true;
}

// What is on its way to the target before may come back: nothing behind it goes first.
bool Relay::retarget(Target later) {
  if (later.epoch <= target_.epoch) return false;
  target_ = later;
  left_ = false;
  unsent_ = all_;
  changed_.notify_all();
  notify();
  return true;
}

}  // namespace paceline::broker
