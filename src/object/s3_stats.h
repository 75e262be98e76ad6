#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

namespace paceline::object {

enum class S3Kind : uint8_t {
  put,
  get,
  head,
  remove,
  bulk_remove,
  list,
  multipart_create,
  multipart_part,
  multipart_complete,
  multipart_abort,
  multipart_list,
};
inline constexpr size_t kS3Kinds = 11;
std::string_view s3_kind_name(S3Kind kind);

// What was asked of a store, for metrics: written by every shard, read from any.
struct S3Stats {
  struct Kind {
    std::atomic<uint64_t> requests = 0;  // attempts that reached the network
    std::atomic<uint64_t> failures = 0;  // of them: without the answer that was hoped for
    std::atomic<uint64_t> retries = 0;
    std::atomic<uint64_t> hedges = 0;      // second attempts beside a slow first
    std::atomic<uint64_t> hedges_won = 0;  // that answered first
    std::atomic<uint64_t> throttled = 0;   // 429, 503
    std::atomic<uint64_t> bytes_out = 0;   // of bodies
    std::atomic<uint64_t> bytes_in = 0;
    std::atomic<uint64_t> latency_us = 0;  // in all, of those that were answered
    // Attempts that took up to 1 ms << index; the last one: any longer.
    std::array<std::atomic<uint64_t>, 16> latency_buckets{};
  };
  std::array<Kind, kS3Kinds> kinds;
  std::atomic<uint64_t> credentials_refused = 0;
  std::atomic<uint64_t> clock_refused = 0;
  std::atomic<uint64_t> budget_exhausted = 0;  // retries that were not made
  std::atomic<uint64_t> waiting = 0;           // requests that wait for their turn, now
  std::atomic<uint64_t> in_flight = 0;         // now

  Kind& of(S3Kind kind) { return kinds[static_cast<size_t>(kind)]; }
  const Kind& of(S3Kind kind) const { return kinds[static_cast<size_t>(kind)]; }
};

}  // namespace paceline::object
