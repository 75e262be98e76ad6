#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace paceline::stream {

// A stream-set object: the `number`-th that a lane made, from 1.
struct ObjectId {
  Lane lane;
  uint64_t number = 0;

  constexpr auto operator<=>(const ObjectId&) const = default;
  std::string to_string() const;  // "3.7/12"
};

// Where the object store has the body: `objects/<broker>.<incarnation>/<number>`, in fixed-width
// hexadecimal, so that a listing is in the order of the numbers.
std::string body_key(const ObjectId& id);
std::string bodies_prefix(Lane lane);
std::string bodies_prefix(BrokerId broker);
std::string bodies_prefix();
std::optional<ObjectId> parse_body_key(std::string_view key);

// The run of one stream that one object holds. Extents of a stream are consecutive.
struct Extent {
  Offset base;
  Offset end;
  ObjectId object;
  uint64_t bytes = 0;  // of batches
  int64_t max_timestamp = -1;
  int64_t append_time_ms = 0;  // of its last batch
  bool holds(Offset offset) const { return base <= offset && offset < end; }
  bool operator==(const Extent&) const = default;
};

// A trim to this offset forgets the stream for good: what the WAL knows of an erase.
inline constexpr Offset kErased{INT64_MAX};

// What Storage::stats() tells; written from all shards.
struct Counters {
  std::atomic<uint64_t> unuploaded_bytes{0};
  std::atomic<uint64_t> log_cache_bytes{0};
  std::atomic<uint64_t> block_cache_bytes{0};
  std::atomic<uint64_t> cache_hits{0};
  std::atomic<uint64_t> cache_misses{0};
  std::atomic<uint64_t> uploads{0};
  std::atomic<uint64_t> upload_failures{0};
  std::atomic<uint64_t> uploaded_bytes{0};
  std::atomic<uint64_t> compactions{0};
  std::atomic<uint64_t> compaction_failures{0};
  std::atomic<uint64_t> compacted_bytes{0};
  std::atomic<uint64_t> deleted_objects{0};
  std::atomic<uint64_t> streams{0};
};

}  // namespace paceline::stream

template <>
struct std::hash<paceline::stream::ObjectId> {
  size_t operator()(const paceline::stream::ObjectId& id) const noexcept {
    return std::hash<paceline::Lane>{}(id.lane) ^ (id.number * 0x9e3779b97f4a7c15ull);
  }
};
