#include "object/s3_pace.h"

#include <algorithm>
#include <bit>

namespace paceline::object {

bool RetryBudget::try_spend() {
  int64_t held = tokens_.load(std::memory_order_relaxed);
  while (held >= kRetryCost)
    if (tokens_.compare_exchange_weak(held, held - kRetryCost, std::memory_order_relaxed))
      return true;
  return false;
}

void RetryBudget::earn() {
  // A few too many when two earn the last one at the same time do no harm.
  if (tokens_.load(std::memory_order_relaxed) < kTokensMax)
    tokens_.fetch_add(1, std::memory_order_relaxed);
}

env::Duration backoff(unsigned retry, env::Duration base, env::Duration max, uint64_t random) {
  const env::Duration bound = std::min(max, base * (int64_t{1} << std::min(retry, 20u)));
  // Never at once: what failed a moment ago still fails.
  const auto floor = base / 4;
  return floor +
         env::Duration(static_cast<int64_t>(
             random % static_cast<uint64_t>(std::max<int64_t>(1, (bound - floor).count()))));
}

void Concurrency::note_success() {
  limit_ = std::min(max_, limit_ + 1.0 / limit_);
}

void Concurrency::note_throttled(env::Instant now, env::Instant asked_at) {
  if (asked_at <= cut_at_) return;  // it had left before the last cut
  cut_at_ = now;
  limit_ = std::max(1.0, limit_ / 2);
}

size_t LatencyWindow::bucket_of(env::Duration latency) {
  const auto us = static_cast<uint64_t>(
      std::max<int64_t>(1, std::chrono::duration_cast<std::chrono::microseconds>(latency).count()));
  const size_t octave = static_cast<size_t>(std::bit_width(us) - 1);
  // The 4 bits below the highest one.
  const size_t within = octave >= 4 ? (us >> (octave - 4)) & (kPerOctave - 1)
                                    : (us << (4 - octave)) & (kPerOctave - 1);
  return std::min(octave * kPerOctave + within, kBuckets - 1);
}

env::Duration LatencyWindow::upper_end(size_t bucket) {
  const size_t octave = bucket / kPerOctave;
  const uint64_t sixteenths = kPerOctave + bucket % kPerOctave + 1;
  const uint64_t us = octave >= 4 ? sixteenths << (octave - 4) : (sixteenths >> (4 - octave)) + 1;
  return std::chrono::microseconds(us);
}

void LatencyWindow::add(env::Instant now, env::Duration latency) {
  if (counted_ == 0) began_ = now;
  if (now - began_ > kWindow) {
    // After a long silence both halves are old.
    const bool both = now - began_ > 2 * kWindow;
    current_ = 1 - current_;
    halves_[current_] = {};
    counts_[current_] = 0;
    if (both) {
      halves_[1 - current_] = {};
      counts_[1 - current_] = 0;
    }
    began_ = now;
  }
  ++halves_[current_][bucket_of(latency)];
  ++counts_[current_];
  counted_ = counts_[0] + counts_[1];
}

env::Duration LatencyWindow::quantile(double share) const {
  if (counted_ < kCountMin) return env::Duration::zero();
  const auto wanted = static_cast<uint64_t>(share * static_cast<double>(counted_));
  uint64_t below = 0;
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    below += uint64_t{halves_[0][bucket]} + halves_[1][bucket];
    if (below > wanted) return upper_end(bucket);
  }
  return upper_end(kBuckets - 1);
}

}  // namespace paceline::object
