#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

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

// Why a frame, or the connection with it, was given up. `kBadFrames` are the names in metrics.
enum class BadFrame { size, header, api, body, late };
inline constexpr std::array<std::string_view, 5> kBadFrames = {"size", "header", "api", "body",
                                                               "late"};

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
  std::array<std::atomic<uint64_t>, kBadFrames.size()> bad_frames{};
  std::atomic<uint64_t> frames_left_over{0};   // requests with bytes behind the message
  std::atomic<uint64_t> answers_given_up{0};   // connections ended because they did not read
  std::atomic<uint64_t> forwarded_appends{0};  // batches sent on to another broker
  std::atomic<uint64_t> forwarded_reads{0};    // partitions of fetches
  std::atomic<uint64_t> forwarded_group_requests{0};
  std::atomic<uint64_t> nearby_reads{0};  // partitions of fetches, that others lead
  std::atomic<uint64_t> sent_nearby{0};   // partitions of fetches, to a broker of their rack
  std::atomic<uint64_t> moved_away{0};    // partitions, by plan
  std::atomic<uint64_t> moved_here{0};
};

}  // namespace paceline::broker
