#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace paceline::broker {

// Counts durations in buckets of powers of two microseconds: 1 us to about 67 s.
struct Histogram {
  static constexpr size_t kBuckets = 27;
  std::array<std::atomic<uint64_t>, kBuckets> counts{};
  std::atomic<uint64_t> sum_us{0};

  void add(uint64_t micros) {
    size_t bucket = 0;
    while (bucket + 1 < kBuckets && (1ull << bucket) < micros) ++bucket;
    counts[bucket].fetch_add(1, std::memory_order_relaxed);
    sum_us.fetch_add(micros, std::memory_order_relaxed);
  }
};

// Counters of one shard: written there, read by whoever prints metrics.
struct Metrics {
  static constexpr size_t kApisMax = 100;  // Kafka's keys are below it
  struct Api {
    std::atomic<uint64_t> requests{0};
    std::atomic<uint64_t> errors{0};
    Histogram latency;
  };
  std::array<Api, kApisMax> apis;
  std::atomic<uint64_t> bytes_in{0};   // of records produced
  std::atomic<uint64_t> bytes_out{0};  // of records fetched
  std::atomic<uint64_t> records_in{0};
  std::atomic<uint64_t> produce_failed{0};  // partitions
  std::atomic<uint64_t> fetch_failed{0};
  std::atomic<int64_t> connections{0};
  std::atomic<uint64_t> connections_refused{0};
  std::atomic<uint64_t> bad_frames{0};
};

}  // namespace paceline::broker
