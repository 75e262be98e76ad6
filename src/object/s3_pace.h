#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "env/shard.h"

// How fast and how often a store is asked. Pure: time and random numbers are handed in.

namespace paceline::object {

// Retries as a share of what works: each costs, each success earns, so that a store which fails is
// not stormed and one that is well may be asked twice at once. Shared by all shards.
class RetryBudget {
 public:
  static constexpr int64_t kTokensMax = 500;
  static constexpr int64_t kRetryCost = 5;

  bool try_spend();
  void earn();
  int64_t tokens() const { return tokens_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> tokens_ = kTokensMax;
};

// Before the n-th retry (from 0), by full jitter: anything up to base * 2^n, at most `max`.
env::Duration backoff(unsigned retry, env::Duration base, env::Duration max, uint64_t random);

// How many requests may be in flight: one more for each round of successes, half of them when the
// store says that it is too many. Of one shard.
class Concurrency {
 public:
  Concurrency(double start, double max) : limit_(start), max_(max) {}

  size_t limit() const { return static_cast<size_t>(limit_); }
  void note_success();
  // Counts once for all requests that were in flight when it was first said.
  void note_throttled(env::Instant now, env::Instant asked_at);

 private:
  double limit_;
  const double max_;
  env::Instant cut_at_{env::Duration::min()};
};

// Latencies of the recent past, to some 6 %: what a request that takes longer than nearly all
// others did is measured against. Of one shard.
class LatencyWindow {
 public:
  void add(env::Instant now, env::Duration latency);
  // Nothing while too few are known.
  env::Duration quantile(double share) const;
  uint64_t count() const { return counted_; }

 private:
  static constexpr size_t kPerOctave = 16;
  static constexpr size_t kBuckets = 28 * kPerOctave;  // up to some 130 s in microseconds
  static constexpr uint64_t kCountMin = 100;
  static constexpr auto kWindow = std::chrono::seconds(30);

  static size_t bucket_of(env::Duration latency);
  static env::Duration upper_end(size_t bucket);

  // Two halves, so that the old goes without a gap.
  std::array<std::array<uint32_t, kBuckets>, 2> halves_{};
  std::array<uint64_t, 2> counts_{};
  size_t current_ = 0;
  env::Instant began_{};
  uint64_t counted_ = 0;
};

}  // namespace paceline::object
