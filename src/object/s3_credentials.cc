#include "object/s3_credentials.h"

#include <algorithm>

#include "base/log.h"

namespace paceline::object {
namespace {

using namespace std::chrono_literals;

constexpr auto kRetryMin = 1s;
constexpr auto kRetryMax = 60s;
constexpr auto kRefusedAgain = 1s;  // the least between two renewals that the store has caused

}  // namespace

void CredentialsHolder::start() {
  home_.spawn(keep(shared_from_this()));
}

void CredentialsHolder::stop() {
  stopped_ = true;
  home_.post([self = shared_from_this()] { self->asked_.notify_all(); });
}

void CredentialsHolder::renew(CredentialsPtr seen) {
  if (!seen->renewable || stopped_) return;
  home_.post([self = shared_from_this(), seen = std::move(seen)] {
    // Many requests were refused at once, and the first has brought new ones already.
    if (self->current_.load() != seen) return;
    self->renew_now_ = true;
    self->asked_.notify_all();
  });
}

// A quarter of their life, at most ten minutes, before they end: long enough to try often. Not
// at the same time on every broker.
env::Instant CredentialsHolder::next_renewal() const {
  const CredentialsPtr held = current_.load();
  if (held->expires_ms == 0 || !held->renewable) return env::Instant::never();
  const env::Duration left = std::chrono::milliseconds(held->expires_ms - home_.wall_ms());
  const env::Duration ahead = std::clamp<env::Duration>(left / 4, 0s, 10min);
  const auto jitter = env::Duration(
      static_cast<int64_t>(home_.random() % static_cast<uint64_t>(ahead.count() / 4 + 1)));
  return home_.now() + std::max<env::Duration>(left - ahead - jitter, kRetryMin);
}

Task<void> CredentialsHolder::keep(std::shared_ptr<CredentialsHolder> self) {
  env::Shard& shard = self->home_;
  env::Instant next = self->next_renewal();
  env::Duration pause = kRetryMin;
  while (!self->stopped_) {
    while (!self->stopped_ && !self->renew_now_ && shard.now() < next)
      co_await self->asked_.wait_until(next);
    if (self->stopped_) co_return;
    self->renew_now_ = false;
    auto renewed = co_await self->source_(shard);
    if (renewed) {
      self->current_ = std::make_shared<const Credentials>(std::move(*renewed));
      next = self->next_renewal();
      pause = kRetryMin;
    } else {
      // Those in force are used on: the store says when they are no good any more.
      log_error("the credentials from {} cannot be renewed: {}", self->current_.load()->source,
                renewed.error().message);
      next = shard.now() + pause;
      pause = std::min<env::Duration>(pause * 2, kRetryMax);
    }
    co_await env::sleep_for(shard, kRefusedAgain);
  }
}

}  // namespace paceline::object
